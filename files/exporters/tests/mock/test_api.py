"""The API that tells and changes what is played."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from llm_monitor.mock.api import create_router
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.stage import Stage

START = 1_795_000_000.0
FLEET = usual_fleet()
LIBRARY = Library(FLEET)


@pytest.fixture
def stage() -> Stage:
    return Stage(FLEET, LIBRARY, "normal", VirtualClock(START, speed=0.0), up_before=600.0)


class Client:
    """Asks the API of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._app = FastAPI()
        self._app.include_router(create_router(stage))

    def get(self, path: str) -> Response:
        return self.ask("GET", path)

    def put(self, path: str, **body: Any) -> Response:
        return self.ask("PUT", path, **body)

    def post(self, path: str, **body: Any) -> Response:
        return self.ask("POST", path, **body)

    def ask(self, method: str, path: str, **body: Any) -> Response:
        async def ask() -> Response:
            transport = ASGITransport(app=self._app)
            async with AsyncClient(transport=transport, base_url="http://mock") as client:
                return await client.request(method, f"/api/v1{path}", **body)

        return asyncio.run(ask())


@pytest.fixture
def client(stage: Stage) -> Client:
    return Client(stage)


def test_it_tells_what_is_played(client: Client) -> None:
    assert client.get("/scenario").json() == {
        "scenario": "normal",
        "description": LIBRARY.describe()["normal"],
        "settings": {},
        "virtual_time": START,
    }


def test_it_lists_all_scenarios(client: Client) -> None:
    listed = client.get("/scenarios").json()

    assert {"scenario": "failure", "description": LIBRARY.describe()["failure"]} in listed
    assert [one["scenario"] for one in listed] == LIBRARY.names()


def test_another_scenario_is_played_from_now_on(client: Client, stage: Stage) -> None:
    settings = {
        "cpu_load": 0.5,
        "gpu_utilization": 0.8,
        "error_rate": 0.1,
        "request_multiplier": 3,
        "enable_anomalies": False,
    }

    answer = client.put("/scenario", json={"scenario": "failure", "settings": settings})

    assert answer.status_code == 200
    assert (answer.json()["scenario"], answer.json()["settings"]) == ("failure", settings)
    client.post("/scenario/advance", json={"by": "30m"})
    forces = stage.view().state().forces
    assert (forces.load, forces.cpu_load, forces.anomalies) == (3, 0.5, False)
    assert "gpu_lost" in {one.fault for one in forces.faults}


def test_a_scenario_begins_anew_when_it_is_played_again(client: Client, stage: Stage) -> None:
    for _again in range(2):
        client.put("/scenario", json={"scenario": "gpu_lost"})
        client.post("/scenario/advance", json={"by": "4m"})
        assert not stage.view().state().forces.faults
        client.post("/scenario/advance", json={"by": "2m"})
        assert [one.fault for one in stage.view().state().forces.faults] == ["gpu_lost"]


def test_time_passes_at_once_and_counters_rise(client: Client, stage: Stage) -> None:
    before = stage.view().state()

    answer = client.post("/scenario/advance", json={"by": "2h"})

    assert answer.json()["virtual_time"] == START + 7200
    after = stage.view().state()
    assert after.time == START + 7200
    assert (after.serving.completed > before.serving.completed).all()


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("PUT", "/scenario", {"scenario": "doom"}, "'doom' is no scenario"),
        ("PUT", "/scenario", {}, "scenario: Field required"),
        ("PUT", "/scenario", {"scenario": 3}, "scenario: Input should be a valid string"),
        ("PUT", "/scenario", ["normal"], "the body: Input should be a valid dictionary"),
        (
            "PUT",
            "/scenario",
            {"scenario": "normal", "settings": {"error_rate": 2}},
            "settings.error_rate: Input should be less than or equal to 1",
        ),
        (
            "PUT",
            "/scenario",
            {"scenario": "normal", "settings": {"speed": 2}},
            "settings.speed: Extra inputs are not permitted",
        ),
        ("POST", "/scenario/advance", {"by": "-1h"}, "by: Value error, not a duration"),
        ("POST", "/scenario/advance", {"by": "25h"}, "by: Input should be less than or equal"),
    ],
)
def test_what_it_does_not_know_is_refused_with_what_it_does(
    client: Client, stage: Stage, method: str, path: str, body: Any, error: str
) -> None:
    answer = client.ask(method, path, json=body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)
    assert answer.json().keys() - {"error"}
    assert (stage.scenario, stage.now()) == ("normal", START)


def test_an_unknown_scenario_is_answered_with_the_list_of_them(client: Client) -> None:
    answer = client.put("/scenario", json={"scenario": "doom"})

    assert answer.json()["scenarios"] == LIBRARY.names()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000, b'{"scenario": "a"' * 9000])
def test_a_hostile_body_is_refused(client: Client, body: bytes) -> None:
    answer = client.put("/scenario", content=body)

    assert answer.status_code == 400
    assert answer.json()["expected"]["settings"]["error_rate"] == "a ratio from 0 to 1"
