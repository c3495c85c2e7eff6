"""What stands in the way on a host: real sockets, a played engine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _listeners, _programs
from ansible_collections.llmops.monitoring.plugins.modules import host_check
from ansible_collections.llmops.monitoring.tests.serving import serving

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


@pytest.fixture
def check(run_module: Any, fake_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that checks this host as if it were a supported one with few programs."""
    monkeypatch.setattr(_programs, "find", lambda _module, name: f"/usr/bin/{name}" if name == "apt-get" else None)
    monkeypatch.setattr(_programs, "compose_version", lambda _module: None)
    monkeypatch.setattr(host_check, "_read_os_release", lambda: DEBIAN)
    monkeypatch.setattr(host_check, "_PROCESSORS", (os.uname().machine,))
    fake_engine.info = {"DockerRootDir": str(tmp_path)}

    def run(**options: Any) -> Any:
        merged = {"dir": str(tmp_path / "opt/llm-monitor"), "socket_path": fake_engine.socket_path, **options}
        return run_module(host_check.main, merged, check_mode=True)

    return run


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def wanted(port: int, address: str = "127.0.0.1") -> list[dict[str, Any]]:
    return [{"variable": "prometheus_port", "port": port, "address": address}]


def publishing(port: int, project: str | None, ip: str = "127.0.0.1") -> dict[str, Any]:
    labels = {"com.docker.compose.project": project} if project else {}
    ports = [{"PrivatePort": 9090, "Type": "tcp"}, {"IP": ip, "PrivatePort": 9090, "PublicPort": port, "Type": "tcp"}]
    return {"Id": "ab" * 32, "Names": ["/web-1"], "Image": "nginx:1", "Labels": labels, "Ports": ports}


