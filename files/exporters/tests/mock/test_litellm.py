"""The simulated LiteLLM, through the exporter's own collectors."""

from dataclasses import replace

import pytest

from exporter_testing.litellm.server import recorded, standing_in
from exporter_testing.litellm.settings import settings
from exporter_testing.simulated import Life, Told, settings_of, tell
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.upstream.exposition import read
from llm_monitor.litellm import metrics
from llm_monitor.litellm.exporter import Settings, build
from llm_monitor.litellm.traffic import WANTED
from llm_monitor.mock.sources.litellm import SimulatedLitellm

L = "llm_monitor_litellm_"
HOUR = 3600.0
VARYING = (
    "model",
    "deployment_id",
    "served_model",
    "provider",
    "type",
    "reason",
    "python",
    "version",
)
# What the recorded LiteLLM never had to tell: it had no database, no prices and no fallback.
UNRECORDED = {metrics.MODEL_LAST_CHECK, metrics.MODEL_PRICE, metrics.FALLBACKS}


def everything(exporter: Exporter) -> Exporter:
    """Return an exporter whose background collectors run on a scrape."""
    return replace(exporter, collectors=exporter.all_collectors(), background=())


class Asked:
    """A server's LiteLLM exporter, which lasts."""

    def __init__(self, servers: int = 1, server: int = 0, **changed: object) -> None:
        self.life = Life(servers=servers)
        source = SimulatedLitellm(self.life.view(server))
        own = settings_of("litellm", Settings, **changed)
        clock = lambda: self.life.moment  # noqa: E731
        self.exporter = everything(build(own, source, clock, clock))

    def after(self, seconds: float) -> Told:
        self.life.go_on(seconds)
        return tell(self.exporter)

    def while_it_lasts(self, kind: str, target: str = "", seconds: float = HOUR) -> Told:
        """Return what is told after so long a fault, which began after a usual hour."""
        self.after(HOUR)
        self.life.befall(kind, target)
        return self.after(seconds)


def test_families_labels_and_units_are_those_of_the_real_exporter() -> None:
    with standing_in() as proxy:
        real = tell(everything(build(settings(proxy.url))))
    asked = Asked()
    # A model that fails lets others take over, and counts failures of each kind.
    told = asked.while_it_lasts("unserved", "llama3-70b")

    missing = {one.base_name for one in UNRECORDED}
    errors = metrics.UPSTREAM_ERRORS.base_name
    simulated = {name: one for name, one in told.families.items() if name not in missing}
    assert simulated == {name: one for name, one in real.families.items() if name != errors}
    shapes = {one for one in told.shapes(VARYING) if one[0].removesuffix("_total") not in missing}
    database = (f"{L}ready", frozenset({("component", "db")}))
    own = {one for one in real.shapes(VARYING) if "upstream_errors" not in one[0]}
    # The recorded one that is broken has no type.
    untyped = ("model", "deployment_id", "served_model", "provider")
    own -= {(f"{L}model_info", frozenset((label, "") for label in untyped))}
    assert shapes - {database} == own
    assert {one.base_name for one in metrics.FAMILIES} - told.families.keys() == {errors}


def test_the_page_has_the_names_labels_and_buckets_of_a_recorded_one() -> None:
    life = Life().go_on(HOUR)
    life.befall("unserved", "llama3-70b")
    points = SimulatedLitellm(life.go_on(HOUR).view()).points(WANTED, Deadline.after(5))
    series = [(one.name, frozenset(one.labels.items())) for one in points]
    assert len(series) == len(set(series))
    labels = {one.name: set(one.labels) for one in points}
    page = read(recorded("metrics.txt"), WANTED)
    expected = {one.name: set(one.labels) for one in page}
    fallbacks = {name for name in labels if "fallbacks" in name}
    assert {name: it for name, it in labels.items() if name not in fallbacks} == expected
    bounds = {one.labels["le"] for one in page if one.name.endswith("latency_metric_bucket")}
    assert {one.labels["le"] for one in points if one.name.endswith("_bucket")} == bounds


