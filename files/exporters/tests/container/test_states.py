"""What the engine tells of containers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exporter_testing.containers import Host, number
from exporter_testing.docker_api import event
from exporter_testing.process import wait_for
from llm_monitor.base.docker.client import DockerApi
from llm_monitor.base.docker.inventory import Inventory
from llm_monitor.container import exporter
from llm_monitor.container.metrics import ACTIONS, HEALTHS, STATES

ENDED = {
    "Status": "exited",
    "Running": False,
    "Pid": 0,
    "ExitCode": 137,
    "OOMKilled": True,
    "FinishedAt": "2026-11-21T13:00:00Z",
}


@contextmanager
def watching(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inventory]:
    """Let the exporter follow the engine's events."""
    inventory = Inventory(DockerApi(host.engine.address))
    monkeypatch.setattr(exporter, "Inventory", lambda _: inventory)
    stop = threading.Event()
    thread = threading.Thread(target=inventory.watch, args=(stop,))
    thread.start()
    try:
        host.engine.await_streams()
        yield inventory
    finally:
        stop.set()
        thread.join()


def test_what_a_container_is(host: Host) -> None:
    labels = {"com.docker.compose.project": "llm", "com.docker.compose.service": "vllm"}
    one = host.run(1, "one", Config={"Labels": labels})
    host.run(2, "two", Config={"Labels": {"io.podman.compose.project": "pods"}})
    series = host.collect()
    image = {"image": "vllm/vllm-openai:v0.32", "image_id": "sha256:" + "ab" * 32}
    compose = {"compose_project": "llm", "compose_service": "vllm"}
    assert series.one("info", container="one", id=one, **image, **compose) == 1
    assert series.one("info", container="two", compose_project="pods") == 1
    for pairs in series.each("info"):
        assert {name for name, _ in pairs} <= {"container", "id", *image, *compose}


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_told_with_those_that_it_is_not(host: Host, state: str) -> None:
    host.run(1, "one", State={"Status": state})
    series = host.collect()
    told = {one: series.one("state", container="one", state=one) for one in STATES}
    assert told == {one: int(one == state) for one in STATES}


@pytest.mark.parametrize("health", HEALTHS)
def test_health_is_told_where_it_is_checked(host: Host, health: str) -> None:
    host.run(1, "one", State={"Health": {"Status": health}})
    host.run(2, "unchecked")
    series = host.collect()
    told = {one: series.one("health", container="one", status=one) for one in HEALTHS}
    assert told == {one: int(one == health) for one in HEALTHS}
    assert series.names("health") == {"one"}


def test_a_container_that_has_ended_has_an_exit_code_and_no_numbers_of_the_kernels(
    host: Host,
) -> None:
    one = host.run(1, "one", RestartCount=4)
    series = host.collect()
    assert series.one("exit_code") is None
    assert series.one("oom_killed") == 0
    host.change(one, "State", **ENDED)
    series = host.collect()
    assert series.one("exit_code", container="one") == 137
    assert series.one("oom_killed", container="one") == 1
    assert series.one("restarts_total", container="one") == 4
    assert series.one("started_timestamp_seconds") == 1795262401.5
    for name in ("cpu_usage_seconds_total", "memory_usage_bytes", "last_seen", "processes"):
        assert series.one(name) is None
    # Its end is what counted it.
    assert series.one("oom_events_total", name="one") == 2
    assert series.failing() == set()


def test_one_that_never_ran_has_neither_exit_code_nor_start(host: Host) -> None:
    never = {"Status": "created", "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"}
    host.run(1, "one", State=never)
    series = host.collect()
    assert series.one("exit_code") is None
    assert series.one("started_timestamp_seconds") is None
    assert series.one("state", state="created") == 1