def test_a_host_in_order_passes(check: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = check(ports=wanted(port), min_free_bytes=1)
    assert not result["failed"]
    assert not result["changed"]
    assert result["registries_reachable"] == []
    assert not (tmp_path / "opt").exists()


def test_a_taken_port_is_told_with_its_process(check: Any, taken: int) -> None:
    result = check(ports=wanted(taken))
    process = Path("/proc/self/comm").read_text().strip()
    words = f"{process} (process {os.getpid()}) listens on 127.0.0.1:{taken}. Stop that, or choose another port"
    assert result["problems"] == [f"prometheus_port is {taken}, but {words}"]
    assert result["msg"].startswith("One thing stands in the way:\n- prometheus_port")


def test_a_port_on_another_address_is_free(check: Any, taken: int) -> None:
    assert not check(ports=wanted(taken, "127.0.0.2"))["failed"]
    assert check(ports=wanted(taken, "0.0.0.0"))["failed"]


def test_a_network_that_is_not_there_is_told_with_those_that_are(check: Any, fake_engine: Any) -> None:
    fake_engine.networks = ["vllm_default", "shop"]
    assert not check(networks=["vllm_default"])["failed"]
    assert check(networks=["litellm_default", "vllm_default"])["problems"] == [
        "exporters_networks has 'litellm_default', but the Docker engine has no such network: it has shop, "
        "vllm_default. Start what brings it first, or take it off the list."
    ]
    fake_engine.networks = []
    assert "it has none that containers could join" in check(networks=["vllm_default"])["msg"]


def test_without_an_engine_nobody_knows_its_networks(check: Any, tmp_path: Path) -> None:
    assert not check(networks=["vllm_default"], socket_path=str(tmp_path / "none.sock"))["failed"]


def test_our_own_containers_may_hold_the_port(check: Any, fake_engine: Any, taken: int) -> None:
    fake_engine.running = [publishing(taken, "llm-monitor")]
    assert not check(ports=wanted(taken))["failed"]


@pytest.mark.parametrize("project", ["shop", None])
def test_a_container_of_others_is_named(check: Any, fake_engine: Any, taken: int, project: str | None) -> None:
    fake_engine.running = [publishing(taken, project, ip="0.0.0.0")]
    (problem,) = check(ports=wanted(taken))["problems"]
    assert "but the container web-1 (nginx:1) publishes it" in problem


@pytest.mark.parametrize(("project", "is_free"), [("llm-monitor", True), ("shop", False)])
def test_a_container_on_the_hosts_network_is_recognised(
    check: Any, fake_engine: Any, monkeypatch: pytest.MonkeyPatch, project: str, is_free: bool
) -> None:
    listener = _listeners.Listener("0.0.0.0", 9100, 1, 7, "python", "ab" * 32)
    monkeypatch.setattr(_listeners, "listeners", lambda ports: [listener])
    fake_engine.running = [{**publishing(9100, project), "Ports": []}]
    result = check(ports=wanted(9100))
    assert result["failed"] is not is_free
    assert is_free or "python (process 7) in the container web-1 (nginx:1) listens on 0.0.0.0:9100" in result["msg"]


def test_too_little_disk_is_told_once_for_one_file_system(check: Any) -> None:
    (problem,) = check(min_free_bytes=10**18)["problems"]
    assert "needs 1000000.0 TB of free disk, but its file system has" in problem
    assert "llm_monitor_min_free_bytes" in problem


def test_the_engines_disk_can_need_more(check: Any, tmp_path: Path) -> None:
    (problem,) = check(engine_min_free_bytes=10**18)["problems"]
    assert problem.startswith(f"Docker at {tmp_path} needs")


def test_no_engine_is_fine(check: Any, tmp_path: Path) -> None:
    assert not check(socket_path=str(tmp_path / "none.sock"))["failed"]


def test_a_stopped_engine_is_fine(check: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    assert not check(socket_path=path)["failed"]


def test_an_old_engine_is_told(check: Any, fake_engine: Any) -> None:
    fake_engine.version = "19.03.15"
    assert check()["problems"] == ["The Docker engine is 19.03.15; it must be 20.10 or later. Upgrade it."]
    fake_engine.version = "20.10.24+dfsg1"
    assert not check()["failed"]


def test_an_engine_that_refuses_us_is_told(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    (problem,) = check()["problems"]
    assert "may not open the Docker engine's socket" in problem


def test_a_reference_that_the_engine_refuses_is_told(check: Any, fake_engine: Any) -> None:
    fake_engine.refused = {"docker.io/UPPER:1"}
    (problem,) = check(registries=["127.0.0.1:1"], images=["docker.io/UPPER:1"])["problems"]
    assert "inspect the image docker.io/UPPER:1 (status 400): invalid reference format" in problem
    assert "llm_monitor_registry_images" in problem


@pytest.mark.parametrize(
    ("version", "will_do"),
    [
        (None, True),
        ("2.20.0", True),
        ("2.24.6+ds1-0ubuntu2", True),
        ("5.6.1", True),
        ("2.17.3", False),
        ("1.29.2", False),
    ],
)
def test_an_old_compose_is_told(
    check: Any, monkeypatch: pytest.MonkeyPatch, version: str | None, will_do: bool
) -> None:
    monkeypatch.setattr(_programs, "compose_version", lambda _module: version)
    result = check()
    assert result["failed"] is not will_do
    assert will_do or f"Compose is {version}; it must be 2.20.0 or later. Upgrade" in result["msg"]


def test_the_oldest_compose_can_be_set(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "compose_version", lambda _module: "2.24.6")
    assert "must be 2.30 or later" in check(min_compose="2.30")["msg"]


ROCKY = 'PRETTY_NAME="Rocky Linux 9.4"\nID="rocky"\nVERSION_ID="9.4"\n'


def test_the_rhel_family_has_no_engine(check: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    none = str(tmp_path / "none.sock")
    assert not check(socket_path=none, engine_source="distribution")["failed"]
    monkeypatch.setattr(host_check, "_read_os_release", lambda: ROCKY)
    assert not check(socket_path=none, engine_source="docker")["failed"]
    assert not check(engine_source="distribution")["failed"]
    (problem,) = check(socket_path=none, engine_source="distribution")["problems"]
    assert "Set docker_engine_source: docker" in problem
    monkeypatch.setattr(_programs, "find", lambda _module, name: "/usr/bin/dockerd" if name == "dockerd" else None)
    assert not check(socket_path=none, engine_source="distribution")["failed"]


def test_images_are_made_with_apt(check: Any, fake_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not check(image_source="distro", images=["a:1"])["failed"]
    monkeypatch.setattr(_programs, "find", lambda _module, name: None)
    assert not check(image_source="registry", images=["a:1"])["failed"]
    assert "this host has no apt" in check(image_source="distro", images=["a:1"])["msg"]
    fake_engine.images = {"a:1"}
    assert not check(image_source="distro", images=["a:1"])["failed"]


class _Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Registry)
    with serving(server):
        yield f"127.0.0.1:{server.server_address[1]}"


def test_registries_are_told_apart(check: Any, registry: str) -> None:
    result = check(registries=[registry, "127.0.0.1:1"])
    (problem,) = result["problems"]
    assert "The registry 127.0.0.1:1 can't be reached: Connection refused." in problem
    assert "llm_monitor_registry_mirror" in problem
    assert "bundle" in problem
    assert "distro" in problem
    assert result["registries_reachable"] == [registry]


def test_registries_are_not_asked_when_no_image_is_missing(check: Any, fake_engine: Any) -> None:
    fake_engine.images = {"a:1", "docker.io/b:1"}
    assert not check(registries=["127.0.0.1:1"], images=["a:1", "docker.io/b:1"])["failed"]
    assert check(registries=["127.0.0.1:1"], images=["a:1", "c:1"])["failed"]


SYSTEMS = [
    ("debian", "12", True),
    ("debian", "13", True),
    ("debian", "11", False),
    ("ubuntu", "22.04", True),
    ("ubuntu", "24.04", True),
    ("ubuntu", "20.04", False),
    ("rocky", "9.4", True),
    ("rhel", "9", True),
    ("rhel", "90.1", False),
    ("almalinux", "8.10", False),
    ("arch", "", False),
]


@pytest.mark.parametrize(("kind", "release", "known"), SYSTEMS)
def test_systems(kind: str, release: str, known: bool) -> None:
    problems = host_check.system_problems(f'NAME="x"\nID={kind}\nVERSION_ID="{release}"\n# comment\n', "aarch64")
    assert (problems == []) is known
    assert known or problems[0].startswith(f"The operating system is {kind}; supported are Debian 12")


def test_an_unknown_processor_is_told() -> None:
    assert host_check.system_problems(DEBIAN, "riscv64") == [
        "The processor is riscv64; supported are x86_64 and aarch64"
    ]
