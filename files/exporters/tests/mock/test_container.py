"""The simulated containers through the container exporter's own collectors."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_testing.cgroups import Kernel
from exporter_testing.docker_api import DockerStandIn, serving
from exporter_testing.simulated import START, Life, Told, settings_of, tell
from llm_monitor.base.exporter import Exporter
from llm_monitor.container.exporter import Settings, build
from llm_monitor.mock.identity import container_id, gpu_uuid
from llm_monitor.mock.sources.container import SimulatedContainers
from llm_monitor.mock.sources.docker import SimulatedEngine, SimulatedGpuUse

C = "llm_monitor_container_"
HOUR = 3600.0
STEP = 30.0
MODEL = "vllm-llama3-70b"
# What is the host's own, or its containers'.
VARYING = ("id", "image", "image_id", "name", "container", "device", "gpu_uuid", "interface")
BUILD = ("python", "version", "compose_project", "compose_service")
EVENTS = ("restarts_total", "events_total", "started_timestamp_seconds")
NEEDED = {
    "Healthcheck": {"Test": ["CMD", "true"]},
    "Labels": {"com.docker.compose.project": "a", "com.docker.compose.service": "b"},
    "Env": ["NVIDIA_VISIBLE_DEVICES=GPU-a"],
}


def exporter(life: Life) -> Exporter:
    view = life.view()
    source = SimulatedContainers(view, SimulatedEngine(view), SimulatedGpuUse(view))
    return build(settings_of("container", Settings), source, view.time, view.time)


def told(life: Life) -> Told:
    return tell(exporter(life))


@pytest.fixture(scope="module")
def usual() -> Told:
    return told(Life().go_on(2 * HOUR))


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Told]:
    """What the exporter tells of one container that runs and of one that has ended."""
    with serving(DockerStandIn(), tmp_path / "docker.sock") as engine:
        kernel = Kernel(tmp_path, "v2", "/docker/{}")
        state = {"Health": {"Status": "healthy"}, "StartedAt": "2026-11-20T08:00:01Z"}
        engine.add("a" * 64, "a", State={"Pid": 4200, **state}, Config=NEEDED)
        kernel.add("a" * 64, 4200)
        ended = {"Pid": 0, "Status": "exited", "Running": False, "ExitCode": 1, **state}
        engine.add("b" * 64, "b", State=ended, Config=NEEDED)
        yield tell(
            build(settings_of("container", Settings, docker=engine.address, **kernel.settings))
        )


def test_families_labels_and_units_are_those_of_the_real_exporter(real: Told) -> None:
    simulated = told(Life().go_on(HOUR).befall("container_stop", "nginx").go_on(2 * STEP))

    assert simulated.families == real.families
    free = (*VARYING, *BUILD)
    # The watcher of the engine's events has no part in a simulation.
    watcher = "collector", "docker_events"
    there = {one for one in real.shapes(free) if watcher not in one[1]}
    assert simulated.shapes(free) == there


def test_each_container_of_the_fleet_is_there_and_well(usual: Told) -> None:
    names = {name for (name,) in usual.by(f"{C}info", "container")}
    assert len(names) == 13
    assert usual.by(f"{C}state", "container", state="running") == {(one,): 1 for one in names}
    assert set(usual.by(f"{C}health", "container", status="healthy").values()) == {1}
    assert set(usual.by(f"{C}readable", "container").values()) == {1}
    assert set(usual.by(f"{C}collector_success", "collector").values()) == {1}
    assert usual.one(f"{C}info", container=MODEL, id=container_id(0, MODEL)) == 1


def test_what_it_uses_is_plausible(usual: Told) -> None:
    cores = usual.one("container_cpu_usage_seconds_total", name=MODEL) / (2 * HOUR)
    assert 1 < cores < 10
    for name in ("container_cpu_user_seconds_total", "container_network_receive_bytes_total"):
        assert usual.one(name, name=MODEL) > 0
    usage = usual.by("container_memory_usage_bytes", "name")
    for (name,), limit in usual.by("container_spec_memory_limit_bytes", "name").items():
        assert usage[name,] < limit
    assert usual.one("container_spec_cpu_quota", name="litellm") == 800_000
    assert usual.one("container_processes", name=MODEL) == 4


def test_gpus_are_those_that_the_models_run_on(usual: Told) -> None:
    assigned = usual.by(f"{C}gpu_assigned", "gpu_uuid", container=MODEL)
    assert set(assigned) == {(gpu_uuid(0, 0),), (gpu_uuid(0, 1),)}
    assert len(usual.by(f"{C}gpu_assigned", "gpu_uuid")) == 8


def of_api(life: Life, name: str) -> dict[str, object]:
    app = FastAPI()
    router = exporter(life).router
    assert router is not None
    app.include_router(router)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            return await client.get("/api/v1/containers")

    return next(one for one in asyncio.run(ask()).json() if one["name"] == name)


def test_the_api_goes_by_the_simulations_clock_and_knows_the_memory() -> None:
    one = of_api(Life().go_on(HOUR), MODEL)
    assert one["uptime_seconds"] == HOUR + 900
    assert one["gpus"]["method"] == "processes"
    held = one["gpus"]["memory_used_bytes"]
    assert set(held) == {gpu_uuid(0, 0), gpu_uuid(0, 1)}
    assert all(130e9 < size < 150e9 for size in held.values())


@pytest.mark.parametrize("kind", ["collector_failing", "exporter_down"])
def test_without_the_gpu_exporter_what_was_asked_for_tells_the_gpus(kind: str) -> None:
    one = of_api(Life().go_on(STEP).befall(kind, "gpu").go_on(2 * STEP), MODEL)
    assert one["gpus"] == {
        "method": "device_requests",
        "uuids": sorted((gpu_uuid(0, 0), gpu_uuid(0, 1))),
        "indexes": [0, 1],
        "memory_used_bytes": {},
    }


def test_a_leak_shows_as_another_containers_memory() -> None:
    leaking = told(Life().go_on(STEP).befall("gpu_memory_leak", "7").go_on(HOUR))
    assert len(leaking.by(f"{C}gpu_assigned", "container", gpu_uuid=gpu_uuid(0, 7))) == 2


@pytest.mark.parametrize(("code", "kills"), [(0, 0), (1, 0), (143, 1)])
def test_container_stop_ends_it_with_its_code(code: int, kills: int) -> None:
    life = Life().go_on(HOUR).befall("container_stop", "redis", code).go_on(4 * STEP)
    down = told(life)
    assert down.one(f"{C}state", container="redis", state="exited") == 1
    assert down.one(f"{C}exit_code", container="redis") == code
    assert down.one(f"{C}info", container="redis", compose_service="redis") == 1
    ended = {"die": 1, "kill": kills} if kills else {"die": 1}
    assert events(down, "redis") == ended
    assert ("redis",) not in down.by("container_cpu_usage_seconds_total", "name")
    again = told(life.heal().go_on(2 * STEP))
    assert again.one(f"{C}state", container="redis", state="running") == 1
    assert again.one(f"{C}restarts_total", container="redis") == 0
    assert events(again, "redis") == ended | {"start": 1}


def events(found: Told, name: str) -> dict[str, float]:
    counts = found.by(f"{C}events_total", "action", container=name)
    return {action: count for (action,), count in counts.items() if count}


def test_restart_loop_counts_restarts_and_begins_control_groups_anew() -> None:
    life = Life().go_on(HOUR)
    before = told(life)
    after = told(life.befall("restart_loop", "redis").go_on(900))
    restarts = after.one(f"{C}restarts_total", container="redis")
    assert restarts > 3
    assert events(after, "redis") == {"die": restarts, "start": restarts}
    started = f"{C}started_timestamp_seconds"
    assert after.one(started, container="redis") > before.one(started, container="redis")
    usage = "container_cpu_usage_seconds_total"
    assert after.one(usage, name="redis") < before.one(usage, name="redis")


def test_container_oom_counts_in_all_that_the_alert_asks() -> None:
    life = Life().go_on(STEP).befall("container_oom", "clickhouse", 60).go_on(900)
    found = told(life)
    killed = events(found, "clickhouse")["oom"]
    assert killed > 0
    assert found.one("container_oom_events_total", name="clickhouse") == killed
    assert found.one(f"{C}oom_killed", container="clickhouse") == 0
    stopped = told(life.befall("container_stop", "clickhouse").go_on(2 * STEP))
    assert stopped.one(f"{C}exit_code", container="clickhouse") in (1, 137)


def test_unhealthy_runs_on_and_tells_both_turns() -> None:
    life = Life().go_on(STEP).befall("unhealthy", "litellm").go_on(2 * STEP)
    sick = told(life)
    assert sick.one(f"{C}health", container="litellm", status="unhealthy") == 1
    assert sick.one(f"{C}state", container="litellm", state="running") == 1
    assert events(sick, "litellm") == {"health_status": 1}
    well = told(life.heal().go_on(2 * STEP))
    assert well.one(f"{C}health", container="litellm", status="healthy") == 1
    assert events(well, "litellm") == {"health_status": 2}
    assert ("redis",) not in well.by(f"{C}health", "container")


def test_cpu_throttled_reaches_the_limit_in_its_share_of_the_periods() -> None:
    life = Life().go_on(HOUR)
    before = told(life)
    after = told(life.befall("cpu_throttled", "langfuse-worker", 0.5).go_on(600))
    names = "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"
    periods, throttled = (
        after.one(name, name="langfuse-worker") - before.one(name, name="langfuse-worker")
        for name in names
    )
    assert periods / 600 >= 1
    assert throttled / periods == pytest.approx(0.5, abs=0.03)
    assert after.one("container_cpu_cfs_throttled_seconds_total", name="langfuse-worker") > 0
    usage = "container_cpu_usage_seconds_total"
    cores = after.one(usage, name="langfuse-worker") - before.one(usage, name="langfuse-worker")
    assert cores / 600 == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(("kind", "target"), [("gpu_lost", "1"), ("unserved", "llama3-70b")])
def test_a_model_without_its_gpu_or_its_server_is_down(kind: str, target: str) -> None:
    down = told(Life().go_on(STEP).befall(kind, target).go_on(2 * STEP))
    assert down.by(f"{C}state", "container", state="exited") == {
        (name,): float(name == MODEL) for (name,) in down.by(f"{C}info", "container")
    }
    assert len(down.by(f"{C}gpu_assigned", "gpu_uuid")) == 6


def test_a_model_that_loads_is_starting() -> None:
    life = Life().go_on(STEP).befall("container_stop", MODEL).go_on(2 * STEP).heal()
    loading = told(life.go_on(2 * STEP))
    assert loading.one(f"{C}health", container=MODEL, status="starting") == 1
    loaded = told(life.go_on(5 * STEP))
    assert loaded.one(f"{C}health", container=MODEL, status="healthy") == 1


def test_collector_failing_fails_all_of_them() -> None:
    life = Life().go_on(STEP)
    one = exporter(life)
    assert set(tell(one).by(f"{C}collector_success", "collector").values()) == {1}
    life.befall("collector_failing", "container").go_on(2 * STEP)
    failing = {
        name for (name,), ok in tell(one).by(f"{C}collector_success", "collector").items() if not ok
    }
    # That containers' groups were there once, and their GPUs, is known from elsewhere.
    assert {
        "presence",
        "events",
        "cpu",
        "memory",
        "limits",
        "network",
        "disk",
        "process",
    } <= failing


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["container_stop", "restart_loop", "container_oom", "unhealthy", "cpu_throttled"]
        ),
        st.sampled_from(["redis", "litellm", "clickhouse", MODEL]),
        st.integers(0, 20),
    ),
    max_size=4,
)


@given(faults=FAULTS, seconds=st.lists(st.integers(1, 400), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_what_the_engine_counts_never_falls_and_groups_begin_anew_at_a_start_only(
    faults: list[tuple[str, str, int]], seconds: list[int]
) -> None:
    life = Life().go_on(STEP)
    one = exporter(life)
    earlier = tell(one).series
    for kind, target, _ in faults:
        life.befall(kind, target)
    for pause in seconds:
        later = tell(one) if life.go_on(pause) else None
        assert later is not None
        for (name, labels), value in later.series.items():
            before = earlier.get((name, labels), 0.0)
            if name in (f"{C}restarts_total", f"{C}events_total", "container_oom_events_total"):
                assert value >= before, name
            elif name.endswith("_total") and name.startswith("container_") and value < before:
                (container,) = (text for label, text in labels if label == "name")
                assert later.one(f"{C}started_timestamp_seconds", container=container) > START
        earlier = later.series
        if life.moment > START + 3 * 100:
            life.heal()
