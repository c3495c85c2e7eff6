"""Langfuse's metrics endpoints: what a query may hold, and what a project answers to it."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from exporter_testing.langfuse.data import Observation, Project, Score, Trace, quantiles

_FACTS = Path(__file__).resolve().parents[2] / "langfuse"
# As `python -m exporter_testing.langfuse.extract` takes it out of Langfuse's OpenAPI document.
DOCUMENTED = json.loads((_FACTS / "documented.json").read_text(encoding="utf-8"))
OLDER = yaml.safe_load((_FACTS / "undocumented.yaml").read_text(encoding="utf-8"))

Item = Trace | Observation | Score
Row = dict[str, Any]


class RefusedError(Exception):
    """A question that Langfuse answers with 400."""


def unix(text: str) -> float:
    if not text.endswith("Z"):
        raise RefusedError(text)
    return datetime.fromisoformat(text).timestamp()


def answer(project: Project, query: Row, *, newest: bool, documented_only: bool) -> Row:
    """Return what Langfuse answers to a query.

    Args:
        project: What it holds.
        query: What is asked.
        newest: Whether the newest of the metrics endpoints is asked.
        documented_only: Whether what is not in the OpenAPI document is refused.

    Raises:
        RefusedError: When Langfuse would answer with 400.
    """
    _check(query, newest=newest, documented_only=documented_only)
    since, until = unix(query["fromTimestamp"]), unix(query["toTimestamp"])
    if since >= until:
        message = "fromTimestamp must be before toTimestamp"
        raise RefusedError(message)
    found = [it for it in _items(project, query["view"]) if since <= _start(it) < until]
    for condition in query.get("filters", ()):
        found = [it for it in found if _matches(it, condition)]
    fields = [dimension["field"] for dimension in query.get("dimensions", ())]
    groups: dict[tuple[Any, ...], list[Item]] = {}
    for it in found:
        groups.setdefault(tuple(_FIELDS[name](it) for name in fields), []).append(it)
    rows = [
        {
            **dict(zip(fields, key, strict=True)),
            **{
                f"{m['aggregation']}_{m['measure']}": _measure(m, group, project)
                for m in query["metrics"]
            },
        }
        for key, group in groups.items()
    ]
    for order in query.get("orderBy") or ():
        rows.sort(key=lambda row: float(row[order["field"]]), reverse=order["direction"] == "desc")
    return {"data": rows[: query.get("config", {}).get("row_limit", DOCUMENTED["default_rows"])]}


def _check(query: Row, *, newest: bool, documented_only: bool) -> None:
    """Refuse what the OpenAPI document, or without it Langfuse's data model, does not have."""
    views = DOCUMENTED["views"] if newest else {**DOCUMENTED["views"], **OLDER["views"]}
    extra = newest and not documented_only
    aggregations = DOCUMENTED["aggregations"] + (OLDER["aggregations"] if extra else [])
    _among("key", query, DOCUMENTED["query"])
    _among("view", [query["view"]], views)
    view = views[query["view"]]
    measures = view["measures"] + (OLDER["measures"] if extra else [])
    _among("measure", [m["measure"] for m in query["metrics"]], measures)
    _among("aggregation", [m["aggregation"] for m in query["metrics"]], aggregations)
    dimensions = [d["field"] for d in query.get("dimensions", ())]
    _among("dimension", dimensions, view["dimensions"])
    _among("filter", [f["column"] for f in query.get("filters", ())], view["dimensions"])
    for condition in query.get("filters", ()):
        _among("filter", condition, ["column", "operator", "value", "type", "key"])
    aliases = [f"{m['aggregation']}_{m['measure']}" for m in query["metrics"]]
    for order in query.get("orderBy") or ():
        _among("order", [order["field"]], [*aliases, *dimensions])
    limit = query.get("config", {}).get("row_limit", 1)
    _among("row_limit", [limit], range(1, DOCUMENTED["most_rows"] + 1))


def _among(what: str, given: Any, allowed: Any) -> None:
    if unknown := [one for one in given if one not in allowed]:
        message = f"Invalid {what} {unknown}"
        raise RefusedError(message)


def _items(project: Project, view: str) -> Sequence[Item]:
    match view:
        case "traces":
            return project.traces
        case "observations":
            return project.observations
        case "scores-numeric":
            return [one for one in project.scores if one.kind in {"NUMERIC", "BOOLEAN"}]
        case "scores-boolean":
            return [one for one in project.scores if one.kind == "BOOLEAN"]
        case _:
            return [one for one in project.scores if one.kind == "CATEGORICAL"]


def _start(it: Item) -> float:
    return it.start if isinstance(it, Observation) else it.at


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "providedModelName": lambda it: it.model,
    "level": lambda it: it.level,
    "isRootObservation": lambda it: it.root,
    "name": lambda it: it.name,
    "userId": lambda it: it.user,
    "sessionId": lambda it: it.session,
}
_MEASURES: dict[str, Callable[[Any], Any]] = {
    "inputTokens": lambda it: it.input,
    "outputTokens": lambda it: it.output,
    "totalCost": lambda it: it.cost,
    "latency": lambda it: None if it.end is None else round((it.end - it.start) * 1000),
    "timeToFirstToken": lambda it: (
        None if it.first is None else round((it.first - it.start) * 1000)
    ),
    "value": lambda it: it.value,
    "traceId": lambda it: it.trace,
}


def _matches(it: Item, condition: Row) -> bool:
    assert condition["operator"] == "=", condition
    return bool(_FIELDS[condition["column"]](it) == condition["value"])


def _measure(metric: Row, group: Sequence[Item], project: Project) -> Any:
    """Return one number as ClickHouse's JSON has it: 64 bit integers are text, no value is null."""
    name, how = metric["measure"], metric["aggregation"]
    if how == "count":
        return str(len(group))
    if name in {"uniqueSessionIds", "uniqueUserIds"}:
        traces = {one.id: one for one in project.traces}
        of = "session" if name == "uniqueSessionIds" else "user"
        return str(len({getattr(traces[it.trace], of) for it in group} - {None}))  # type: ignore[union-attr]
    values = [value for value in map(_MEASURES[name], group) if value is not None]
    match how:
        case "uniq":
            return str(len(set(values)))
        case "sum":
            total = sum(values)
            return None if not values else str(total) if isinstance(total, int) else total
        case "avg":
            return sum(values) / len(values) if values else None
        case _:
            found = quantiles(values)
            return found.get(f"0.{how[1:].rstrip('0')}")
