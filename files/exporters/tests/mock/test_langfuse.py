"""The simulated Langfuse, through the exporter's own collectors."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from exporter_testing.langfuse.data import project
from exporter_testing.langfuse.server import PUBLIC_KEY, SECRET_KEY, Langfuse, serving
from exporter_testing.simulated import Life, settings_of, tell
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse import metrics
from llm_monitor.langfuse.exporter import Settings, build
from llm_monitor.langfuse.facts import WINDOWS
from llm_monitor.mock.sources.langfuse import SimulatedRepository
from llm_monitor.mock.world.gateway import LATENCY_BUCKETS

F = "llm_monitor_langfuse_"
HOUR = 3600.0
VARYING = ("model", "name", "python", "version")
KEYS = {"public_key": PUBLIC_KEY, "secret_key": SECRET_KEY}


def everything(exporter: Exporter) -> Exporter:
    """Return an exporter whose background collectors run on a scrape."""
    return replace(exporter, collectors=exporter.all_collectors(), background=())


def exporter(life: Life, server: int = 0) -> Exporter:
    complaints = Complaints("test")
    repository = SimulatedRepository(life.view(server), complaints)
    own = settings_of("langfuse", Settings, url="http://langfuse", **KEYS)
    return everything(build(own, repository, complaints))


@pytest.fixture(scope="module")
def day() -> Life:
    """Return a server that has been up for more than a day."""
    return Life().go_on(25 * HOUR)


def test_families_labels_and_units_are_those_of_the_real_exporter(day: Life) -> None:
    with serving(Langfuse(project())) as langfuse:
        own = settings_of("langfuse", Settings, url=langfuse.url, **KEYS)
        real = tell(everything(build(own)))
    told = tell(exporter(day))
    errors = metrics.UPSTREAM_ERRORS.base_name
    assert {one.base_name for one in metrics.FAMILIES} - told.families.keys() == {errors}
    assert told.families == real.families
    assert told.shapes(VARYING) == real.shapes(VARYING)


def test_windows_grow_and_so_does_what_is_in_them(day: Life) -> None:
    told = tell(exporter(day))
    for family in (metrics.TRACES, metrics.SESSIONS, metrics.USERS):
        windows = told.by(family.name, "window")
        assert 0 < windows["5m",] <= windows["1h",] <= windows["24h",]
    for window in WINDOWS:
        traces = told.one(f"{F}traces", window=window)
        sessions = told.one(f"{F}sessions", window=window)
        observations = sum(told.by(f"{F}observations", "model", window=window).values())
        assert told.one(f"{F}users", window=window) <= sessions <= traces < observations
        scores = told.by(f"{F}scores", "name", window=window)
        assert {name for (name,) in scores} == {"helpfulness", "user-feedback"}
        assert all(0 < count < traces for count in scores.values())
        assert all(0 < mean <= 1 for mean in told.by(f"{F}score_mean", window=window).values())


def test_a_window_is_what_went_through_litellm_meanwhile(day: Life) -> None:
    view = day.view()
    now, seconds = view.state().gateway, 300.0
    before = Life().go_on(25 * HOUR - seconds).view().state().gateway
    told = view.told("traces", seconds)
    ended = now.succeeded - before.succeeded + (now.failed - before.failed).sum(axis=-1)
    assert np.array_equal(told.observations, ended)
    assert np.array_equal(told.errors, now.failed - before.failed)
    assert np.array_equal(told.input_tokens, now.input_tokens - before.input_tokens)
    assert np.array_equal(told.latency, now.latency - before.latency)
    assert told.cost == pytest.approx(now.spend - before.spend)


def test_quantiles_are_those_of_the_gateway_s_latencies(day: Life) -> None:
    told = tell(exporter(day))
    counts = day.view().told("traces", HOUR).latency[0, 0]
    quantiles = told.by(f"{F}latency_seconds", "quantile", window="1h", model="llama3-70b")
    assert list(quantiles.values()) == sorted(quantiles.values())
    for (share,), seconds in quantiles.items():
        place = np.searchsorted(LATENCY_BUCKETS.bounds, seconds)
        assert counts[:place].sum() <= float(share) * counts.sum() <= counts[: place + 1].sum()
    # No first token comes from a model that makes none.
    assert not told.by(f"{F}time_to_first_token_seconds", "quantile", model="bge-large-en")


@pytest.mark.parametrize(
    ("kind", "target"),
    [("langfuse_down", ""), ("container_stop", "langfuse-web"), ("collector_failing", "langfuse")],
)
def test_one_that_is_down_answers_nothing(kind: str, target: str) -> None:
    life = Life().go_on(HOUR)
    asked = exporter(life)
    assert tell(asked).one(f"{F}up") == 1
    life.befall(kind, target).go_on(300)
    told = tell(asked)
    assert told.one(f"{F}up") == 0
    assert told.one(f"{F}collector_success", collector="usage") == 0
    assert not told.by(f"{F}ready") | told.by(f"{F}traces", "window")
    endpoints = tell(asked).by(f"{F}upstream_errors_total", "endpoint")
    assert {"health", "ready", "metrics_v2"} == {endpoint for (endpoint,) in endpoints}


def test_one_that_gets_no_traces_grows_stale_and_recovers() -> None:
    life = Life().go_on(HOUR)
    asked = exporter(life)
    assert tell(asked).one(f"{F}data_age_seconds") <= 30
    life.befall("langfuse_stale").go_on(1200)
    told = tell(asked)
    assert told.one(f"{F}data_age_seconds") == pytest.approx(1200, abs=60)
    assert told.one(f"{F}traces", window="5m") == 0
    assert told.one(f"{F}up") == told.one(f"{F}ready") == 1
    life.heal().go_on(60)
    assert tell(asked).one(f"{F}data_age_seconds") <= 30


def test_failures_and_slowness_please_nobody() -> None:
    def mean(*kinds: str) -> float:
        life = Life()
        for kind in kinds:
            life.befall(kind)
        told = tell(exporter(life.go_on(HOUR)))
        return told.by(f"{F}score_mean", "name", window="1h")["helpfulness",]

    assert mean("provider_errors") < 0.8 * mean()
    assert mean("slow") < mean()


def test_a_poll_stays_recent_by_the_simulation_s_clock(day: Life) -> None:
    asked = exporter(day)
    tell(asked)
    router = asked.router
    assert router is not None
    route: Any = router.routes[0]
    answer = json.loads(asyncio.run(route.endpoint("5m")).body)
    assert answer["source"] == "metrics_v2"
    assert len(answer["models"]) == 6


def test_one_that_was_never_told_anything_has_no_age() -> None:
    life = Life().befall("langfuse_stale").go_on(600)
    poll = SimulatedRepository(life.view(), Complaints("test")).poll(Deadline.after(5))
    assert poll.newest is None
    assert poll.windows["24h"].models == []
