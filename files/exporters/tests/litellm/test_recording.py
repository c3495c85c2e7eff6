"""What the exporter makes of a real LiteLLM's pages."""

from collections.abc import Callable

from exporter_testing.litellm.server import KEY, StandIn
from exporter_testing.scraping import Values

WORKS = "76d55075a3a22401ba6540238f19dc028e7bf183359693fc12e739457b4ef981"
BROKEN = "3827a3037db9506d2e9c6a8c746ca5892511b1577ecbbb7df0101da6ba3fb551"
PREFIX = "llm_monitor_litellm_"

Scrape = Callable[[], Values]


def ours(scrape: Scrape) -> Values:
    return {(name.removeprefix(PREFIX), *labels): n for (name, *labels), n in scrape().items()}


def test_requests_failures_tokens_and_money_are_those_of_the_recording(follow: Scrape) -> None:
    values = ours(follow)
    assert values["requests_total", "llama3-8b"] == 31
    assert values["requests_total", "broken"] == 1
    failures = {key[1:]: n for key, n in values.items() if key[0] == "failures_total" and n}
    assert failures == {("broken", "not_found"): 1}
    assert values["tokens_total", "llama3-8b", "input"] == 180
    assert values["tokens_total", "llama3-8b", "output"] == 950
    assert values["spend_usd_total", "llama3-8b"] == 0
    # LiteLLM says 1, which is the request for its metrics.
    assert values["requests_in_flight",] == 0
    assert values["deployment_failures_total", "broken", BROKEN, "not_found"] == 1
    assert values["deployment_cooldowns_total", "broken", BROKEN] == 1


def test_histograms_are_passed_on(follow: Scrape) -> None:
    values = ours(follow)
    assert values["request_latency_seconds_count", "llama3-8b"] == 31
    assert values["request_latency_seconds_sum", "llama3-8b"] == 31.617825422805787
    assert values["time_to_first_token_seconds_count", "llama3-8b"] == 1
    assert values["time_to_first_token_seconds_sum", "llama3-8b"] == 0.049809
    assert values["overhead_latency_seconds_count", "llama3-8b"] == 30
    buckets = [n for key, n in values.items() if key[0] == "request_latency_seconds_bucket"]
    assert len(buckets) == 18
    assert buckets == sorted(buckets)
    assert buckets[-1] == 31


def test_models_and_their_state_are_those_of_the_recording(follow: Scrape) -> None:
    values = ours(follow)
    assert values["model_configured", "llama3-8b", WORKS] == 1
    assert values["model_configured", "broken", BROKEN] == 1
    assert values["model_info", "llama3-8b", WORKS, "openai", "tiny", "llm"] == 1
    assert values["model_available", "llama3-8b", WORKS] == 1
    assert values["model_available", "broken", BROKEN] == 0
    assert values["model_context_tokens", "llama3-8b"] == 512
    assert ("model_context_tokens", "broken") not in values
    assert not [key for key in values if key[0] == "model_price_usd_per_token"]
    assert values["info", "1.106.2"] == 1
    assert values["ready", "proxy"] == 1
    assert ("ready", "db") not in values


def test_nothing_is_asked_that_costs_money_or_is_known_to_fail(
    proxy: StandIn, scrape: Scrape
) -> None:
    for _ in range(3):
        scrape()
    assert set(proxy.asked) <= {
        "/health/readiness",
        "/health/readiness/details",
        "/model/info",
        "/metrics/",
    }
    assert proxy.asked["/model/info"] == 1
    assert proxy.keys == {f"Bearer {KEY}"}


def test_only_what_is_needed_of_the_metrics_is_asked_for_where_that_works(
    proxy: StandIn, follow: Scrape
) -> None:
    follow()
    assert proxy.asked["/metrics/"] == 2
    proxy.filters = False
    expected = ours(follow)["requests_total", "llama3-8b"]
    assert expected == 31
    assert proxy.asked["/metrics/"] == 4
    ours(follow)
    assert proxy.asked["/metrics/"] == 5


def test_no_key_user_team_or_host_of_the_recording_leaves(scrape: Scrape) -> None:
    text = " ".join(" ".join(key) for key in scrape())
    for planted in ("default_user_id", "litellm_proxy_master_key", "curl", "127.0.0.1", KEY):
        assert planted not in text