def test_what_is_told_adds_up() -> None:
    told = Asked().after(2 * HOUR)
    failed: dict[str, float] = {}
    for (model, _), count in told.by(f"{L}failures_total", "model", "reason").items():
        failed[model] = failed.get(model, 0) + count
    requests = told.by(f"{L}requests_total", "model")
    assert set(failed) == {model for (model,) in requests}
    for (model,), count in requests.items():
        succeeded = told.one(f"{L}request_latency_seconds_count", model=model)
        assert succeeded == count - failed[model]
        prices = told.by(f"{L}model_price_usd_per_token", "direction", model=model)
        tokens = told.by(f"{L}tokens_total", "direction", model=model)
        cost = sum(tokens[direction] * prices[direction] for direction in prices)
        assert told.one(f"{L}spend_usd_total", model=model) == pytest.approx(cost, rel=1e-9)
    assert told.one(f"{L}requests_in_flight") > 0
    assert set(told.by(f"{L}model_available", "model").values()) == {1}
    assert told.one(f"{L}ready", component="db") == 1


def test_health_checks_are_those_of_the_last_five_minutes() -> None:
    asked = Asked()
    asked.after(HOUR)
    checked = asked.after(250).by(f"{L}model_last_check_timestamp_seconds", "model")
    assert len(checked) == 6
    assert all(0 <= asked.life.moment - at < 300 for at in checked.values())


@pytest.mark.parametrize(
    ("kind", "target"),
    [("litellm_down", ""), ("container_stop", "litellm"), ("collector_failing", "litellm")],
)
def test_one_that_is_down_is_not_ready_and_is_asked_in_vain(kind: str, target: str) -> None:
    asked = Asked()
    told = asked.while_it_lasts(kind, target, 600)
    assert told.one(f"{L}ready", component="proxy") == 0
    assert told.one(f"{L}up") == 0
    assert told.one(f"{L}collector_success", collector="traffic") == 0
    assert not told.by(f"{L}requests_total", "model")
    assert tell(asked.exporter).by(f"{L}upstream_errors_total", "endpoint", endpoint="/metrics")


def test_while_it_is_down_nobody_asks_a_model() -> None:
    asked = Asked()
    before = asked.after(HOUR).one(f"{L}requests_total", model="llama3-8b")
    asked.life.befall("litellm_down")
    asked.after(600)
    asked.life.heal()
    # What was in flight ended, and the first minute after that has some of its own.
    assert asked.after(60).one(f"{L}requests_total", model="llama3-8b") - before < 1500


def test_a_restart_takes_nothing_back() -> None:
    asked = Asked()
    asked.after(60)
    before = asked.after(2 * HOUR).by(f"{L}requests_total", "model")
    asked.life.befall("container_stop", "litellm")
    asked.after(300)
    asked.life.heal()
    after = asked.after(300).by(f"{L}requests_total", "model")
    assert after.keys() == before.keys()
    # What it counts anew is added to what it had counted before.
    assert all(before[model] < after[model] < before[model] * 1.25 for model in after)


@pytest.mark.parametrize(
    ("kind", "target"), [("litellm_database_down", ""), ("container_stop", "litellm-db")]
)
def test_without_its_database_it_works_and_knows_no_checks(kind: str, target: str) -> None:
    told = Asked().while_it_lasts(kind, target, 600)
    assert told.by(f"{L}ready", "component") == {("proxy",): 1, ("db",): 0}
    assert told.one(f"{L}up") == 1
    assert told.one(f"{L}collector_success", collector="checks") == 0


