"""From a container to its GPUs."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from exporter_testing.docker_api import DockerStandIn, inspection, serving
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker import gpus
from llm_monitor.base.docker.containers import Container, GpuRequest, parse
from llm_monitor.base.docker.gpus import Assignment, GpuUse

ONE, TWO = "1a" * 32, "2b" * 32
UUIDS = [f"GPU-fa4e0000-0000-4000-8000-00000000000{index}" for index in range(4)]
MIG = "MIG-77770000-0000-4000-8000-000000000000"
PROCESSES = "/api/v1/processes"
GPUS = "/api/v1/gpus"


class GpuExporter(DockerStandIn):
    """Answers as the GPU exporter does."""

    processes: Any = ()
    gpus: Any = tuple({"index": index, "uuid": uuid} for index, uuid in enumerate(UUIDS))

    def answer(self, path: str) -> tuple[int, Any]:
        return 200, {PROCESSES: self.processes, GPUS: self.gpus}[path]


@pytest.fixture
def exporter() -> Iterator[GpuExporter]:
    exporter = GpuExporter()
    exporter.gpus[3]["mig_devices"] = [{"uuid": MIG, "profile": "1g.18gb"}]
    with serving(exporter):
        yield exporter


def process(container: str | None, gpu: int, memory: int | None = 1000) -> dict[str, Any]:
    return {
        "pid": 7,
        "memory_used_bytes": memory,
        "container_id": container,
        "gpu": gpu,
        "gpu_uuid": UUIDS[gpu],
    }


def container(*devices: str, visible: str | None = None, identifier: str = ONE) -> Container:
    requests = (GpuRequest("nvidia", 0 if devices else -1, devices),)
    parsed = parse(inspection(identifier, "vllm"))
    return replace(parsed, gpu_requests=requests, visible_devices=visible)


def assigned(use: GpuUse, one: Container) -> Assignment:
    return use.of([one], Deadline.after(5))[one.id]


def test_processes_tell_best(exporter: GpuExporter) -> None:
    exporter.processes = [
        process(ONE, 2),
        process(ONE, 2, 500),
        process(ONE, 1, None),
        process(TWO, 0),
        process(None, 3),
    ]
    use = GpuUse(exporter.address, "a token")
    assert use.of([container("0"), container("3", identifier=TWO)], Deadline.after(5)) == {
        ONE: Assignment("processes", (UUIDS[1], UUIDS[2]), (1, 2)),
        TWO: Assignment("processes", (UUIDS[0],), (0,)),
    }
    assert use.memory(ONE) == {UUIDS[2]: 1500}
    assert use.memory("3c" * 32) == {}
    assert exporter.headers["Authorization"] == "Bearer a token"
    assert exporter.requests == [PROCESSES]


@pytest.mark.parametrize(
    ("devices", "uuids", "indexes"),
    [
        (("0", "2"), (UUIDS[0], UUIDS[2]), (0, 2)),
        ((UUIDS[1],), (UUIDS[1],), (1,)),
        (("nvidia.com/gpu=3", f"nvidia.com/gpu={UUIDS[0]}"), (UUIDS[0], UUIDS[3]), (0, 3)),
        ((MIG,), (UUIDS[3],), (3,)),
        (("1:0",), (UUIDS[1],), (1,)),
        (("9",), (), (9,)),
        (("GPU-unknown",), ("GPU-unknown",), ()),
    ],
)
def test_without_processes_device_requests_do(
    exporter: GpuExporter,
    devices: tuple[str, ...],
    uuids: tuple[str, ...],
    indexes: tuple[int, ...],
) -> None:
    use = GpuUse(exporter.address, "")
    assert assigned(use, container(*devices)) == Assignment("device_requests", uuids, indexes)
    assert "Authorization" not in exporter.headers


def test_then_the_environment(exporter: GpuExporter) -> None:
    use = GpuUse(exporter.address, "")
    by_both = container("1", visible="2")
    assert assigned(use, by_both).method == "device_requests"
    for visible, uuids, indexes in (
        ("2", (UUIDS[2],), (2,)),
        (f"0, {UUIDS[1]}", (UUIDS[0], UUIDS[1]), (0, 1)),
    ):
        found = assigned(use, container(visible=visible))
        assert found == Assignment("environment", uuids, indexes)


@pytest.mark.parametrize(
    "visible", [None, "", "all", "void", "none", "-1", "0x1", "nvidia.com/gpu=all"]
)
def test_all_alone_proves_nothing(exporter: GpuExporter, visible: str | None) -> None:
    assert assigned(GpuUse(exporter.address, ""), container(visible=visible)) == Assignment("none")
    assert assigned(GpuUse("", ""), container("all", visible=visible)) == Assignment("none")


def test_without_a_gpu_exporter_names_stay_as_they_are() -> None:
    use = GpuUse("", "")
    found = assigned(use, container("0", UUIDS[1], "nvidia.com/gpu=2"))
    assert found == Assignment("device_requests", (UUIDS[1],), (0, 2))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n[7]",
        b"HTTP/1.1 200 OK\r\n\r\nnull",
        b'HTTP/1.1 200 OK\r\n\r\n[{"container_id": "x"}]',
        b"<html>",
    ],
)
def test_a_gpu_exporter_that_fails_is_logged_once_and_costs_its_own_answer_only(
    exporter: GpuExporter, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "_PAUSE_SECONDS", 0.0)
    exporter.processes = [process(ONE, 2)]
    use = GpuUse(exporter.address, "a token")
    assert assigned(use, container("0")).method == "processes"
    for path in (PROCESSES, GPUS):
        exporter.instead[path] = lambda connection: connection.sendall(answer)
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            assert assigned(use, container("0")) == Assignment("device_requests", (), (0,))
        assert use.memory(ONE) == {}
        exporter.instead.clear()
        assert assigned(use, container("0")).method == "processes"
    assert [one["event"] for one in logged] == [
        "the GPU exporter does not tell who uses GPUs",
        "the GPU exporter tells who uses GPUs again",
    ]
    assert "a token" not in json.dumps(logged)


def test_one_answer_that_fails_is_logged_once_however_often_the_other_is_well(
    exporter: GpuExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "_REMEMBERED_SECONDS", 0.0)
    exporter.instead[PROCESSES] = lambda connection: connection.sendall(b"HTTP/1.1 503 X\r\n\r\n")
    use = GpuUse(exporter.address, "")
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            assert assigned(use, container("0")).method == "device_requests"
    assert len(logged) == 1


def test_a_gpu_exporter_that_hangs_leaves_time_to_the_rest(
    exporter: GpuExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "_PATIENCE_SECONDS", 0.2)
    for path in (PROCESSES, GPUS):
        exporter.instead[path] = lambda _: exporter.over.wait() and None
    begun = time.monotonic()
    found = GpuUse(exporter.address, "").of([container("0")], Deadline.after(8))
    assert found[ONE] == Assignment("device_requests", (), (0,))
    assert time.monotonic() - begun < 1


def test_the_map_of_gpus_is_asked_for_seldom(exporter: GpuExporter) -> None:
    use = GpuUse(exporter.address, "")
    for _ in range(3):
        assert assigned(use, container("0")).uuids == (UUIDS[0],)
    assert exporter.asked(GPUS) == 1
