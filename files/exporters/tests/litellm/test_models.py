"""Names: those that clients ask for, and those that are configured."""

from collections.abc import Callable

import pytest

from exporter_testing.litellm.server import StandIn, deployment
from exporter_testing.process import Start
from exporter_testing.scraping import Values
from llm_monitor.litellm import reasons
from llm_monitor.litellm.facts import Deployment
from llm_monitor.litellm.models import Names
from llm_monitor.litellm.reasons import reason

PREFIX = "llm_monitor_litellm_"
REASONS = {word for name, word in vars(reasons).items() if name.isupper() and isinstance(word, str)}

Scrape = Callable[[], Values]


def named(model: str, id_: str) -> Deployment:
    return Deployment(id_, model, "", "", "", None, {}, "")


def models(values: Values, family: str) -> dict[str, float]:
    return {key[1]: n for key, n in values.items() if key[0] == PREFIX + family}


def test_only_configured_names_become_series() -> None:
    names = Names()
    names.learn([named("plain", "1"), named("wild/*", "2"), named("wild/deep/*", "3")])
    assert names.of("plain", "") == "plain"
    assert names.of("invented", "") == "other"
    assert names.of("", "") == "other"
    assert names.of("an id as name", "1") == "plain"
    assert names.of("wild/anything", "2") == "wild/*"
    assert names.of("wild/that/failed", "None") == "wild/*"
    assert names.of("wild/deep/er", "") == "wild/deep/*"


def test_a_wildcard_for_everything_takes_only_what_it_got() -> None:
    names = Names()
    names.learn([named("*", "1")])
    assert names.of("openai/gpt", "1") == "*"
    assert names.of("openai/gpt", "") == "other"


def test_a_model_stays_known_after_it_is_gone() -> None:
    names = Names()
    names.learn([named("old", "1")])
    names.learn([named("new", "2")])
    assert names.of("old", "") == "old"


def test_invented_names_of_an_older_litellm_are_folded(proxy: StandIn, follow: Scrape) -> None:
    lines = (
        f'litellm_proxy_total_requests_metric_total{{requested_model="invented-{i}"}} 2\n'
        for i in range(300)
    )
    proxy.metrics("".join(lines) + "process_start_time_seconds 5\n")
    assert models(follow(), "requests_total") == {"llama3-8b": 0, "broken": 0, "other": 600}


def test_a_wildcard_is_one_model_whatever_it_is_expanded_to(proxy: StandIn, follow: Scrape) -> None:
    known = [deployment(f"wild/{name}", "w", max_input_tokens=5) for name in ("a", "b", "c/d")]
    proxy.models(*known, deployment("plain", "p"))
    proxy.metrics(
        'litellm_proxy_total_requests_metric_total{requested_model="wild/a",model_id="w"} 1\n'
        'litellm_proxy_total_requests_metric_total{requested_model="wild/z",model_id="w"} 2\n'
    )
    values = follow()
    assert models(values, "model_configured") == {"wild/*": 1, "plain": 1}
    assert models(values, "requests_total") == {"wild/*": 3, "plain": 0}
    assert models(values, "model_context_tokens") == {}


def test_an_alias_is_a_model_of_its_own(proxy: StandIn, follow: Scrape) -> None:
    alias = {**deployment("plain", "p"), "model_name": "nick"}
    proxy.models(deployment("plain", "p"), alias)
    proxy.metrics(
        'litellm_proxy_total_requests_metric_total{requested_model="nick",model_id="p"} 1\n'
        'litellm_proxy_total_requests_metric_total{requested_model="plain",model_id="p"} 2\n'
    )
    values = follow()
    assert models(values, "model_configured") == {"plain": 1, "nick": 1}
    assert models(values, "requests_total") == {"plain": 2, "nick": 1}


def test_a_team_s_model_has_the_name_that_the_team_uses(proxy: StandIn, scrape: Scrape) -> None:
    entry = deployment("model_name_planted-team_1", "t", team_public_model_name="private")
    proxy.models(entry)
    assert models(scrape(), "model_configured") == {"private": 1}