def test_events_start_at_zero_and_count(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    one = host.run(1, "one")
    with watching(host, monkeypatch) as inventory:
        series = host.collect()
        assert {series.one("events_total", action=action) for action in ACTIONS} == {0}
        host.change(one, "State", Health={"Status": "unhealthy"})
        actions = ["kill", "die", "start", "health_status: unhealthy", "exec_start: sh", "pause"]
        host.engine.emit(*(event(one, "one", action) for action in actions))
        wait_for(lambda: ("one", "pause") in inventory.events())
        series = host.collect()
    told = {action: series.one("events_total", action=action) for action in ACTIONS}
    assert told == {"start": 1, "die": 1, "oom": 0, "kill": 1, "health_status": 1}
    assert len(series.each("events_total")) == len(ACTIONS)
    assert series.one("health", status="unhealthy") == 1


def test_a_container_is_renamed_and_removed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    one = host.run(1, "one")
    host.run(2, "two")
    with watching(host, monkeypatch):
        assert host.collect().names("cpu_usage_seconds_total") == {"one", "two"}
        host.engine.containers[one]["Name"] = "/other"
        host.engine.emit(event(one, "other", "rename"))
        wait_for(lambda: host.collect().names("info") == {"other", "two"})
        assert host.collect().names("cpu_usage_seconds_total") == {"other", "two"}
        del host.engine.containers[one]
        host.engine.emit(event(one, "other", "destroy"))
        wait_for(lambda: host.collect().names("info") == {"two"})
        assert host.collect().names("cpu_usage_seconds_total") == {"two"}


def test_memory_that_ran_out_is_counted_by_whoever_saw_most(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = host.run(1, "one")
    events = host.kernel.file(one, "memory.events")
    events.write_text("oom_kill 0\n")
    with watching(host, monkeypatch) as inventory:

        def oom(times: int) -> float | None:
            before = inventory.events().get(("one", "oom"), 0)
            host.engine.emit(*(event(one, "one", "oom") for _ in range(times)))
            wait_for(lambda: inventory.events().get(("one", "oom"), 0) == before + times)
            return host.collect().one("oom_events_total")

        assert oom(0) == 0
        assert oom(1) == 1
        # The group of the next run begins anew, and catches up with the events.
        events.write_text("oom_kill 1\n")
        assert oom(0) == 1
        assert oom(2) == 3
        # What no event told.
        events.write_text("oom_kill 9\n")
        assert oom(0) == 9
        events.write_text("oom_kill 0\n")
        assert oom(0) == 9


def test_a_new_container_does_not_inherit_what_befell_its_namesake(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = host.run(1, "one")
    host.kernel.file(one, "memory.events").write_text("oom_kill 0\n")
    with watching(host, monkeypatch) as inventory:
        host.engine.emit(*(event(one, "one", "oom") for _ in range(3)))
        wait_for(lambda: inventory.events().get(("one", "oom")) == 3)
        assert host.collect().one("oom_events_total") == 3
        del host.engine.containers[one]
        two = host.run(2, "one")
        host.kernel.file(two, "memory.events").write_text("oom_kill 0\n")
        host.engine.emit(event(one, "one", "destroy"), event(two, "one", "start"))
        wait_for(lambda: host.collect().one("info", id=number(2)) == 1)
        assert host.collect().one("oom_events_total", name="one") == 0


def test_gpus_are_told_for_those_that_run(host: Host) -> None:
    request = {"Driver": "", "Count": 0, "DeviceIDs": ["GPU-1a", "GPU-2b"]}
    wanted = {"DeviceRequests": [{**request, "Capabilities": [["gpu"]]}]}
    host.run(1, "one", HostConfig=wanted)
    host.run(2, "ended", HostConfig=wanted, State=ENDED)
    host.run(3, "all", HostConfig={"DeviceRequests": [{"Count": -1, "Driver": "nvidia"}]})
    series = host.collect()
    assert series.one("gpu_assigned", container="one", gpu_uuid="GPU-1a") == 1
    assert series.one("gpu_assigned", container="one", gpu_uuid="GPU-2b") == 1
    assert len(series.each("gpu_assigned")) == 2
