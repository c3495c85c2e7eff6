"""Many simulated servers, each scraped at paths of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from exporter_testing.process import free_port, wait_for
from exporter_testing.prometheus import prometheus, query
from exporter_testing.simulated import Told, settings_of, tell
from llm_monitor.base.collection.engine import Limits
from llm_monitor.base.errors import SettingsError
from llm_monitor.mock.api import create_router
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.exporter import Settings, build
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.parts import PLAYED, play
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.servers import Servers, add_servers
from llm_monitor.mock.stage import Stage

START = 1_795_000_000.0
FLEET = usual_fleet()
LIBRARY = Library(FLEET)
NAMES = ["mock-001", "mock-002", "mock-003"]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SCRAPE_CONFIGS = """\
- job_name: mock
  scrape_interval: 2s
  scrape_timeout: 2s
  http_sd_configs: [{{url: 'http://127.0.0.1:{port}/api/v1/targets', refresh_interval: 2s}}]
"""


class Rack:
    """Three servers that live through a scenario, and who asks for them."""

    def __init__(self, scenario: str = "normal", seed: int = 1) -> None:
        clock = VirtualClock(START, speed=0.0)
        self.stage = Stage(FLEET, LIBRARY, scenario, clock, seed, len(NAMES), up_before=600.0)
        router = create_router(self.stage)
        limits = Limits(min_interval=0.0, per_family=2000, total=20_000)
        add_servers(router, Servers(self.stage, PLAYED, limits))
        self._app = FastAPI()
        self._app.include_router(router)

    def get(self, path: str, **headers: str) -> Response:
        async def ask() -> Response:
            transport = ASGITransport(app=self._app)
            async with AsyncClient(transport=transport, base_url="http://mock:9910") as client:
                return await client.get(f"/api/v1{path}", headers=headers)

        return asyncio.run(ask())

    @contextmanager
    def served(self) -> Iterator[int]:
        """Serve on a port, which is given."""
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(self._app, port=port, log_config=None))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield port
        finally:
            server.should_exit = True
            thread.join()

    def told(self, server: str, exporter: str) -> Told:
        answer = self.get(f"/servers/{server}/{exporter}/metrics", accept=OPENMETRICS)
        assert answer.status_code == 200
        return Told.of(answer.text)


def simulated(told: Told) -> dict[object, float]:
    """Return the series but those that tell of the collection itself."""
    own = ("_collector_", "_collections_", "_last_success_")
    return {one: value for one, value in told.series.items() if not any(x in one[0] for x in own)}


@pytest.fixture(scope="module")
def rack() -> Rack:
    return Rack()


@pytest.mark.parametrize("exporter", PLAYED)
def test_each_server_tells_what_one_alone_would(rack: Rack, exporter: str) -> None:
    told = [rack.told(name, exporter) for name in NAMES]

    (alone,) = play(rack.stage.view(), [exporter])
    assert told[0].families.keys() >= tell(alone).families.keys()
    assert all(one.families == told[0].families for one in told)


def test_what_other_exporters_have_in_the_background_is_there_at_the_first_scrape() -> None:
    told = Rack().told("mock-003", "langfuse")

    assert told.by("llm_monitor_langfuse_observations")


@pytest.mark.parametrize("exporter", PLAYED)
def test_servers_differ_but_are_the_same_in_every_run(rack: Rack, exporter: str) -> None:
    first, second, third = (simulated(rack.told(name, exporter)) for name in NAMES)

    assert first != second != third != first
    # Asked alone, and without the others having been asked before.
    assert simulated(Rack().told("mock-002", exporter)) == second
    assert simulated(Rack(seed=2).told("mock-002", exporter)) != second


def test_counters_only_rise() -> None:
    rack = Rack()
    before = {(name, one): rack.told(name, one) for name in NAMES for one in PLAYED}
    rack.stage.advance(100)
    rose = 0
    for (name, exporter), told in before.items():
        after = rack.told(name, exporter)
        for key, value in told.series.items():
            if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
                assert after.series[key] >= value
                rose += after.series[key] > value
    assert rose > 1000


def test_prometheus_is_told_of_every_exporter_of_every_server(rack: Rack) -> None:
    targets = rack.get("/targets").json()

    assert {(one["labels"]["instance"], one["labels"]["job"]) for one in targets} == {
        (name, exporter) for name in NAMES for exporter in PLAYED
    }
    assert targets[1] == {
        "targets": ["mock:9910"],
        "labels": {
            "__metrics_path__": "/api/v1/servers/mock-001/gpu/metrics",
            "instance": "mock-001",
            "job": "gpu",
        },
    }


def test_a_host_that_is_none_is_no_target(rack: Rack) -> None:
    assert rack.get("/targets", host="a b/c").status_code == 400


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("mock-004/gpu", "there is no server 'mock-004'; there are mock-001 to mock-003"),
        ("mock-001/disk", f"there is no exporter 'disk'; there are {', '.join(PLAYED)}"),
    ],
)
def test_who_is_not_there_is_answered_with_who_is(rack: Rack, path: str, sentence: str) -> None:
    answer = rack.get(f"/servers/{path}/metrics")

    assert (answer.status_code, answer.text) == (404, f"{sentence}\n")


def test_a_fault_befalls_all_of_them() -> None:
    rack = Rack("exporter_down")
    rack.stage.advance(400)
    (fault,) = rack.stage.view().state().forces.faults
    states = {
        (exporter, rack.get(f"/servers/{name}/{exporter}/metrics").status_code)
        for name in NAMES
        for exporter in PLAYED
    }
    assert states == {(one, 503 if one == fault.target else 200) for one in PLAYED}


def test_they_share_their_threads() -> None:
    rack = Rack()
    others = set(threading.enumerate())
    for name in NAMES:
        for exporter in PLAYED:
            rack.told(name, exporter)
    names = [one.name for one in set(threading.enumerate()) - others]
    assert sorted(names) == ["mock-collect", "mock-read"]


def test_an_exporter_of_many_servers_has_no_port_of_its_own() -> None:
    settings_of("mock", Settings, servers=1, exporters="node,gpu=9445")
    with pytest.raises(SettingsError) as raised:
        settings_of("mock", Settings, servers=2, exporters="node,gpu=9445")
    (problem,) = raised.value.problems
    assert "gpu=9445 gives a port to one server, but servers is 2; expected 1, or" in problem


def test_the_mock_itself_tells_of_itself_only() -> None:
    mock = build(settings_of("mock", Settings, servers=2), VirtualClock(START, speed=0.0))

    assert {name for name, _ in simulated(tell(mock))} == {
        "llm_monitor_mock_build_info",
        "llm_monitor_mock_scenario_info",
        "llm_monitor_mock_up",
        "llm_monitor_mock_virtual_time_seconds",
    }
    assert not mock.parts


@pytest.mark.slow
def test_one_job_of_a_real_prometheus_scrapes_them_all(rack: Rack, tmp_path: Path) -> None:
    with (
        rack.served() as mock,
        prometheus(tmp_path, SCRAPE_CONFIGS.format(port=mock)) as port,
    ):
        every = len(NAMES) * len(PLAYED)
        assert query(port, f"count(up == 1) == {every}") == every
        assert query(port, 'count(up{job="gpu",instance=~"mock-00[123]"})') == 3
        assert query(port, "count(count by (gpu_uuid) (llm_monitor_gpu_info)) == 24") == 24
        assert query(port, 'count(llm_monitor_node_cpus{instance="mock-002"})') == 1