def test_a_model_s_counters_are_there_before_its_first_request(
    proxy: StandIn, scrape: Scrape
) -> None:
    proxy.models(deployment("m", "1"), deployment("m", "2"), deployment("n", "3"))
    proxy.metrics("process_start_time_seconds 5\n")
    values = scrape()
    for family in ("requests_total", "spend_usd_total"):
        assert models(values, family) == {"m": 0, "n": 0}
    for direction in ("input", "output"):
        assert values[f"{PREFIX}tokens_total", "m", direction] == 0
    there = {key[2] for key in values if key[:2] == (f"{PREFIX}failures_total", "m")}
    # A client's own doing breaks no promise, so nobody is told of a burst of it.
    client_failures = {"auth", "bad_request", "content_filter", "context_window", "rate_limit"}
    assert there == REASONS - client_failures
    labels = 'requested_model="m",exception_class="Timeout",exception_status="408"'
    proxy.metrics(
        f"litellm_proxy_failed_requests_metric_total{{{labels}}} 20\nprocess_start_time_seconds 5\n"
    )
    assert scrape()[f"{PREFIX}failures_total", "m", "timeout"] == 20


def test_among_very_many_models_those_that_fail_have_room(
    proxy: StandIn, start_exporter: Start
) -> None:
    proxy.models(*(deployment(f"m{i:03}", str(i)) for i in range(400)))
    name = "litellm_proxy_failed_requests_metric_total"
    settings = {"LITELLM__URL": proxy.url, "MIN_INTERVAL": "0"}
    with proxy.uncounted():
        running = start_exporter("litellm", settings)
        running.get()
    proxy.metrics(f'{name}{{requested_model="m399",exception_class="Timeout"}} 3\n')
    line = 'llm_monitor_litellm_failures_total{model="m399",reason="timeout"} 3.0\n'
    assert line in running.get().text


def test_a_list_of_thousands_of_models_is_read(proxy: StandIn, scrape: Scrape) -> None:
    # LiteLLM describes each at such length, and there are wildcards that stand for thousands.
    words = {f"supports_{i}": "🚀" for i in range(300)}
    known = [deployment(f"azure/{i}", "w", mode="chat", **words) for i in range(2000)]
    proxy.models(*known, deployment("plain", "p"))
    assert len(proxy.pages["/model/info"][1]) > 8 << 20
    assert models(scrape(), "model_configured") == {"azure/*": 1, "plain": 1}


def test_context_and_prices_of_several_deployments_are_the_careful_ones(
    proxy: StandIn, scrape: Scrape
) -> None:
    first = deployment("m", "1", max_input_tokens=512, input_cost_per_token=1e-5)
    second = deployment("m", "2", max_tokens=256.0, input_cost_per_token=3e-5)
    proxy.models(first, second, deployment("n", "3", max_tokens=True, input_cost_per_token="much"))
    values = scrape()
    assert models(values, "model_context_tokens") == {"m": 256}
    assert models(values, "model_price_usd_per_token") == {"m": 3e-5}


def test_calls_of_litellm_s_own_api_are_no_requests(proxy: StandIn, follow: Scrape) -> None:
    # What LiteLLM counts when somebody asks /model/info with a wrong key.
    labels = 'requested_model="",model_id="None",route="/model/info"'
    proxy.metrics(f"litellm_proxy_total_requests_metric_total{{{labels}}} 9\n")
    assert models(follow(), "requests_total") == {"llama3-8b": 0, "broken": 0}


@pytest.mark.parametrize(
    ("exception", "status", "expected"),
    [
        ("Openai.InternalServerError", "500", "server_error"),
        ("Openai.RateLimitError", "429", "backend_limit"),
        ("RateLimitError", "429", "backend_limit"),
        ("HTTPException", "429", "rate_limit"),
        ("BudgetExceededError", "429", "rate_limit"),
        ("RouterRateLimitError", "429", "unavailable"),
        ("Openai.BadRequestError", "400", "bad_request"),
        ("Openai.BadRequestError", "404", "not_found"),
        ("Openai.NotFoundError", "404", "not_found"),
        ("Openai.AuthenticationError", "401", "backend_auth"),
        ("Openai.PermissionDeniedError", "403", "backend_auth"),
        ("ProxyException", "401", "auth"),
        ("ProxyException", "400", "bad_request"),
        ("Openai.ContextWindowExceededError", "400", "context_window"),
        ("Openai.ContentPolicyViolationError", "400", "content_filter"),
        ("Openai.Timeout", "408", "timeout"),
        ("Hosted_vllm.APIConnectionError", "500", "connection"),
        ("ServiceUnavailableError", "503", "server_error"),
        ("HTTPException", "504", "timeout"),
        ("Exception", "None", "other"),
        ("", "", "other"),
        ("Surprise", "299", "other"),
        ("Surprise", "4", "other"),
    ],
)
def test_every_failure_has_one_of_a_few_reasons(exception: str, status: str, expected: str) -> None:
    assert reason(exception, status) == expected
