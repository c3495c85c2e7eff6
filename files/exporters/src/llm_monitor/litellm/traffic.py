"""What has gone through LiteLLM: its own counts, without keys, users, teams and hosts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llm_monitor.base.metrics.family import Family, Histogram, Value
from llm_monitor.base.upstream.exposition import Point, histogram_names, histograms
from llm_monitor.litellm import metrics
from llm_monitor.litellm.models import Names
from llm_monitor.litellm.reasons import reason
from llm_monitor.litellm.totals import Key, Part, Totals

Labels = Mapping[str, str]
Tell = Callable[[Names, Labels], tuple[str, ...] | None]

_REQUESTS = "litellm_proxy_total_requests_metric_total"
_FAILURES = "litellm_proxy_failed_requests_metric_total"
_IN_FLIGHT = "litellm_in_flight_requests"
_STATE = "litellm_deployment_state"
_STARTED = "process_start_time_seconds"

# healthy, partial outage, complete outage
_OUTAGE = 2.0


@dataclass(slots=True)
class Traffic:
    """One reading of LiteLLM's metrics.

    Attributes:
        started: When LiteLLM's process started; None when it has several.
        totals: Counters and histograms of ours, since the exporter's first reading.
        in_flight: Requests that LiteLLM works on; None when it does not tell.
        available: Whether a deployment can be routed to, by its id, as far as LiteLLM has tried.
        calls: Requests and failures by deployment's id, since LiteLLM's start.
        troubles: Failures and cooldowns by deployment's id, counted like `totals`.
    """

    started: float | None = None
    totals: dict[Key, Value] = field(default_factory=dict)
    in_flight: float | None = None
    available: dict[str, bool] = field(default_factory=dict)
    calls: dict[str, tuple[float, float]] = field(default_factory=dict)
    troubles: dict[str, float] = field(default_factory=dict)


def _model(names: Names, labels: Labels) -> tuple[str] | None:
    """Return the model of a sample, None where no model was asked for.

    LiteLLM counts calls of its management API that fail as well, those of this exporter with a
    wrong key among them.
    """
    asked = labels.get("requested_model") or labels.get("model_group", "")
    deployment = labels.get("model_id", "")
    return (names.of(asked, deployment),) if asked or names.knows(deployment) else None


def _reason(labels: Labels) -> str:
    return reason(labels.get("exception_class", ""), labels.get("exception_status", ""))


def _failure(names: Names, labels: Labels) -> tuple[str, ...] | None:
    model = _model(names, labels)
    return model and (*model, _reason(labels))


def _deployment(names: Names, labels: Labels) -> tuple[str, str] | None:
    """Return the model and the id of a deployment, None where no deployment was called."""
    deployment = labels.get("model_id", "")
    return (names.of("", deployment), deployment) if names.knows(deployment) else None


def _deployment_failure(names: Names, labels: Labels) -> tuple[str, ...] | None:
    deployment = _deployment(names, labels)
    return deployment and (*deployment, _reason(labels))


def _with(word: str) -> Tell:
    """Return what tells the model of a sample, and `word`."""

    def tell(names: Names, labels: Labels) -> tuple[str, ...] | None:
        model = _model(names, labels)
        return model and (*model, word)

    return tell


_COUNTERS: dict[str, tuple[Family, Tell]] = {
    _REQUESTS: (metrics.REQUESTS, _model),
    _FAILURES: (metrics.FAILURES, _failure),
    "litellm_input_tokens_metric_total": (metrics.TOKENS, _with("input")),
    "litellm_output_tokens_metric_total": (metrics.TOKENS, _with("output")),
    "litellm_spend_metric_total": (metrics.SPEND, _model),
    "litellm_deployment_failure_responses_total": (
        metrics.DEPLOYMENT_FAILURES,
        _deployment_failure,
    ),
    "litellm_deployment_cooled_down_total": (metrics.COOLDOWNS, _deployment),
    "litellm_deployment_successful_fallbacks_total": (metrics.FALLBACKS, _with("success")),
    "litellm_deployment_failed_fallbacks_total": (metrics.FALLBACKS, _with("failure")),
}
_HISTOGRAMS: dict[str, Family] = {
    "litellm_request_total_latency_metric": metrics.REQUEST_LATENCY,
    "litellm_llm_api_time_to_first_token_metric": metrics.TIME_TO_FIRST_TOKEN,
    "litellm_overhead_latency_metric": metrics.OVERHEAD_LATENCY,
}
_HISTOGRAM_OF = {part: name for name in _HISTOGRAMS for part in histogram_names(name)}
_TROUBLES = frozenset({metrics.DEPLOYMENT_FAILURES, metrics.COOLDOWNS})
_BOUND = "le"

WANTED = frozenset(
    {*_COUNTERS, *_HISTOGRAM_OF, _IN_FLIGHT, _STATE, _STARTED},
)


def tally(points: Sequence[Point], names: Names, totals: Totals) -> Traffic:
    """Return what LiteLLM's samples say, with the sums that `totals` keeps from falling."""
    traffic = Traffic()
    for name, labels, value in points:
        if name == _STARTED:
            traffic.started = value
        elif name == _IN_FLIGHT:
            # The request that brings this is one of them.
            traffic.in_flight = max(0.0, value - 1)
        elif name == _STATE:
            # Each worker has its own view, by requests of its own: one that got through is enough.
            # LiteLLM keeps that of a worker that has ended until all of it is started again, and
            # nothing tells which those are.
            id_, reached = labels.get("model_id", ""), value < _OUTAGE
            traffic.available[id_] = reached or traffic.available.get(id_, False)
        elif name in (_REQUESTS, _FAILURES) and names.knows(id_ := labels.get("model_id", "")):
            requests, failures = traffic.calls.get(id_, (0.0, 0.0))
            failed = name == _FAILURES
            traffic.calls[id_] = requests + value * (not failed), failures + value * failed
    traffic.totals = totals.settle(traffic.started, _parts(points, names))
    traffic.troubles = _troubles(traffic.totals)
    return traffic


def _troubles(totals: Mapping[Key, Value]) -> dict[str, float]:
    troubles: dict[str, float] = {}
    for (family, labels), value in totals.items():
        if family in _TROUBLES and not isinstance(value, Histogram):
            id_ = labels[1]
            troubles[id_] = troubles.get(id_, 0.0) + value
    return troubles


def _parts(points: Sequence[Point], names: Names) -> Iterator[Part]:
    """Give what there is to add up, by family and labels of ours.

    What has none is given too: the deployment that it is of may be told later.
    """
    of_histograms: dict[str, list[Point]] = {name: [] for name in _HISTOGRAMS}
    for point in points:
        name, labels, value = point
        if name in _COUNTERS:
            family, tell = _COUNTERS[name]
            series = hash((name, frozenset(labels.items())))
            yield Part(_key(family, tell(names, labels)), series, value)
        elif name in _HISTOGRAM_OF:
            of_histograms[_HISTOGRAM_OF[name]].append(point)
    for name, family in _HISTOGRAMS.items():
        found = of_histograms[name]
        by = _labels(found, f"{name}_count")
        for values, histogram in histograms(found, name, by).items():
            ours = _model(names, dict(zip(by, values, strict=True)))
            yield Part(_key(family, ours), hash((name, values)), histogram)


def _key(family: Family, ours: tuple[str, ...] | None) -> Key | None:
    return None if ours is None else (family, ours)


def _labels(points: Sequence[Point], count: str) -> list[str]:
    """Return the names of the labels by which the series of a histogram's `count` differ."""
    there = {label for one in points if one.name == count for label in one.labels}
    return sorted(there - {_BOUND})