def test_a_provider_s_errors_are_its_model_s_failures() -> None:
    asked = Asked()
    before = asked.after(HOUR)
    asked.life.befall("provider_errors", "llama3-70b", 0.3)
    after = asked.after(HOUR)

    def share(model: str) -> float:
        failed, requests = (
            sum(after.by(name, "reason", model=model).values())
            - sum(before.by(name, "reason", model=model).values())
            for name in (f"{L}failures_total", f"{L}requests_total")
        )
        return failed / requests

    assert share("llama3-70b") == pytest.approx(0.3, abs=0.03)
    assert share("llama3-8b") < 0.01
    assert after.one(f"{L}deployment_failures_total", model="llama3-70b", reason="server_error")


def test_dear_requests_cost_more_than_their_tokens() -> None:
    asked = Asked()
    before = asked.after(HOUR)
    asked.life.befall("spend", "llama3-8b", 10)
    after = asked.after(HOUR)

    def price(model: str) -> float:
        spend, tokens = (
            sum(after.by(name, "direction", model=model).values())
            - sum(before.by(name, "direction", model=model).values())
            for name in (f"{L}spend_usd_total", f"{L}tokens_total")
        )
        return spend / tokens

    assert price("llama3-8b") == pytest.approx(10 * (0.05 * 620 + 0.08 * 180) / 800e6, rel=0.01)
    assert price("phi3-mini") == pytest.approx((0.04 * 400 + 0.06 * 120) / 520e6, rel=0.01)


def test_a_model_that_is_not_routed_is_not_configured_and_not_asked() -> None:
    asked = Asked()
    told = asked.while_it_lasts("unrouted", "phi3-mini")
    assert ("phi3-mini",) not in told.by(f"{L}model_configured", "model")
    assert ("phi3-mini",) not in told.by(f"{L}model_available", "model")
    count = told.one(f"{L}requests_total", model="phi3-mini")
    assert asked.after(600).one(f"{L}requests_total", model="phi3-mini") == count


def test_another_model_answers_for_one_that_nobody_serves() -> None:
    asked = Asked()
    before = asked.after(HOUR)
    asked.life.befall("unserved", "llama3-70b")
    after = asked.after(HOUR)
    assert ("llama3-70b",) in after.by(f"{L}model_configured", "model")
    assert after.one(f"{L}model_available", model="llama3-70b") == 0
    assert after.one(f"{L}deployment_cooldowns_total", model="llama3-70b") == 1
    moved = after.one(f"{L}fallbacks_total", model="llama3-70b", outcome="success")
    assert moved > 1000

    def came(model: str) -> float:
        name = f"{L}requests_total"
        return after.one(name, model=model) - before.one(name, model=model)

    # They count under the model that answered.
    assert came("llama3-70b") < 0.05 * moved
    assert came("qwen2-72b") > moved


def test_without_another_model_requests_fail() -> None:
    asked = Asked()
    asked.after(HOUR)
    for model in ("llama3-70b", "qwen2-72b"):
        asked.life.befall("unserved", model)
    told = asked.after(HOUR)
    failed = told.one(f"{L}failures_total", model="llama3-70b", reason="connection")
    assert failed > 1000
    assert told.one(f"{L}fallbacks_total", model="llama3-70b", outcome="failure") == pytest.approx(
        failed, rel=0.05
    )


def test_a_probe_tells_what_answers_now() -> None:
    asked = Asked(active_probes=True)
    told = asked.while_it_lasts("model_down", "phi3-mini", 60)
    checks = told.by(f"{L}model_last_check_timestamp_seconds", "model")
    assert set(checks.values()) == {asked.life.moment}
    available = asked.after(1).by(f"{L}model_available", "model")
    assert {model for (model,), fine in available.items() if not fine} == {"phi3-mini"}


def test_two_servers_have_deployments_of_their_own() -> None:
    first, second = (
        set(Asked(servers=2, server=one).after(60).by(f"{L}model_configured", "deployment_id"))
        for one in (0, 1)
    )
    assert len(first) == len(second) == 6
    assert not first & second
