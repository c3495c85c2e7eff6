"""The three generations of Langfuse's metrics API, each of which tells what it can.

The questions follow Langfuse's OpenAPI document (GET /api/public/v2/metrics, /api/public/metrics).
Three measures and the aggregation `uniq` are not in it, but in Langfuse's data model
(packages/shared/src/features/query): where a Langfuse refuses them, what they give is left out.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Answer
from llm_monitor.langfuse.facts import (
    MOST_NAMES,
    NO_MODEL,
    ModelUse,
    Row,
    ScoreUse,
    Usage,
    fold_models,
    fold_scores,
    label_text,
    not_finite,
    number,
    rows_of,
)
from llm_monitor.langfuse.web.daily import Daily
from llm_monitor.langfuse.web.questions import ABSENT, Api, Span, latest, moment, newest_trace

Metrics = Sequence[tuple[str, str]]

_REFUSED = frozenset({400, 422})

_MOST_ROWS = 1000
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
        models = _models(use, errors)
        return Usage(traces, sessions, users, models, scores, asked.left_out)

    async def newest(self, api: Api, now: float, deadline: Deadline) -> float | None:
        """Return the Unix time of the newest data."""
        since = moment(now - _NEWEST_DAYS * 86400)
        if self.traces:
            return await newest_trace(api, since, deadline)
        params = {"limit": "1", "fields": "core", "fromStartTime": since}
        path = "/api/public/v2/observations"

        def told(answer: Answer) -> float | None:
            return latest(rows_of(answer.json(), answer.where), "startTime")

        return await api.ask("observations", path, told, deadline, params)

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


GENERATIONS: tuple[Generation, ...] = (
    Queries("metrics_v2", "/api/public/v2/metrics", traces=False),
    Queries("metrics", "/api/public/metrics", traces=True),
    Daily(),
)


@dataclass(slots=True)
class _Asked:
    """What all queries about one span have in common.

    Attributes:
        generation: What is asked.
        api: How.
        span: From when to when.
        deadline: When it is given up.
        left_out: How many values were no finite numbers so far.
    """

    generation: Queries
    api: Api
    span: Span
    deadline: Deadline
    left_out: int = 0

    async def rows(
        self,
        view: str,
        metrics: Metrics,
        dimension: str = "",
        filters: Sequence[Row] = (),
        expected: frozenset[int] = frozenset(),
    ) -> list[Row]:
        """Return the rows of one query, those with most observations, traces or scores first.

        A row of a dimension that does not say how many it stands for is left out.
        """
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

        def told(answer: Answer) -> list[Row]:
            rows = rows_of(answer.json(), answer.where)
            self.left_out += _left_out(rows, dimension)
            return _of_dimension(rows, dimension, answer.where) if dimension else rows

        return await self.api.ask(name, path, told, self.deadline, params, expected, alone=False)

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
        name = label_text(row.get("name"))
        before = found.get(name, ScoreUse(name, 0))
        mean = before.mean if before.mean is not None else number(row.get("avg_value"))
        found[name] = ScoreUse(name, before.count + _count(row), mean)
    return fold_scores(found.values(), MOST_NAMES)


def _left_out(rows: Iterable[Row], dimension: str) -> int:
    return sum(not_finite(value) for row in rows for key, value in row.items() if key != dimension)


def _of_dimension(rows: Iterable[Row], dimension: str, where: str) -> list[Row]:
    """Return the rows that say how many they stand for.

    Raises:
        UpstreamError: When two are about the same.
    """
    counted = [row for row in rows if number(row.get("count_count")) is not None]
    # No name and an empty one are two rows.
    known = {_given(row, dimension) for row in counted}
    if len(known) != len(counted):
        raise UpstreamError(Reason.UNPARSABLE, f"{where}: the answer has a row twice")
    return counted


def _models(use: Sequence[Row], errors: Sequence[Row] | None) -> list[ModelUse]:
    # By what Langfuse calls them: no model and an empty one are two rows of one name.
    failed = None if errors is None else {_given(row, _MODEL): _count(row) for row in errors}
    models = [
        ModelUse(
            model=label_text(row.get(_MODEL)) or NO_MODEL,
            observations=_count(row),
            errors=None if failed is None else failed.get(_given(row, _MODEL), 0),
            input_tokens=number(row.get("sum_inputTokens")),
            output_tokens=number(row.get("sum_outputTokens")),
            cost=number(row.get("sum_totalCost")),
            latency=_seconds(row, "latency"),
            first_token=_seconds(row, "timeToFirstToken"),
        )
        for row in use
    ]
    return fold_models(models, MOST_NAMES)


def _count(row: Row) -> float:
    return number(row.get("count_count")) or 0


def _given(row: Row, dimension: str) -> str | None:
    value = row.get(dimension)
    return value if isinstance(value, str) else None


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
