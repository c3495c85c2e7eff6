"""The LiteLLM exporter's collectors."""

from collections.abc import Iterable, Iterator

from llm_monitor.base.collection.collector import Background, Collector, Deadline
from llm_monitor.base.metrics.family import Sample
from llm_monitor.base.upstream.errors import UpstreamError
from llm_monitor.litellm import metrics
from llm_monitor.litellm.desk import Desk
from llm_monitor.litellm.facts import Deployment, Readiness
from llm_monitor.litellm.reasons import BREAKDOWNS
from llm_monitor.litellm.totals import Key

_CHECK_SECONDS = 60.0
# Three times the interval at which LiteLLM checks by itself, unless it is told otherwise.
_CHECK_COUNTS_SECONDS = 900.0
# More would leave no room under the cap for series that do count.
_MOST_BEGUN = 100


class HealthCollector:
    """Says whether LiteLLM is fit for requests; that it can't be reached is an answer too."""

    name = "health"
    families = (metrics.READY,)

    def __init__(self, desk: Desk) -> None:
        """Ask the source of `desk`."""
        self._desk = desk

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give whether the proxy is ready, and its database if it has one."""
        try:
            readiness = self._desk.source.readiness(self._desk.soon(deadline))
        except UpstreamError:
            readiness = Readiness(proxy=False, db=None)
        yield metrics.READY(int(readiness.proxy), "proxy")
        if readiness.db is not None:
            yield metrics.READY(int(readiness.db), "db")


class ModelCollector:
    """Gives what LiteLLM is configured with."""

    name = "models"
    families = (
        metrics.INFO,
        metrics.MODEL_CONFIGURED,
        metrics.MODEL_INFO,
        metrics.MODEL_CONTEXT,
        metrics.MODEL_PRICE,
    )

    def __init__(self, desk: Desk) -> None:
        """Ask the catalogue of `desk`."""
        self._catalogue = desk.catalogue
        self._desk = desk

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give LiteLLM's version, and each model's deployments, context and prices."""
        soon = self._desk.soon(deadline)
        deployments = self._catalogue.deployments(soon)
        if version := self._catalogue.version(soon):
            yield metrics.INFO(1, version)
        for one in deployments:
            yield metrics.MODEL_CONFIGURED(1, one.model, one.id)
            yield metrics.MODEL_INFO(1, one.model, one.id, one.provider, one.served, one.type)
        yield from _contexts(deployments)
        yield from _prices(deployments)


class TrafficCollector:
    """Gives what has gone through LiteLLM, and which deployments answer."""

    name = "traffic"
    families = (
        metrics.MODEL_AVAILABLE,
        metrics.IN_FLIGHT,
        metrics.REQUESTS,
        metrics.FAILURES,
        metrics.TOKENS,
        metrics.SPEND,
        metrics.REQUEST_LATENCY,
        metrics.TIME_TO_FIRST_TOKEN,
        metrics.OVERHEAD_LATENCY,
        metrics.DEPLOYMENT_FAILURES,
        metrics.COOLDOWNS,
        metrics.FALLBACKS,
    )

    def __init__(self, desk: Desk) -> None:
        """Read the metrics by `desk`."""
        self._desk = desk

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give what LiteLLM has counted."""
        soon = self._desk.soon(deadline)
        traffic = self._desk.read(soon)
        deployments = self._desk.catalogue.so_far(soon)
        for (family, labels), value in traffic.totals.items():
            yield family(value, *labels)
        for family, labels in _counters({one.model for one in deployments}):
            if (family, labels) not in traffic.totals:
                yield family(0, *labels)
        if traffic.in_flight is not None:
            yield metrics.IN_FLIGHT(traffic.in_flight)
        for one in deployments:
            available = self._desk.available(one, traffic)
            if available is not None:
                yield metrics.MODEL_AVAILABLE(int(available), one.model, one.id)


class CheckCollector:
    """Follows the health checks that LiteLLM makes, or has it make some if that is allowed."""

    name = "checks"
    families = (metrics.MODEL_LAST_CHECK,)

    def __init__(self, desk: Desk, probe_interval: float | None) -> None:
        """Keep the results at `desk`.

        With a `probe_interval` it asks for real requests, which may be billed, so often.
        """
        self._desk = desk
        self._probe_interval = probe_interval

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give when each deployment was checked last."""
        source = self._desk.source
        if self._probe_interval is None:
            checks = source.checks(self._desk.soon(deadline))
            self._desk.keep(checks, _CHECK_COUNTS_SECONDS)
        else:
            self._desk.keep(source.probe(deadline), 2 * self._probe_interval)
        for one in self._desk.catalogue.known(self._desk.soon(deadline)):
            check = self._desk.check(one)
            if check is not None:
                yield metrics.MODEL_LAST_CHECK(check.at, one.model, one.id)


class ErrorCollector:
    """Counts what went wrong in asking LiteLLM."""

    name = "upstream"
    families = (metrics.UPSTREAM_ERRORS,)

    def __init__(self, desk: Desk) -> None:
        """Ask the source of `desk`."""
        self._source = desk.source

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        """Give how often each path has failed, and why."""
        for (endpoint, reason), count in self._source.errors().items():
            yield metrics.UPSTREAM_ERRORS(count, endpoint, reason)


def collectors(desk: Desk) -> list[Collector]:
    """Return the collectors that run on a scrape, in the order in which they run."""
    return [
        HealthCollector(desk),
        ModelCollector(desk),
        TrafficCollector(desk),
        ErrorCollector(desk),
    ]


def background(desk: Desk, probe_interval: float | None) -> list[Background]:
    """Return the collectors that run by themselves; with a `probe_interval` LiteLLM is probed."""
    interval = probe_interval or _CHECK_SECONDS
    return [Background(CheckCollector(desk, probe_interval), interval)]


def _counters(models: Iterable[str]) -> Iterator[Key]:
    """Give the counters that `models` have from the start, unless there are too many of them.

    What appears with its first events has not risen for Prometheus: a burst would be lost.
    """
    for model in sorted(models)[:_MOST_BEGUN]:
        yield metrics.REQUESTS, (model,)
        yield metrics.SPEND, (model,)
        for direction in ("input", "output"):
            yield metrics.TOKENS, (model, direction)
        for reason in BREAKDOWNS:
            yield metrics.FAILURES, (model, reason)


def _contexts(deployments: list[Deployment]) -> Iterator[Sample]:
    """Give the context that every deployment of a model has."""
    least: dict[str, float] = {}
    for one in deployments:
        if one.context is not None:
            least[one.model] = min(one.context, least.get(one.model, one.context))
    for model, context in least.items():
        yield metrics.MODEL_CONTEXT(context, model)


def _prices(deployments: list[Deployment]) -> Iterator[Sample]:
    """Give the price that no deployment of a model exceeds."""
    most: dict[tuple[str, str], float] = {}
    for one in deployments:
        for direction, price in one.prices.items():
            most[one.model, direction] = max(price, most.get((one.model, direction), 0.0))
    for (model, direction), price in most.items():
        yield metrics.MODEL_PRICE(price, model, direction)
