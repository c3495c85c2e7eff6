"""The three generations of Langfuse's metrics API, each of which tells what it can.

The questions follow Langfuse's OpenAPI document (GET /api/public/v2/metrics, /api/public/metrics).
Three measures and the aggregation `uniq` are not in it, but in Langfuse's data model
(packages/shared/src/features/query): where a Langfuse refuses them, what they give is left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.langfuse.facts import NO_MODEL, ModelUse, Row, ScoreUse, Usage, number, rows_of
from llm_monitor.langfuse.web.questions import Api

Span = tuple[float, float]
Metrics = Sequence[tuple[str, str]]

# What a Langfuse answers that does not have this generation, or not for these keys.
ABSENT = frozenset({400, 403, 404, 405, 410, 501})
_REFUSED = frozenset({400, 422})

_MOST_ROWS = 1000
_MOST_PAGES = 20
_NEWEST_DAYS = 7
_MILLISECONDS = 1000.0
_COUNT = ("count", "count")
_MODEL = "providedModelName"
_PERCENTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
_USE: Metrics = (
    _COUNT,
    ("inputTokens", "sum"),
    ("outputTokens", "sum"),
    ("totalCost", "sum"),
    *(("latency", percentile) for percentile in _PERCENTILES),
    *(("timeToFirstToken", percentile) for percentile in _PERCENTILES),
)
_ERRORS = {"column": "level", "operator": "=", "value": "ERROR", "type": "string"}
_ROOTS = {"column": "isRootObservation", "operator": "=", "value": True, "type": "boolean"}


class Generation(Protocol):
    """One generation of the API.

    Attributes:
        name: What it is called in metrics and logs.
    """

    @property
    def name(self) -> str:
        """What it is called in metrics and logs."""
        ...

    async def usage(self, api: Api, span: Span, deadline: Deadline) -> Usage:
        """Return what happened from the first to the second Unix time of `span`.

        Raises:
            UpstreamError: With a status of ABSENT when Langfuse does not have this generation.
        """
        ...

    async def newest(self, api: Api, now: float, deadline: Deadline) -> float | None:
        """Return the Unix time of the newest data of the last week, None when there is none.

        Raises:
            UpstreamError: When it can't be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Queries:
    """The two generations that answer queries.

    Attributes:
        name: What it is called in metrics and logs.
        path: Where it answers.
        traces: Whether it knows traces, or only observations, the newer way.
    """

    name: str
    path: str
    traces: bool

    async def usage(self, api: Api, span: Span, deadline: Deadline) -> Usage:
        """Return what happened in `span`."""
        asked = _Asked(self, api, span, deadline)
        use = await asked.rows("observations", _USE, _MODEL, expected=ABSENT)
        errors = await asked.rows_if_known("observations", (_COUNT,), _MODEL, (_ERRORS,))
        traces, sessions, users = await (self._counted(asked) if self.traces else _unique(asked))
        scores = await _scores(asked)
        return Usage(traces, sessions, users, _models(use, errors), scores)

    async def newest(self, api: Api, now: float, deadline: Deadline) -> float | None:
        """Return the Unix time of the newest data."""
        since = moment(now - _NEWEST_DAYS * 86400)
        if self.traces:
            return await newest_trace(api, since, deadline)
        params = {"limit": "1", "fields": "core", "fromStartTime": since}
        path = "/api/public/v2/observations"
        answer = await api.ask("observations", path, deadline, params)
        return _latest(rows_of(answer.json(), "observations"), "startTime")

    async def _counted(self, asked: "_Asked") -> tuple[float | None, ...]:
        """Return the numbers of traces, sessions and users, the latter by listing them."""
        traces = await asked.rows_if_known("traces", (_COUNT,))
        sessions = await asked.rows_if_known("traces", (_COUNT,), "sessionId")
        users = await asked.rows_if_known("traces", (_COUNT,), "userId")
        return (
            _single(traces, "count_count"),
            _different(sessions, "sessionId"),
            _different(users, "userId"),
        )


