"""Sums that never fall but at LiteLLM's start, whatever it forgets."""

from collections.abc import Callable

from exporter_testing.litellm import StandIn, deployment
from exporter_testing.scraping import Values
from llm_monitor.base.metrics.family import Histogram, Value
from llm_monitor.litellm.metrics import REQUEST_LATENCY, REQUESTS
from llm_monitor.litellm.totals import Key, Totals

Scrape = Callable[[], Values]

PLAIN: Key = (REQUESTS, ("plain",))
LATENCY: Key = (REQUEST_LATENCY, ("plain",))


def total(totals: Totals, started: float | None, *values: float) -> Value | None:
    return totals.settle(started, [(PLAIN, value) for value in values]).get(PLAIN)


def test_label_sets_are_added_up() -> None:
    assert total(Totals(), 1, 3, 4, 5) == 12


def test_a_label_set_that_litellm_forgets_is_held() -> None:
    totals = Totals()
    assert total(totals, 1, 10, 5) == 15
    assert total(totals, 1, 5) == 15
    assert total(totals, 1, 7) == 17
    # It has come back, from 0.
    assert total(totals, 1, 7, 1) == 18


def test_a_model_of_which_all_is_forgotten_is_held_too() -> None:
    totals = Totals()
    assert total(totals, 1, 10) == 10
    assert total(totals, 1) == 10
    assert total(totals, 1, 3) == 13


def test_a_restart_is_a_reset() -> None:
    totals = Totals()
    assert total(totals, 1, 10) == 10
    assert total(totals, 2, 3) == 3
    assert total(totals, 2) == 3


def test_several_workers_never_forget_so_a_fall_is_a_restart() -> None:
    totals = Totals()
    assert total(totals, None, 10) == 10
    assert total(totals, None, 3) == 3


def test_histograms_are_held_bucket_by_bucket() -> None:
    totals = Totals()
    first, second = Histogram((1.0,), (2, 5), 9.0), Histogram((1.0,), (1, 1), 0.5)
    assert totals.settle(1, [(LATENCY, first), (LATENCY, second)])[LATENCY] == Histogram(
        (1.0,), (3, 6), 9.5
    )
    assert totals.settle(1, [(LATENCY, second)])[LATENCY] == Histogram((1.0,), (3, 6), 9.5)
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
    assert values[key] == 2.5
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
