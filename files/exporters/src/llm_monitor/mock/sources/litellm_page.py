"""The page of metrics that a LiteLLM 1.106 with the Prometheus callback gives, as far as wanted.

Names, labels and buckets are those of a recording; the labels of fallbacks those of LiteLLM's
PrometheusMetricLabels (litellm/types/integrations/prometheus.py).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from llm_monitor.base.upstream.exposition import Point
from llm_monitor.litellm import reasons
from llm_monitor.litellm.facts import Deployment
from llm_monitor.mock.world.gateway import LATENCY, LATENCY_BUCKETS, REASONS, Gateway

_KEY = ("api_key_alias", "hashed_api_key")
_TEAM = (*_KEY, "team", "team_alias")
_CLIENT = ("client_ip", "user_agent")
_END = ("end_user", "org_alias", "org_id", "user")
_USER = (*_END, "user_email")
_MODEL = ("api_provider", "model_id", "requested_model")
_BACKEND = ("api_base", "api_provider", "litellm_model_name", "model_id")
_FAILURE = ("exception_class", "exception_status")
_TIMES = (*_TEAM, *_END, *_MODEL, "model", "model_group", "service_tier")
_TOKENS = (*_TEAM, *_USER, *_MODEL, "model")
_FALLBACK = (*_TEAM, *_FAILURE, "fallback_model", "model_id", "requested_model")

_REQUESTS = "litellm_proxy_total_requests_metric_total"
_FAILED = "litellm_proxy_failed_requests_metric_total"
_WHOLE = "litellm_request_total_latency_metric"
_FIRST = "litellm_llm_api_time_to_first_token_metric"
_OVERHEAD = "litellm_overhead_latency_metric"
_STATE = "litellm_deployment_state"
_COOLED = "litellm_deployment_cooled_down_total"
_BROKEN = "litellm_deployment_failure_responses_total"
_FELL_BACK = "litellm_deployment_successful_fallbacks_total"
_FELL_DOWN = "litellm_deployment_failed_fallbacks_total"
_LABELS: Mapping[str, Sequence[str]] = {
    _REQUESTS: (*_TEAM, *_CLIENT, *_USER, *_MODEL, "route", "status_code"),
    _FAILED: (*_TEAM, *_CLIENT, *_USER, *_MODEL, *_FAILURE, "route"),
    "litellm_input_tokens_metric_total": _TOKENS,
    "litellm_output_tokens_metric_total": _TOKENS,
    "litellm_spend_metric_total": (*_TOKENS, *_CLIENT, "service_tier"),
    _WHOLE: _TIMES,
    _FIRST: _TIMES,
    _OVERHEAD: (*_KEY, *_BACKEND, "model_group"),
    _STATE: _BACKEND,
    _COOLED: (*_BACKEND, "exception_status"),
    _BROKEN: (*_TEAM, *_CLIENT, *_BACKEND, *_FAILURE, "model_group", "requested_model"),
    _FELL_BACK: _FALLBACK,
    _FELL_DOWN: _FALLBACK,
}
_OUTAGE = 2.0
_HASH = hashlib.sha256(b"a key of the applications").hexdigest()

# LiteLLM's exceptions, after the provider's name, and the status of their answers.
_EXCEPTIONS = {
    reasons.BAD_REQUEST: ("BadRequestError", "400"),
    reasons.RATE_LIMIT: ("RateLimitError", "429"),
    reasons.SERVER_ERROR: ("InternalServerError", "500"),
    reasons.TIMEOUT: ("Timeout", "408"),
    reasons.CONNECTION: ("APIConnectionError", "500"),
}
# What comes from a backend rather than from LiteLLM itself.
_AT_BACKEND = frozenset({reasons.SERVER_ERROR, reasons.TIMEOUT, reasons.CONNECTION})
_CONNECTION = REASONS.index(reasons.CONNECTION)


class Page:
    """What LiteLLM says of its deployments; a series begins when there is something to count."""

    def __init__(self, deployments: Sequence[Deployment]) -> None:
        """Tell of `deployments`, in the order of the simulation's routes."""
        self._rows = [_Row(one) for one in deployments]

    def points(self, gateway: Gateway, server: int) -> Iterator[Point]:
        """Give the samples of one server."""
        started = float(gateway.started[server, 0])
        yield Point("process_start_time_seconds", {}, started)
        # The request for this page is one more.
        yield Point("litellm_in_flight_requests", {}, float(gateway.in_flight[server].sum()) + 1)
        for place, row in enumerate(self._rows):
            yield from row.points(gateway, (server, place))


