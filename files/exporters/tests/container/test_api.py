"""The JSON API and the GPUs, on a running exporter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container.conftest import MakeHost
from exporter_testing.containers import Host, Series, number
from exporter_testing.docker_api import DockerStandIn, serving
from exporter_testing.process import Running, Start, wait_for

PLANTED = "gpu-s3cret"


class GpuStandIn(DockerStandIn):
    """A GPU exporter, of which a container with that id uses GPU 3."""

    def answer(self, path: str) -> tuple[int, Any]:
        process = {"container_id": number(1), "gpu": 3, "gpu_uuid": "GPU-3c"}
        return {
            "/api/v1/processes": (200, [{**process, "memory_used_bytes": 7 << 30}]),
            "/api/v1/gpus": (
                200,
                [{"index": index, "uuid": f"GPU-{index}c"} for index in range(8)],
            ),
        }[path]


StartContainer = Callable[..., Running]


@pytest.fixture
def start(start_exporter: Start) -> StartContainer:
    """Start an exporter over a host, which collects anew for each scrape."""

    def run(host: Host, **settings: str) -> Running:
        own = {f"CONTAINER__{name.upper()}": text for name, text in host.settings().items()}
        return start_exporter("container", {"MIN_INTERVAL": "0", **own, **settings})

    return run


def test_gpus_are_those_that_processes_run_on_else_those_asked_for(
    host: Host, start: StartContainer, tmp_path: Path
) -> None:
    host.run(1, "computes")
    host.run(2, "waits", Config={"Env": ["NVIDIA_VISIBLE_DEVICES=5"]})
    host.run(3, "none", HostConfig={"DeviceRequests": [{"Count": -1, "Driver": "nvidia"}]})
    (tmp_path / "token").write_text(f"{PLANTED}\n")
    with serving(GpuStandIn()) as gpus:
        token = {"CONTAINER__GPU_EXPORTER_TOKEN_FILE": str(tmp_path / "token")}
        running = start(host, CONTAINER__GPU_EXPORTER=gpus.address, **token)
        series = Series(running.get().text)
        assert series.one("gpu_assigned", container="computes", gpu_uuid="GPU-3c") == 1
        assert series.one("gpu_assigned", container="waits", gpu_uuid="GPU-5c") == 1
        assert len(series.each("gpu_assigned")) == 2
        told = {one["name"]: one["gpus"] for one in running.get("/api/v1/containers").json()}
        assert gpus.headers["Authorization"] == f"Bearer {PLANTED}"
    assert told["computes"] == {
        "method": "processes",
        "uuids": ["GPU-3c"],
        "indexes": [3],
        "memory_used_bytes": {"GPU-3c": 7 << 30},
    }
    assert (told["waits"]["method"], told["waits"]["uuids"]) == ("environment", ["GPU-5c"])
    assert (told["none"]["method"], told["none"]["uuids"]) == ("none", [])
    # Without the GPU exporter what was asked for is left.
    series = Series(running.get().text)
    assert {dict(pairs)["container"] for pairs in series.each("gpu_assigned")} == {"waits"}
    assert series.failing() == set()
    assert PLANTED not in running.output.read_text() + running.get().text


def test_an_engine_that_is_away_is_told(host: Host, start: StartContainer) -> None:
    running = start(host)
    assert running.get("/api/v1/containers").json() == []
    address = Path(host.engine.address)
    address.rename(address.with_suffix(".away"))
    host.engine.await_streams()
    host.engine.cut()
    wait_for(lambda: running.get("/api/v1/containers").status_code == 503)
    assert "docker.sock" in running.get("/api/v1/containers").json()["error"]
    assert running.get("/ready").status_code == 200
    address.with_suffix(".away").rename(address)
    wait_for(lambda: running.get("/api/v1/containers").status_code == 200)


def test_sixty_containers_are_within_the_process_limits(
    make_host: MakeHost, start: StartContainer
) -> None:
    host = make_host("v1", "/system.slice/docker-{}.scope")
    for index in range(60):
        host.run(index, f"vllm-{index}", State={"Health": {"Status": "healthy"}})
    series = Series(start(host).get().text)
    assert len(series.each("state")) == 420
    assert len(series.each("cpu_usage_seconds_total")) == 60
    assert series.each("series_dropped_total") == {}
