"""Sums that never fall but at LiteLLM's start, whatever it forgets."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter_testing.litellm.server import StandIn, deployment
from exporter_testing.scraping import Values
from llm_monitor.base.metrics.family import Histogram, Value
from llm_monitor.litellm.metrics import REQUEST_LATENCY, REQUESTS
from llm_monitor.litellm.totals import Key, Part, Totals

Scrape = Callable[[], Values]

PLAIN: Key = (REQUESTS, ("plain",))
LATENCY: Key = (REQUEST_LATENCY, ("plain",))


def total(totals: Totals, started: float | None, **users: float) -> Value | None:
    """Return the sum of what LiteLLM has counted for some users since the first reading."""
    parts = [Part(PLAIN, hash(user), value) for user, value in users.items()]
    return totals.settle(started, parts).get(PLAIN)


@pytest.fixture
def totals() -> Totals:
    """Return one that has been there since before LiteLLM counted anything."""
    begun = Totals()
    begun.settle(1, [])
    return begun


def test_label_sets_are_added_up(totals: Totals) -> None:
    assert total(totals, 1, a=3, b=4, c=5) == 12


def test_what_was_counted_before_the_first_reading_is_none_of_it() -> None:
    # As when the exporter is started again: LiteLLM may have forgotten some of that.
    totals = Totals()
    assert total(totals, 1, a=600, b=300) == 0
    assert total(totals, 1, a=601, b=300) == 1
    assert total(totals, 1, a=601, b=300, c=5) == 6


def test_a_label_set_that_litellm_forgets_is_held(totals: Totals) -> None:
    assert total(totals, 1, a=10, b=5) == 15
    assert total(totals, 1, b=5) == 15
    assert total(totals, 1, b=7) == 17
    # It has come back, from 0.
    assert total(totals, 1, b=7, a=1) == 18


def test_what_others_count_meanwhile_does_not_make_up_for_it(totals: Totals) -> None:
    assert total(totals, 1, a=10, b=5) == 15
    assert total(totals, 1, b=15) == 25
    assert total(totals, 1, c=15) == 40
    # It was forgotten, and came back between two readings.
    assert total(totals, 1, c=2, d=13) == 55


Readings = st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)), max_size=12)


@given(Readings)
def test_the_sum_is_what_prometheus_would_make_of_each_label_set(
    readings: list[dict[str, int]],
) -> None:
    totals, last, expected = Totals(), dict[str, int](), 0
    totals.settle(1, [])
    for reading in readings:
        for user, value in reading.items():
            before = last.get(user, 0)
            expected += value - before if value >= before else value
        last = reading
        assert (total(totals, 1, **reading) or 0) == expected


def test_a_model_of_which_all_is_forgotten_is_held_too(totals: Totals) -> None:
    assert total(totals, 1, a=10) == 10
    assert total(totals, 1) == 10
    assert total(totals, 1, a=3) == 13


def test_after_a_restart_all_is_new(totals: Totals) -> None:
    assert total(totals, 1, a=10) == 10
    # More than before, and none of it counted yet.
    assert total(totals, 2, a=12) == 22
    assert total(totals, 2) == 22


def test_a_fall_of_several_workers_is_a_restart(totals: Totals) -> None:
    assert total(totals, None, a=10) == 10
    assert total(totals, None, a=3) == 13


def test_several_litellms_behind_one_address_are_no_restarts(totals: Totals) -> None:
    expected = total(totals, 2, a=10)
    for started in (1, 2, 1, 2):
        assert total(totals, started, a=10) == expected


def test_a_count_goes_to_the_model_that_is_known_by_then(totals: Totals) -> None:
    unknown: Key = (REQUESTS, ("other",))
    totals.settle(1, [Part(unknown, 1, 10), Part(None, 2, 20)])
    settled = totals.settle(1, [Part(PLAIN, 1, 13), Part(PLAIN, 2, 21)])
    assert settled == {unknown: 10, PLAIN: 4}


def test_histograms_are_held_bucket_by_bucket(totals: Totals) -> None:
    first, second = Histogram((1.0,), (2, 5), 9.0), Histogram((1.0,), (1, 1), 0.5)
    parts = [Part(LATENCY, 1, first), Part(LATENCY, 2, second)]
    assert totals.settle(1, parts)[LATENCY] == Histogram((1.0,), (3, 6), 9.5)
    assert totals.settle(1, parts[1:])[LATENCY] == Histogram((1.0,), (3, 6), 9.5)
    assert totals.settle(1, [])[LATENCY] == Histogram((1.0,), (3, 6), 9.5)


def test_of_a_histogram_too_only_what_is_new_is_told() -> None:
    totals = Totals()
    first, second = Histogram((1.0,), (2, 5), 9.0), Histogram((1.0,), (2, 6), 12.0)
    assert totals.settle(1, [Part(LATENCY, 1, first)])[LATENCY] == Histogram((1.0,), (0, 0), 0)
    assert totals.settle(1, [Part(LATENCY, 1, second)])[LATENCY] == Histogram((1.0,), (0, 1), 3)
    other = Histogram((2.0,), (1, 1), 1.0)
    assert totals.settle(1, [Part(LATENCY, 1, other)])[LATENCY] == Histogram((1.0,), (0, 1), 3)


def test_keys_users_and_teams_are_summed_and_a_forgotten_user_is_held(
    proxy: StandIn, follow: Scrape
) -> None:
    def spend(user: str, usd: float) -> str:
        labels = f'requested_model="m",model_id="1",user="{user}",hashed_api_key="{user}-key"'
        return f"litellm_spend_metric_total{{{labels}}} {usd}\n"

    proxy.models(deployment("m", "1"))
    started = "process_start_time_seconds 5\n"
    key = ("llm_monitor_litellm_spend_usd_total", "m")
    proxy.metrics(started + spend("planted-a", 2) + spend("planted-b", 0.5))
    assert follow()[key] == 2.5
    proxy.metrics(started + spend("planted-a", 2.25))
    values = follow()
    assert values[key] == 2.75
    assert "planted" not in str(values)


def test_an_exporter_that_is_started_again_tells_nothing_twice(
    proxy: StandIn, scraping: Callable[..., Scrape]
) -> None:
    def spent(**users: int) -> None:
        lines = (
            f'litellm_spend_metric_total{{model_id="1",user="{user}"}} {usd}\n'
            for user, usd in users.items()
        )
        proxy.metrics("".join(lines) + "process_start_time_seconds 5\n")

    proxy.models(deployment("m", "1"))
    key = ("llm_monitor_litellm_spend_usd_total", "m")
    spent(a=900, b=2100)
    before, after = scraping(), scraping()
    assert before()[key] == 0
    spent(a=905)
    assert before()[key] == 5
    assert after()[key] == 0
    spent(a=907)
    assert before()[key] == 7
    assert after()[key] == 2


def test_the_views_of_several_workers_are_one(proxy: StandIn, follow: Scrape) -> None:
    proxy.models(deployment("m", "1"), deployment("n", "2"))
    state = "litellm_deployment_state"
    proxy.filters = False
    proxy.metrics(
        f'{state}{{model_id="1",pid="7"}} 2\n{state}{{model_id="1",pid="8"}} 0\n'
        f'{state}{{model_id="2",pid="7"}} 2\n{state}{{model_id="2",pid="8"}} 2\n'
        'litellm_deployment_cooled_down_total{model_id="1"} 1\n'
        'litellm_deployment_cooled_down_total{model_id="2"} 1\n'
        "litellm_in_flight_requests 4\n"
    )
    values = follow()
    assert values["llm_monitor_litellm_model_available", "m", "1"] == 1
    assert values["llm_monitor_litellm_model_available", "n", "2"] == 0
    assert values["llm_monitor_litellm_requests_in_flight",] == 3


def test_latencies_of_a_forgotten_user_are_held_while_another_is_served(
    proxy: StandIn, follow: Scrape
) -> None:
    def served(user: str, count: int) -> str:
        name, labels = "litellm_request_total_latency_metric", f'model_id="1",user="{user}"'
        parts = [f'bucket{{{labels},le="{bound}"}}' for bound in ("1", "+Inf")]
        parts += [f"{part}{{{labels}}}" for part in ("sum", "count")]
        return "".join(f"{name}_{part} {count}\n" for part in parts)

    proxy.models(deployment("m", "1"))
    started = "process_start_time_seconds 5\n"
    proxy.metrics(started + served("a", 3) + served("b", 1))
    assert follow()["llm_monitor_litellm_request_latency_seconds_count", "m"] == 4
    proxy.metrics(started + served("b", 4))
    values = follow()
    assert values["llm_monitor_litellm_request_latency_seconds_count", "m"] == 7
    assert values["llm_monitor_litellm_request_latency_seconds_sum", "m"] == 7