class Daily:
    """The oldest generation: a day's traces, and each model's observations, tokens and cost.

    It counts the observations of the traces that began in a span.
    """

    name = "metrics_daily"

    async def usage(self, api: Api, span: Span, deadline: Deadline) -> Usage:
        """Return what happened in `span`, as far as this generation knows."""
        days: list[Row] = []
        for page in range(1, _MOST_PAGES + 1):
            params = {
                "page": str(page),
                "limit": "50",
                "fromTimestamp": moment(span[0]),
                "toTimestamp": moment(span[1]),
            }
            path = "/api/public/metrics/daily"
            answer = await api.ask(self.name, path, deadline, params, expected=ABSENT)
            content = answer.json()
            days += rows_of(content, self.name)
            if page >= _pages(content):
                return _sum_of_days(days)
        raise UpstreamError(Reason.TOO_LARGE, f"{self.name}: more than {_MOST_PAGES} pages")

    async def newest(self, api: Api, now: float, deadline: Deadline) -> float | None:
        """Return the Unix time of the newest trace."""
        return await newest_trace(api, moment(now - _NEWEST_DAYS * 86400), deadline)


GENERATIONS: tuple[Generation, ...] = (
    Queries("metrics_v2", "/api/public/v2/metrics", traces=False),
    Queries("metrics", "/api/public/metrics", traces=True),
    Daily(),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What all queries about one span have in common."""

    generation: Queries
    api: Api
    span: Span
    deadline: Deadline

    async def rows(
        self,
        view: str,
        metrics: Metrics,
        dimension: str = "",
        filters: Sequence[Row] = (),
        expected: frozenset[int] = frozenset(),
    ) -> list[Row]:
        """Return the rows of one query, those with most observations, traces or scores first."""
        query: dict[str, Any] = {
            "view": view,
            "metrics": [{"measure": name, "aggregation": how} for name, how in metrics],
            "filters": list(filters),
            "fromTimestamp": moment(self.span[0]),
            "toTimestamp": moment(self.span[1]),
        }
        if dimension:
            query["dimensions"] = [{"field": dimension}]
            query["orderBy"] = [{"field": "count_count", "direction": "desc"}]
            query["config"] = {"row_limit": _MOST_ROWS}
        name, path = self.generation.name, self.generation.path
        params = {"query": json.dumps(query, separators=(",", ":"))}
        answer = await self.api.ask(name, path, self.deadline, params, expected)
        return rows_of(answer.json(), name)

    async def rows_if_known(
        self, view: str, metrics: Metrics, dimension: str = "", filters: Sequence[Row] = ()
    ) -> list[Row] | None:
        """Return the rows of one query, None when this Langfuse does not know what is asked."""
        try:
            return await self.rows(view, metrics, dimension, filters, _REFUSED)
        except UpstreamError as error:
            if error.status in _REFUSED:
                return None
            raise


async def _unique(asked: _Asked) -> tuple[float | None, ...]:
    """Return the numbers of traces, sessions and users, counted from observations."""
    measures = ("traceId", "uniqueSessionIds", "uniqueUserIds")
    found = await asked.rows_if_known("observations", [(one, "uniq") for one in measures])
    if found is not None:
        return tuple(_single(found, f"uniq_{one}") for one in measures)
    roots = await asked.rows_if_known("observations", (_COUNT,), filters=(_ROOTS,))
    return _single(roots, "count_count"), None, None


async def _scores(asked: _Asked) -> list[ScoreUse] | None:
    metrics: Metrics = (_COUNT, ("value", "avg"))
    numeric = await asked.rows_if_known("scores-numeric", metrics, "name")
    categorical = await asked.rows_if_known("scores-categorical", (_COUNT,), "name")
    if numeric is None and categorical is None:
        return None
    found: dict[str, ScoreUse] = {}
    for row in [*(numeric or ()), *(categorical or ())]:
        name = str(row.get("name") or "")
        count = number(row.get("count_count")) or 0
        before = found.get(name, ScoreUse(name, 0))
        mean = before.mean if before.mean is not None else number(row.get("avg_value"))
        found[name] = ScoreUse(name, before.count + count, mean)
    return list(found.values())


async def newest_trace(api: Api, since: str, deadline: Deadline) -> float | None:
    """Return the Unix time of the newest trace since then, None when there is none."""
    params = {"limit": "1", "orderBy": "timestamp.desc", "fields": "core", "fromTimestamp": since}
    answer = await api.ask("traces", "/api/public/traces", deadline, params)
    return _latest(rows_of(answer.json(), "traces"), "timestamp")


def moment(seconds: float) -> str:
    """Return a Unix time as the API writes it."""
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def _models(use: Sequence[Row], errors: Sequence[Row] | None) -> list[ModelUse]:
    # By what Langfuse calls them: no model and an empty one are two rows of one name.
    failed = None if errors is None else {repr(row.get(_MODEL)): row for row in errors}
    return [
        ModelUse(
            model=_model(row),
            observations=number(row.get("count_count")) or 0,
            errors=None if failed is None else _errors(failed.get(repr(row.get(_MODEL)), {})),
            input_tokens=number(row.get("sum_inputTokens")),
            output_tokens=number(row.get("sum_outputTokens")),
            cost=number(row.get("sum_totalCost")),
            latency=_seconds(row, "latency"),
            first_token=_seconds(row, "timeToFirstToken"),
        )
        for row in use
    ]


def _errors(row: Row) -> float:
    return number(row.get("count_count")) or 0


def _model(row: Row, key: str = _MODEL) -> str:
    name = row.get(key)
    return name if isinstance(name, str) and name else NO_MODEL


def _seconds(row: Row, measure: str) -> dict[str, float]:
    found = {quantile: number(row.get(f"{p}_{measure}")) for p, quantile in _PERCENTILES.items()}
    return {quantile: ms / _MILLISECONDS for quantile, ms in found.items() if ms is not None}


def _single(found: Sequence[Row] | None, key: str) -> float | None:
    """Return the only number of a query without dimension: no row means that there was nothing."""
    if found is None:
        return None
    return number(found[0].get(key)) if found else 0


def _different(found: Sequence[Row] | None, dimension: str) -> float | None:
    """Return how many values there are, None when there are more than a query may list."""
    if found is None or len(found) >= _MOST_ROWS:
        return None
    return sum(1 for row in found if row.get(dimension))


def _latest(found: Sequence[Row], key: str) -> float | None:
    moments = [_unix(row.get(key)) for row in found]
    return max((one for one in moments if one is not None), default=None)


def _unix(written: object) -> float | None:
    try:
        found = datetime.fromisoformat(str(written))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _pages(content: Row) -> float:
    meta = content.get("meta")
    return number(meta.get("totalPages") if isinstance(meta, Mapping) else None) or 1


def _sum_of_days(days: Sequence[Row]) -> Usage:
    found: dict[str, list[float]] = {}
    keys = ("countObservations", "inputUsage", "outputUsage", "totalCost")
    for day in days:
        use = day.get("usage")
        for row in use if isinstance(use, list) else ():
            if isinstance(row, Mapping):
                sums = found.setdefault(_model(row, "model"), [0.0] * len(keys))
                for place, key in enumerate(keys):
                    sums[place] += number(row.get(key)) or 0
    models = [
        ModelUse(model, count, None, tokens_in, tokens_out, cost)
        for model, (count, tokens_in, tokens_out, cost) in found.items()
        if count
    ]
    traces = sum(number(day.get("countTraces")) or 0 for day in days)
    return Usage(traces, None, None, models, None)