class _Row:
    """One deployment's series, whose labels are worked out once."""

    def __init__(self, one: Deployment) -> None:
        embeds = one.kind == "embedding"
        self._values = {
            "api_key_alias": "applications",
            "hashed_api_key": _HASH,
            "client_ip": "10.0.0.12",
            "user_agent": "AsyncOpenAI/Python 2.8.1",
            "team": "platform",
            "team_alias": "platform",
            "user": "default_user_id",
            "api_base": one.endpoint,
            "api_provider": one.provider,
            "litellm_model_name": one.served,
            "model": one.served,
            "model_group": one.model,
            "model_id": one.id,
            "requested_model": one.model,
            "route": "/v1/embeddings" if embeds else "/v1/chat/completions",
            "status_code": "200",
            **_failure(one.provider, reasons.CONNECTION),
        }
        self._labels = {name: self._of(name) for name in _LABELS}
        self._buckets = {
            name: [self._labels[name] | {"le": le} for le in (*map(str, LATENCY), "+Inf")]
            for name in (_WHOLE, _FIRST, _OVERHEAD)
        }
        self._failures, self._breaks = (
            [self._of(name, **_failure(one.provider, reason)) for reason in REASONS]
            for name in (_FAILED, _BROKEN)
        )
        statuses = {status for _, status in _EXCEPTIONS.values()}
        self._answers = {one: self._of(_REQUESTS, status_code=one) for one in sorted(statuses)}

    def _of(self, name: str, **changes: str) -> dict[str, str]:
        """Return the labels of the series `name`; LiteLLM writes None for what it does not know."""
        values = self._values | changes
        return {label: values.get(label, "None") for label in _LABELS[name]}

    def points(self, gateway: Gateway, place: tuple[int, int]) -> Iterator[Point]:
        """Give the samples of the deployment at `place` of the simulation's arrays."""
        succeeded = int(gateway.succeeded[place])
        failed: list[int] = gateway.failed[place].tolist()
        moved = int(gateway.fallbacks[place])
        if succeeded or any(failed) or moved:
            reached = bool(gateway.reachable[place])
            yield Point(_STATE, self._labels[_STATE], 0.0 if reached else _OUTAGE)
        if succeeded:
            yield from self._successes(gateway, place, succeeded)
        yield from self._failed(failed, moved)
        for name, count in (
            (_COOLED, gateway.cooled[place]),
            (_FELL_BACK, moved),
            (_FELL_DOWN, gateway.failed_fallbacks[place]),
        ):
            if count:
                yield Point(name, self._labels[name], float(count))

    def _successes(
        self, gateway: Gateway, place: tuple[int, int], succeeded: int
    ) -> Iterator[Point]:
        for name, value in (
            (_REQUESTS, succeeded),
            ("litellm_input_tokens_metric_total", gateway.input_tokens[place]),
            ("litellm_output_tokens_metric_total", gateway.output_tokens[place]),
            ("litellm_spend_metric_total", gateway.spend[place]),
        ):
            yield Point(name, self._labels[name], float(value))
        for name, counts in (
            (_WHOLE, gateway.latency[place]),
            (_FIRST, gateway.first_token[place]),
            (_OVERHEAD, gateway.overhead[place]),
        ):
            upto = list(accumulate(counts.tolist()))
            if upto[-1]:
                for labels, count in zip(self._buckets[name], upto, strict=True):
                    yield Point(f"{name}_bucket", labels, float(count))
                total = float(LATENCY_BUCKETS.total(counts))
                yield Point(f"{name}_sum", self._labels[name], total)
                yield Point(f"{name}_count", self._labels[name], float(upto[-1]))

    def _failed(self, failed: Sequence[int], moved: int) -> Iterator[Point]:
        """Give what failed, and what failed only at the backend because another took over."""
        answered: dict[str, int] = {}
        for place, (reason, count) in enumerate(zip(REASONS, failed, strict=True)):
            status = _EXCEPTIONS[reason][1]
            answered[status] = answered.get(status, 0) + count
            if count:
                yield Point(_FAILED, self._failures[place], float(count))
            broken = count + moved * (place == _CONNECTION)
            if broken and reason in _AT_BACKEND:
                yield Point(_BROKEN, self._breaks[place], float(broken))
        for status, count in answered.items():
            if count:
                yield Point(_REQUESTS, self._answers[status], float(count))


def _failure(provider: str, reason: str) -> dict[str, str]:
    """Return the labels that tell why a request failed."""
    word, status = _EXCEPTIONS[reason]
    return {"exception_class": f"{provider.capitalize()}.{word}", "exception_status": status}
