"""LiteLLMs that misbehave, as a whole or in one of the things that they are asked for."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from exporter_testing.hostile import HOSTILES, Hostile, in_json, serving
from exporter_testing.litellm.server import KEY, StandIn, page
from exporter_testing.scraping import Values

PREFIX = "llm_monitor_litellm_"
IN_FLIGHT = (f"{PREFIX}requests_in_flight",)

Scrape = Callable[[], Values]
Scraping = Callable[..., Scrape]


def patience(hostile: Hostile) -> str:
    """Return a short time for those that use it up, a long one for those that only take theirs."""
    return "500ms" if "timeout" in hostile.reasons else "4s"


def success(values: Values, collector: str) -> float:
    return values[f"{PREFIX}collector_success", collector]


def errors(values: Values, endpoint: str) -> dict[str, float]:
    name = f"{PREFIX}upstream_errors_total"
    return {key[2]: n for key, n in values.items() if key[:2] == (name, endpoint)}


@pytest.mark.parametrize(
    "hostile", [one for one in HOSTILES if one.serve and one.scheme == "http"], ids=str
)
def test_hostile_metrics_cost_what_is_read_from_them_only(
    proxy: StandIn, scraping: Scraping, hostile: Hostile
) -> None:
    scrape = scraping(timeout=patience(hostile))
    with serving(hostile, "litellm_in_flight_requests") as url, capture_logs() as logs:
        proxy.pages["/metrics/"] = url
        # What fails in one scrape may be counted in the next one only.
        first, _, second = scrape(), scrape(), scrape()
    assert success(second, "models") == success(second, "health") == 1
    assert second[f"{PREFIX}ready", "proxy"] == 1
    failed = errors(second, "/metrics")
    odd = failed.pop("not_finite", 0)
    assert bool(odd) == (hostile.name == "not_finite")
    told = [log["reason"] for log in logs if log["event"] == "upstream failed"]
    assert told.count("not_finite") == bool(odd)
    if failed:
        assert set(failed) <= hostile.reasons
        assert sum(failed.values()) > sum(errors(first, "/metrics").values())
        assert success(second, "traffic") == 0
        assert IN_FLIGHT not in second
        assert [log["upstream"] for log in logs if log["event"] == "upstream failed"] == [
            "/metrics"
        ]
    else:
        assert not hostile.reasons or "" in hostile.reasons
        assert success(second, "traffic") == 1
    assert KEY not in str(logs)
    assert "planted" not in str(logs)


@pytest.mark.parametrize("hostile", [one for one in HOSTILES if not one.text], ids=str)
def test_a_litellm_that_is_hostile_altogether_is_not_ready(
    scraping: Scraping, hostile: Hostile
) -> None:
    with serving(hostile) as url, capture_logs() as logs:
        scrape = scraping(url, timeout=patience(hostile))
        values = scrape()
        values = scrape()
    assert values[f"{PREFIX}ready", "proxy"] == values[f"{PREFIX}up",] == 0
    assert success(values, "models") == success(values, "traffic") == 0
    for endpoint in ("/health/readiness", "/model/info"):
        # What is no JSON may be no UTF-8 either.
        assert set(errors(values, endpoint)) <= {*hostile.reasons, "unparsable"}
        assert errors(values, endpoint)
        told = [log for log in logs if log.get("upstream") == endpoint]
        assert len(told) == len(errors(values, endpoint))
    assert "planted" not in str(logs)


def test_a_wrong_key_is_counted_and_no_model_is_told(proxy: StandIn, scrape: Scrape) -> None:
    proxy.pages["/metrics/"] = page("Unauthorized access to metrics endpoint", 401)
    proxy.pages["/model/info"] = page({"error": {}}, 401)
    scrape()
    values = scrape()
    assert set(errors(values, "/metrics")) == {"unauthorized"}
    assert set(errors(values, "/model/info")) == {"unauthorized"}
    assert values[f"{PREFIX}ready", "proxy"] == 1
    assert not [key for key in values if key[0].startswith(f"{PREFIX}model_")]


def test_a_litellm_that_does_not_tell_its_version_is_not_asked_again(
    proxy: StandIn, scrape: Scrape
) -> None:
    proxy.pages["/health/readiness/details"] = page({"detail": "Not Found"}, 404)
    for _ in range(3):
        values = scrape()
    assert not [key for key in values if key[0] == f"{PREFIX}info"]
    assert errors(values, "/health/readiness/details") == {"status": 1}
    assert success(values, "models") == 1


def test_a_version_that_came_too_late_is_asked_for_again(proxy: StandIn, scrape: Scrape) -> None:
    (silent,) = (one for one in HOSTILES if one.name == "silent")
    proxy.pages["/health/readiness/details"], known = (
        silent,
        proxy.pages["/health/readiness/details"],
    )
    scrape()
    proxy.pages["/health/readiness/details"] = known
    assert scrape()[f"{PREFIX}info", "1.106.2"] == 1


def test_a_database_that_is_gone_is_told(proxy: StandIn, scrape: Scrape) -> None:
    proxy.pages["/health/readiness"] = page({"status": "healthy", "db": "disconnected"}, 503)
    values = scrape()
    assert values[f"{PREFIX}ready", "proxy"] == 0
    assert values[f"{PREFIX}ready", "db"] == 0
    proxy.pages["/health/readiness"] = page({"status": "healthy", "db": "connected"})
    values = scrape()
    assert values[f"{PREFIX}ready", "proxy"] == 1
    assert values[f"{PREFIX}ready", "db"] == 1
    assert errors(values, "/health/readiness") == {}


@pytest.mark.parametrize(
    "told",
    [
        [],
        {},
        {"data": None},
        {"data": [1, None, {}, {"model_name": 5}, {"model_name": "m", "model_info": {"id": 7}}]},
        {"data": [{"model_name": "m", "model_info": {"id": "x", "max_tokens": "many"}}]},
        {"data": [{"model_name": "m", "model_info": {"id": "x", "max_tokens": 10**400}}]},
    ],
)
def test_a_list_of_models_of_another_shape_is_survived(
    proxy: StandIn, scrape: Scrape, told: object
) -> None:
    proxy.pages["/model/info"] = page(told)
    scrape()
    values = scrape()
    assert values[f"{PREFIX}ready", "proxy"] == 1
    usable = isinstance(told, dict) and isinstance(told.get("data"), list)
    assert success(values, "models") == usable
    assert set(errors(values, "/model/info")) == (set() if usable else {"unparsable"})


def model_row(name: object, number: object) -> dict[str, object]:
    info = {"id": name, "max_tokens": number, "input_cost_per_token": number}
    return {"model_name": name, "litellm_params": {"model": name}, "model_info": info}


@pytest.mark.parametrize("hostile", in_json(model_row), ids=str)
def test_a_hostile_list_of_models_costs_what_needs_it_only(
    proxy: StandIn, scraping: Scraping, hostile: Hostile
) -> None:
    scrape = scraping(timeout="4s")
    with serving(hostile) as url, capture_logs() as logs:
        proxy.pages["/model/info"] = url
        for _ in range(3):
            values = scrape()
    assert values[f"{PREFIX}ready", "proxy"] == success(values, "health") == 1
    failed = errors(values, "/model/info")
    assert set(failed) <= hostile.reasons
    assert bool(failed) == (not success(values, "models"))
    assert bool(failed) <= ("" not in hostile.reasons or hostile.name in {"twice", "many_rows"})
    told = [log for log in logs if log.get("upstream") == "/model/info"]
    assert len(told) == len(failed)


def test_what_was_wrong_once_is_right_again(proxy: StandIn, scrape: Scrape) -> None:
    whole = proxy.pages["/metrics/"]
    proxy.metrics("<html>\n")
    with capture_logs() as logs:
        assert IN_FLIGHT not in scrape()
        proxy.pages["/metrics/"] = whole
        assert IN_FLIGHT in scrape()
    events = [log["event"] for log in logs if log.get("upstream") == "/metrics"]
    assert events == ["upstream failed", "upstream recovered"]
