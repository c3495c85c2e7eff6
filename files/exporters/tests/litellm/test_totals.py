"""Sums that never fall but at LiteLLM's start, whatever it forgets."""

from collections.abc import Callable

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
    """Return the sum of what LiteLLM has counted for some users."""
    parts = [Part(PLAIN, hash(user), value) for user, value in users.items()]
    return totals.settle(started, parts).get(PLAIN)


def test_label_sets_are_added_up() -> None:
    assert total(Totals(), 1, a=3, b=4, c=5) == 12


def test_a_label_set_that_litellm_forgets_is_held() -> None:
    totals = Totals()
    assert total(totals, 1, a=10, b=5) == 15
    assert total(totals, 1, b=5) == 15
    assert total(totals, 1, b=7) == 17
    # It has come back, from 0.
    assert total(totals, 1, b=7, a=1) == 18


def test_what_others_count_meanwhile_does_not_make_up_for_it() -> None:
    totals = Totals()
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
    for reading in readings:
        for user, value in reading.items():
            before = last.get(user, 0)
            expected += value - before if value >= before else value
        last = reading
        assert (total(totals, 1, **reading) or 0) == expected


def test_a_model_of_which_all_is_forgotten_is_held_too() -> None:
    totals = Totals()
    assert total(totals, 1, a=10) == 10
    assert total(totals, 1) == 10
    assert total(totals, 1, a=3) == 13


def test_a_restart_is_a_reset() -> None:
    totals = Totals()
    assert total(totals, 1, a=10) == 10
    assert total(totals, 2, a=3) == 3
    assert total(totals, 2) == 3


def test_several_workers_never_forget_so_a_fall_is_a_restart() -> None:
    totals = Totals()
    assert total(totals, None, a=10) == 10
    assert total(totals, None, a=3) == 3


def test_histograms_are_held_bucket_by_bucket() -> None:
    totals = Totals()
    first, second = Histogram((1.0,), (2, 5), 9.0), Histogram((1.0,), (1, 1), 0.5)
    parts = [Part(LATENCY, 1, first), Part(LATENCY, 2, second)]
    assert totals.settle(1, parts)[LATENCY] == Histogram((1.0,), (3, 6), 9.5)
    assert totals.settle(1, parts[1:])[LATENCY] == Histogram((1.0,), (3, 6), 9.5)
    assert totals.settle(1, [])[LATENCY] == Histogram((1.0,), (3, 6), 9.5)


def test_keys_users_and_teams_are_summed_and_a_forgotten_user_is_held(
    proxy: StandIn, scrape: Scrape
) -> None:
    def spend(user: str, usd: float) -> str:
        labels = f'requested_model="m",model_id="1",user="{user}",hashed_api_key="{user}-key"'
        return f"litellm_spend_metric_total{{{labels}}} {usd}\n"

    proxy.models(deployment("m", "1"))
    started = "process_start_time_seconds 5\n"
    key = ("llm_monitor_litellm_spend_usd_total", "m")
    proxy.metrics(started + spend("planted-a", 2) + spend("planted-b", 0.5))
    assert scrape()[key] == 2.5
    proxy.metrics(started + spend("planted-a", 2.25))
    values = scrape()
    assert values[key] == 2.75
    assert "planted" not in str(values)


def test_the_views_of_several_workers_are_one(proxy: StandIn, scrape: Scrape) -> None:
    proxy.models(deployment("m", "1"), deployment("n", "2"))
    state = "litellm_deployment_state"
    proxy.filters = False
    proxy.metrics(
        f'{state}{{model_id="1",pid="7"}} 2\n{state}{{model_id="1",pid="8"}} 0\n'
        f'{state}{{model_id="2",pid="7"}} 2\n{state}{{model_id="2",pid="8"}} 2\n'
        "litellm_in_flight_requests 4\n"
    )
    values = scrape()
    assert values["llm_monitor_litellm_model_available", "m", "1"] == 1
    assert values["llm_monitor_litellm_model_available", "n", "2"] == 0
    assert values["llm_monitor_litellm_requests_in_flight",] == 3


def test_latencies_of_a_forgotten_user_are_held_while_another_is_served(
    proxy: StandIn, scrape: Scrape
) -> None:
    def served(user: str, count: int) -> str:
        name, labels = "litellm_request_total_latency_metric", f'model_id="1",user="{user}"'
        parts = [f'bucket{{{labels},le="{bound}"}}' for bound in ("1", "+Inf")]
        parts += [f"{part}{{{labels}}}" for part in ("sum", "count")]
        return "".join(f"{name}_{part} {count}\n" for part in parts)

    proxy.models(deployment("m", "1"))
    started = "process_start_time_seconds 5\n"
    proxy.metrics(started + served("a", 3) + served("b", 1))
    assert scrape()["llm_monitor_litellm_request_latency_seconds_count", "m"] == 4
    proxy.metrics(started + served("b", 4))
    values = scrape()
    assert values["llm_monitor_litellm_request_latency_seconds_count", "m"] == 7
    assert values["llm_monitor_litellm_request_latency_seconds_sum", "m"] == 7
