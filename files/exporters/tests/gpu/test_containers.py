"""From a process on a GPU to its container."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from exporter_testing.gpu.nvml import FakeNvml, Process
from exporter_testing.gpu.scrape import Scrape
from exporter_testing.process import wait_for
from gpu.conftest import StartGpu
from llm_monitor.gpu import containers
from llm_monitor.gpu.containers import Container, Containers

ONE, TWO = "1a" * 32, "2b" * 32


def proc(folder: Path, pid: int, cgroup: str, comm: str = "python3") -> None:
    """Give a process to a folder that plays /proc."""
    (folder / str(pid)).mkdir(parents=True)
    (folder / str(pid) / "cgroup").write_text(cgroup)
    (folder / str(pid) / "comm").write_text(f"{comm}\n")


@dataclass
class Docker:
    """A Docker API that answers GET /containers/json on a Unix socket."""

    path: Path
    names: dict[str, str] = field(default_factory=dict)
    status: int = 200
    body: bytes | None = None
    requests: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    def answer(self) -> bytes:
        listed = [{"Id": one, "Names": [f"/{name}"]} for one, name in self.names.items()]
        return json.dumps(listed).encode() if self.body is None else self.body


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    docker = Docker(tmp_path / "docker.sock")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            docker.requests.append(self.path)
            body = docker.answer()
            self.send_response(docker.status)
            self.end_headers()
            # JSON allows spaces before a value.
            while not docker.go_on.wait(0.02):
                self.wfile.write(b" ")
            self.wfile.write(body)

        def address_string(self) -> str:
            return "socket"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with socketserver.ThreadingUnixStreamServer(str(docker.path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield docker
        docker.go_on.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("layout", "cgroup"),
    [
        ("v2, systemd", f"0::/system.slice/docker-{ONE}.scope\n"),
        ("v2, cgroupfs", f"0::/docker/{ONE}\n"),
        ("v2, seen from a private namespace", f"0::/../{ONE}\n"),
        ("v2, a group of its own within", f"0::/docker/{ONE}/workers\n"),
        ("v1, cgroupfs", f"12:memory:/docker/{ONE}\n11:cpu,cpuacct:/docker/{ONE}\n0::/\n"),
        ("v1, systemd", f"4:memory:/system.slice/docker-{ONE}.scope\n1:name=systemd:/x\n"),
        ("Podman", f"0::/machine.slice/libpod-{ONE}.scope/container\n"),
        ("containerd", f"0::/kubepods.slice/kubepods-pod7.slice/cri-containerd-{ONE}.scope\n"),
        ("Kubernetes, cgroupfs", f"3:cpu:/kubepods/burstable/pod7/{ONE}\n"),
        ("a host within a container", f"0::/docker/{ONE}/docker/{TWO}\n"),
    ],
)
def test_every_layout_of_control_groups_names_the_container(
    tmp_path: Path, layout: str, cgroup: str
) -> None:
    proc(tmp_path, 7, cgroup)
    assert Containers(str(tmp_path), "").of([7]) == {7: Container(ONE[:12], ONE)}, layout


@pytest.mark.parametrize(
    "cgroup", ["0::/\n", "0::/user.slice/user-0.slice/session-1.scope\n", "", f"0::/{ONE}0\n"]
)
def test_processes_outside_containers_have_none(tmp_path: Path, cgroup: str) -> None:
    proc(tmp_path, 7, cgroup)
    assert Containers(str(tmp_path), "").of([7, 8]) == {}


def test_within_nested_containers_the_one_that_docker_knows_counts(
    tmp_path: Path, docker: Docker
) -> None:
    proc(tmp_path, 7, f"0::/docker/{ONE}/docker/{TWO}\n")
    docker.names = {TWO: "inner"}
    assert Containers(str(tmp_path), str(docker.path)).of([7]) == {7: Container("inner", TWO)}


def test_names_come_from_docker_and_are_asked_for_seldom(tmp_path: Path, docker: Docker) -> None:
    proc(tmp_path, 7, f"0::/docker/{ONE}\n")
    docker.names = {ONE: "vllm-llama"}
    known = Containers(str(tmp_path), str(docker.path))
    for _ in range(10):
        assert known.of([7])[7].name == "vllm-llama"
    # Of a container that is not known yet, a little later.
    proc(tmp_path, 8, f"0::/docker/{TWO}\n")
    assert known.of([7, 8])[8].name == TWO[:12]
    assert docker.requests == ["/containers/json"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (403, b"denied by the proxy"),
        (200, b"[{"),
        (200, b"{}"),
        (200, b'[{"Id": 7}]'),
        (200, b'["x"]'),
        (200, b"\xff\xfe"),
        (200, b"null"),
        (200, b'[{"Id": "7", "Names": [7]}]'),
        (200, b"[" * 100_000),
    ],
)
def test_a_docker_api_that_talks_nonsense_costs_the_names_only(
    tmp_path: Path, docker: Docker, status: int, body: bytes
) -> None:
    proc(tmp_path, 7, f"0::/docker/{ONE}\n")
    docker.status, docker.body = status, body
    assert Containers(str(tmp_path), str(docker.path)).of([7])[7].name == ONE[:12]


def test_a_docker_api_that_never_comes_to_an_end_holds_nobody_up(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket's timeout sees that: there is always a next byte."""
    monkeypatch.setattr(containers, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(containers, "_PAUSE_SECONDS", 0.0)
    proc(tmp_path, 7, f"0::/docker/{ONE}\n")
    docker.names = {ONE: "vllm-llama"}
    docker.go_on.clear()
    slow = Containers(str(tmp_path), str(docker.path))
    begun = time.monotonic()
    for _ in range(3):
        assert slow.of([7])[7].name == ONE[:12]
    assert time.monotonic() - begun < 2
    docker.go_on.set()
    wait_for(lambda: slow.of([7])[7].name == "vllm-llama")


def test_what_is_out_of_the_ordinary_costs_no_other_container(
    tmp_path: Path, docker: Docker
) -> None:
    proc(tmp_path, 7, f"0::/docker/{ONE}\n")
    (tmp_path / "8" / "cgroup").mkdir(parents=True)
    docker.body = json.dumps([{"Id": ONE, "Names": ["/half \ud800"]}]).encode()
    known = Containers(str(tmp_path), str(docker.path))
    assert known.of([7, 8]) == {7: Container("half \\ud800", ONE)}


def test_a_program_whose_name_is_cut_within_a_letter(tmp_path: Path) -> None:
    proc(tmp_path, 7, "0::/\n")
    (tmp_path / "7" / "comm").write_bytes(b"modele-generat\xc3\n")
    assert Containers(str(tmp_path), "").program(7) == "modele-generat\\xc3"


def test_what_containers_have_of_a_gpu(
    tmp_path: Path, fake: FakeNvml, docker: Docker, start_gpu: StartGpu
) -> None:
    folder = tmp_path / "proc"
    for pid, cgroup in ((11, ONE), (12, ONE), (13, TWO)):
        proc(folder, pid, f"0::/docker/{cgroup}\n", comm="VLLM::EngineCore")
    proc(folder, 14, "0::/user.slice\n", comm="python3")
    docker.names = {ONE: 'vllm "llama"', TWO: "embed"}
    fake.processes(
        2,
        [
            Process(11, memory=1000, sm=40),
            Process(12, memory=500, sm=20),
            Process(13, memory=None, sm=5),
            Process(14, memory=70),
            Process(15, memory=80),
        ],
    )
    fake.processes(5, [Process(11, memory=300)])
    running = start_gpu(fake, GPU__PROC=str(folder), GPU__DOCKER=str(docker.path))
    wait_for(lambda: Scrape(running).one("processes", gpu=2) == 5)
    scrape = Scrape(running)
    memory = "container_memory_used_bytes"
    assert scrape.by("container", memory, gpu=2) == {'vllm "llama"': 1500}
    assert scrape.by("container", memory, gpu=5) == {'vllm "llama"': 300}
    busy = scrape.by("container", "container_utilization_ratio", gpu=2)
    assert busy == {'vllm "llama"': pytest.approx(0.6), "embed": pytest.approx(0.05)}
    listed = {one["pid"]: one for one in running.get("/api/v1/processes").json() if one["gpu"] == 2}
    assert listed[11] == {
        "pid": 11,
        "name": "VLLM::EngineCore",
        "memory_used_bytes": 1000,
        "utilization_ratio": 0.4,
        "container": 'vllm "llama"',
        "container_id": ONE,
        "gpu": 2,
        "gpu_uuid": "GPU-fa4e0000-0000-4000-8000-000000000002",
    }
    assert (listed[14]["container"], listed[14]["name"]) == (None, "python3")
    # It has ended by now: only the driver still knows it.
    assert (listed[15]["container"], listed[15]["name"]) == (None, "")
