"""The simulated event store, through the exporter's own collectors."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from exporter_testing.event_store import EventStore, event
from exporter_testing.simulated import Life, settings_of, tell
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.llmops import metrics, reasons
from llm_monitor.llmops.exporter import Settings, build, build_over
from llm_monitor.llmops.facts import WINDOWS
from llm_monitor.mock.sources.llmops import SimulatedEvents
from llm_monitor.mock.world.gateway import REASONS

F = "llm_monitor_llmops_"
HOUR = 3600.0
VARYING = ("operation", "model", "reason", "python", "version")


def everything(exporter: Exporter) -> Exporter:
    """Return an exporter whose background collectors run on a scrape."""
    return replace(exporter, collectors=exporter.all_collectors(), background=())


def exporter(life: Life, server: int = 0) -> Exporter:
    complaints = Complaints("test")
    own = settings_of("llmops", Settings, database="postgresql://events/events")
    return everything(build_over(own, SimulatedEvents(life.view(server), complaints), complaints))


@pytest.fixture(scope="module")
def day() -> Life:
    """Return a server that has been up for more than a day."""
    return Life().go_on(25 * HOUR)


def test_families_labels_and_units_are_those_of_the_real_exporter(day: Life) -> None:
    store = EventStore()
    try:
        own = settings_of("llmops", Settings, database=store.anew())
        store.write([event(10, first=0.1, cost=1, error="TimeoutError", session="s")])
        real = tell(everything(build(own)))
    finally:
        store.server.remove()
    told = tell(exporter(day))
    errors = metrics.UPSTREAM_ERRORS.base_name
    assert {one.base_name for one in metrics.FAMILIES} - told.families.keys() == {errors}
    assert told.families == real.families
    assert told.shapes(VARYING) == real.shapes(VARYING)


def test_windows_grow_and_so_does_what_is_in_them(day: Life) -> None:
    told = tell(exporter(day))
    windows = told.by(f"{F}sessions", "window")
    assert 0 < windows["5m",] < windows["1h",] < windows["24h",]
    for window in WINDOWS:
        requests = sum(told.by(f"{F}requests", "operation", "model", window=window).values())
        errors = sum(told.by(f"{F}errors", "operation", "model", window=window).values())
        by_reason = told.by(f"{F}errors_by_reason", "operation", "reason", window=window)
        assert told.one(f"{F}sessions", window=window) < requests
        assert errors == sum(by_reason.values()) < requests
        assert {reason for _, reason in by_reason} <= set(REASONS)


def test_the_world_fails_for_reasons_that_the_exporter_knows() -> None:
    assert set(REASONS) <= set(reasons.ALL)


def test_applications_report_what_went_through_litellm(day: Life) -> None:
    view = day.view()
    told = tell(exporter(day))
    events = view.told("events", HOUR)
    for place, model in enumerate(view.plan.routes.names):
        assert told.one(f"{F}requests", window="1h", model=model) == events.observations[0, place]
        tokens = told.by(f"{F}tokens", "direction", window="1h", model=model)
        assert tokens["input",] == events.input_tokens[0, place]
        cost = told.one(f"{F}cost_usd", window="1h", model=model)
        assert cost == pytest.approx(events.cost[0, place])
        latency = told.by(f"{F}latency_seconds", "quantile", window="1h", model=model)
        assert list(latency.values()) == sorted(latency.values())
    # No first token comes from a model that makes none.
    assert not told.by(f"{F}time_to_first_token_seconds", "quantile", model="bge-large-en")


def test_one_that_is_away_answers_nothing() -> None:
    life = Life().go_on(HOUR)
    asked = exporter(life)
    assert tell(asked).one(f"{F}up") == 1
    life.befall("collector_failing", "llmops").go_on(300)
    told = tell(asked)
    assert told.one(f"{F}up") == 0
    assert told.one(f"{F}collector_success", collector="usage") == 0
    assert not told.by(f"{F}requests", "window")
    counts = tell(asked).by(f"{F}upstream_errors_total", "endpoint", "reason")
    assert counts.keys() == {("database", "connection")}


def test_applications_report_whatever_becomes_of_langfuse() -> None:
    life = Life().go_on(HOUR).befall("langfuse_stale").go_on(1200)
    told = tell(exporter(life))
    assert told.one(f"{F}data_age_seconds") <= 30
    assert sum(told.by(f"{F}requests", "model", window="5m").values()) > 0
    assert not life.view().told("traces", 300.0).observations.sum()


def test_failures_show_by_their_reason() -> None:
    life = Life().befall("provider_errors", "llama3-70b", 0.5).go_on(HOUR)
    told = tell(exporter(life))
    by_reason = told.by(f"{F}errors_by_reason", "reason", window="1h", operation="answer_question")
    assert by_reason["server_error",] > 10
    model = {"window": "1h", "model": "llama3-70b"}
    assert told.one(f"{F}errors", **model) > 0.3 * told.one(f"{F}requests", **model)


def test_the_json_api_tells_of_the_simulation(day: Life) -> None:
    asked = exporter(day)
    tell(asked)
    router = asked.router
    assert router is not None
    routes: dict[str, Any] = {route.path: route for route in router.routes}  # type: ignore[attr-defined]
    models = json.loads(asyncio.run(routes["/api/v1/models"].endpoint("24h")).body)["models"]
    assert {one["model"] for one in models} == set(day.view().plan.routes.names)
    session = routes["/api/v1/sessions/{session_id:path}"].endpoint("session-1", "24h")
    assert session.status_code == 404


def test_a_server_that_nobody_asked_yet_has_no_age() -> None:
    life = Life()
    poll = SimulatedEvents(life.view(), Complaints("test")).poll(Deadline.after(5))
    assert poll.newest is None
    assert not poll.windows["24h"].pairs
