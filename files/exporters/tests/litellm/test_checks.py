"""LiteLLM's own health checks, probes that may cost money, the JSON API, and settings."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from exporter_testing.litellm.server import StandIn, deployment, page
from exporter_testing.litellm.settings import settings
from exporter_testing.scraping import Values, ask
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.errors import UpstreamError
from llm_monitor.litellm.desk import Desk, Rates
from llm_monitor.litellm.exporter import build
from llm_monitor.litellm.metrics import DEPLOYMENT_FAILURES, REQUESTS
from llm_monitor.litellm.source import HttpSource

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

AVAILABLE = "llm_monitor_litellm_model_available"
READY = {"status": "healthy", "db": "connected"}


@pytest.fixture
def make(proxy: StandIn) -> Callable[..., Exporter]:
    """Return a function that makes an exporter with the given settings changed."""

    def made(url: str = proxy.url, **changes: object) -> Exporter:
        return build(settings(url, **changes))

    return made


def checked(status: str, at: datetime, id_: str = "1") -> dict[str, Any]:
    check = {"model_id": id_, "status": status, "checked_at": at.isoformat()}
    return {"latest_health_checks": {id_: check}, "total_models": 1}


def scrape(exporter: Exporter) -> Values:
    return asyncio.run(ask(Engine(exporter, Limits(min_interval=0))))


def check(exporter: Exporter) -> dict[tuple[str, ...], object]:
    """Run the collector of health checks and return what it gives."""
    (background,) = exporter.background
    samples = background.collector.collect(Deadline.after(3))
    return {labels: value for _, labels, value in samples}


def api(exporter: Exporter) -> Any:
    router = exporter.router
    assert router is not None
    (route,) = router.routes
    response = cast("APIRoute", route).endpoint()
    return json.loads(response.body)


def test_a_fresh_health_check_comes_before_what_litellm_saw(
    proxy: StandIn, make: Callable[..., Exporter]
) -> None:
    now = datetime.now(UTC)
    proxy.pages["/health/readiness"] = page(READY)
    proxy.pages["/health/latest"] = page(checked("unhealthy", now))
    proxy.models(deployment("m", "1"))
    proxy.metrics('litellm_deployment_state{model_id="1"} 0\n')
    exporter = make()
    assert scrape(exporter)[AVAILABLE, "m", "1"] == 1
    assert check(exporter) == {("m", "1"): now.timestamp()}
    assert scrape(exporter)[AVAILABLE, "m", "1"] == 0
    proxy.pages["/health/latest"] = page(checked("unhealthy", now - timedelta(hours=1)))
    check(exporter)
    assert scrape(exporter)[AVAILABLE, "m", "1"] == 1


def test_without_a_database_health_checks_are_not_asked_for(
    proxy: StandIn, make: Callable[..., Exporter]
) -> None:
    assert check(make()) == {}
    assert proxy.asked["/health/latest"] == proxy.asked["/health"] == 0


@pytest.mark.parametrize(
    "told", [{}, {"latest_health_checks": {"1": {"checked_at": "lately"}, "2": 5}}]
)
def test_checks_of_another_shape_are_left_out(
    proxy: StandIn, make: Callable[..., Exporter], told: object
) -> None:
    proxy.pages["/health/readiness"] = page(READY)
    proxy.pages["/health/latest"] = page(told)
    assert check(make()) == {}


def test_probes_are_sent_only_when_they_are_allowed(
    proxy: StandIn, make: Callable[..., Exporter]
) -> None:
    exporter = make(active_probes=True, probe_interval="20m")
    assert exporter.background[0].interval == 1200
    assert {model for model, _ in check(exporter)} == {"llama3-8b", "broken"}
    assert proxy.asked["/health"] == 1
    available = {key[1]: n for key, n in scrape(exporter).items() if key[0] == AVAILABLE}
    assert available == {"llama3-8b": 1, "broken": 0}


def test_the_api_tells_models_without_hosts(proxy: StandIn, make: Callable[..., Exporter]) -> None:
    entry = deployment("m", "1", mode="embedding")
    entry["litellm_params"]["api_base"] = "https://planted:secret@planted-host:8000/v1?key=planted"
    proxy.models(entry, deployment("n", "2", mode="chat"), deployment("o", "3"))
    exporter = make()
    with proxy.uncounted():
        scrape(exporter)
    proxy.metrics(
        'litellm_deployment_state{model_id="1"} 2\n'
        'litellm_deployment_cooled_down_total{model_id="1"} 1\n'
    )
    scrape(exporter)
    first, second, third = api(exporter)
    assert first == {
        "model_id": "1",
        "model_name": "m",
        "model_type": "embedding",
        "status": "error",
        "endpoint": "https://***",
        "current_rpm": None,
        "error_rate": None,
    }
    assert (second["model_type"], second["status"]) == ("llm", "unknown")
    assert third["model_type"] == "unknown"
    shown = api(make(show_hosts=True))
    assert shown[0]["endpoint"] == "https://planted-host:8000/v1"


def test_a_name_that_is_no_text_is_told_as_what_it_is(
    proxy: StandIn, make: Callable[..., Exporter]
) -> None:
    proxy.models(deployment("half\ud83d", "1"))
    assert api(make())[0]["model_name"] == "half\\ud83d"


def test_rates_are_those_between_the_readings_of_the_last_minutes(proxy: StandIn) -> None:
    def counted(requests: int, failures: int) -> None:
        labels = '{requested_model="m",model_id="1"}'
        proxy.metrics(
            f"litellm_proxy_total_requests_metric_total{labels} {requests}\n"
            f"litellm_proxy_failed_requests_metric_total{labels} {failures}\n"
            "process_start_time_seconds 5\n"
        )

    def later(seconds: float) -> None:
        now[0] += seconds
        desk.read(Deadline.after(3))

    now = [1000.0]
    desk = Desk(HttpSource(proxy.url, None, ""), 3, clock=lambda: now[0])
    proxy.models(deployment("m", "1"))
    counted(100, 10)
    later(0)
    assert desk.rates("1") is None
    counted(130, 16)
    later(120)
    assert desk.rates("1") == Rates(15, 0.2)
    assert desk.rates("2") == Rates(0, None)
    # The first reading is too old by then.
    later(240)
    assert desk.rates("1") == Rates(0, None)


def test_a_list_of_models_that_is_not_to_be_had_any_more_costs_only_itself(
    proxy: StandIn,
) -> None:
    now = [1000.0]
    desk = Desk(HttpSource(proxy.url, None, ""), 3, clock=lambda: now[0])
    proxy.models(deployment("m", "1"))
    proxy.metrics('litellm_proxy_total_requests_metric_total{requested_model="m"} 5\n')
    assert list(desk.read(Deadline.after(3)).totals.values()) == [0]
    proxy.metrics('litellm_proxy_total_requests_metric_total{requested_model="m"} 10\n')
    proxy.pages["/model/info"] = page({}, 500)
    now[0] += 299
    desk.catalogue.deployments(Deadline.after(3))
    now[0] += 1
    with pytest.raises(UpstreamError):
        desk.catalogue.deployments(Deadline.after(3))
    assert list(desk.read(Deadline.after(3)).totals.values()) == [5]
    assert proxy.asked["/model/info"] == 2


def test_an_outage_is_told_while_failures_are_not_long_ago(proxy: StandIn) -> None:
    def state(outage: int, cooldowns: int, failures: int) -> None:
        proxy.metrics(
            f'litellm_deployment_state{{model_id="1"}} {outage}\n'
            f'litellm_deployment_cooled_down_total{{model_id="1"}} {cooldowns}\n'
            f'litellm_deployment_failure_responses_total{{model_id="1"}} {failures}\n'
            "process_start_time_seconds 5\n"
        )

    def later(seconds: float) -> bool | None:
        now[0] += seconds
        traffic = desk.read(Deadline.after(3))
        (one,) = desk.catalogue.known(Deadline.after(3))
        return desk.available(one, traffic)

    now = [1000.0]
    desk = Desk(HttpSource(proxy.url, None, ""), 3, clock=lambda: now[0])
    proxy.models(deployment("m", "1"))
    state(2, 7, 9)
    # Nobody knows since when that is so.
    assert later(0) is None
    state(2, 8, 9)
    assert later(30) is False
    assert later(3599) is False
    assert later(1) is None
    state(2, 8, 10)
    assert later(60) is False
    state(0, 8, 10)
    assert later(15) is True
    assert later(7200) is True


def test_traffic_is_told_while_the_models_are_not(
    proxy: StandIn, make: Callable[..., Exporter]
) -> None:
    def counted(requests: int) -> None:
        labels = '{requested_model="m",model_id="1"}'
        proxy.metrics(
            f"litellm_proxy_total_requests_metric_total{labels} {requests}\n"
            f"litellm_deployment_failure_responses_total{labels} {requests}\n"
            "process_start_time_seconds 5\n"
        )

    now = [1000.0]
    desk = Desk(HttpSource(proxy.url, None, ""), 3, clock=lambda: now[0])
    proxy.pages["/model/info"] = page({}, 500)
    counted(100)
    assert desk.read(Deadline.after(3)).totals == {(REQUESTS, ("other",)): 0}
    counted(103)
    assert desk.read(Deadline.after(3)).totals == {(REQUESTS, ("other",)): 3}
    proxy.models(deployment("m", "1"))
    now[0] += 15
    counted(105)
    totals = desk.read(Deadline.after(3)).totals
    assert totals[REQUESTS, ("other",)] == 3
    assert totals[REQUESTS, ("m",)] == 2
    assert totals[DEPLOYMENT_FAILURES, ("m", "1", "other")] == 2
    proxy.pages["/model/info"] = page({}, 500)
    values = scrape(make())
    assert values["llm_monitor_litellm_collector_success", "traffic"] == 1
    assert values["llm_monitor_litellm_collector_success", "models"] == 0
    assert api(make()) == {"error": "status"}


def test_several_litellms_behind_one_address_are_told_once(proxy: StandIn) -> None:
    desk = Desk(HttpSource(proxy.url, None, ""), 3)
    with capture_logs() as logs:
        for started in (5, 9, 5, 9, 5):
            proxy.metrics(f"process_start_time_seconds {started}\n")
            desk.read(Deadline.after(3))
    (log,) = logs
    assert log["event"].startswith("several LiteLLMs")


def test_the_api_says_why_it_has_nothing(proxy: StandIn, make: Callable[..., Exporter]) -> None:
    proxy.pages["/metrics/"] = page({}, 401)
    assert api(make()) == {"error": "unauthorized"}


@pytest.mark.parametrize(
    "url",
    [
        "http://user:planted@host:4000",
        "http://host:4000?key=planted",
        "ftp://host",
        "host:4000",
        "http://",
        "http://host:99999",
        "http://ho st",
        "",
    ],
)
def test_an_address_with_secrets_or_without_a_host_is_refused(
    make: Callable[..., Exporter], url: str
) -> None:
    with pytest.raises(ValidationError):
        make(url=url)


def test_a_path_before_litellm_s_is_kept(proxy: StandIn, make: Callable[..., Exporter]) -> None:
    proxy.pages = {f"/proxy{path}": told for path, told in proxy.pages.items()}
    values = scrape(make(url=f"{proxy.url}/proxy/"))
    assert values["llm_monitor_litellm_requests_total", "llama3-8b"] == 0
    assert values["llm_monitor_litellm_up",] == 1
