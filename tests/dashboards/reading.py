"""Dashboards as Grafana loads them, taken apart: panels, queries, and what queries are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dashboards"

# Durations that nobody writes, by which the AST tells where Grafana puts its own.
STAND_INS = {"$__rate_interval": "7m3s", "$__interval": "7m5s", "$__range": "7h7m"}
RATE_INTERVAL_SECONDS = 7 * 60 + 3
RANGE_SECONDS = 7 * 3600 + 7 * 60


@dataclass(frozen=True)
class Dashboard:
    """A file of a dashboard.

    Attributes:
        path: Where it lies.
        json: What is in it.
    """

    path: Path
    json: dict[str, Any]

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.json.get("uid"))


@dataclass(frozen=True)
class Asked:
    """A query of a dashboard.

    Attributes:
        where: The panel's title and the query's letter, or which annotation or variable it is.
        expr: PromQL or LogQL as it is written.
        source: The type of its data source.
        instant: Whether it is asked for one moment alone.
    """

    where: str
    expr: str
    source: str
    instant: bool


def dashboards() -> list[Dashboard]:
    """Return those that are committed."""
    return [Dashboard(path, json.loads(path.read_bytes())) for path in sorted(FOLDER.glob("*/*.json"))]


def panels(dashboard: Mapping[str, Any], *, rows: bool = False) -> Iterator[dict[str, Any]]:
    """Give panels in the order of reading, those of collapsed rows too; rows themselves only if asked."""
    for panel in dashboard.get("panels", []):
        if panel.get("type") != "row" or rows:
            yield panel
        yield from panel.get("panels", [])


def queries(dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    """Give all queries of panels."""
    for panel in panels(dashboard):
        yield from queries_of(panel)


def queries_of(panel: Mapping[str, Any]) -> Iterator[Asked]:
    """Give the queries of a panel."""
    for target in panel.get("targets", []):
        where = f"{panel.get('title')} {target['refId']}"
        source = str(target["datasource"]["type"])
        instant = bool(target.get("instant")) or target.get("queryType") == "instant"
        yield Asked(where, target["expr"], source, instant)


def marks(dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    """Give the queries of annotations."""
    for one in dashboard["annotations"]["list"]:
        if "expr" in one:
            yield Asked(f"annotation {one['name']}", one["expr"], str(one["datasource"]["type"]), False)


def choices(dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    """Give the selectors of variables that Prometheus fills."""
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query" and one["datasource"]["type"] == "prometheus":
            found = re.fullmatch(r"label_values\((.+), *(\w+)\)", one["query"]["query"])
            assert found, f"{one['name']}: {one['query']['query']} is not label_values(series, label)"
            yield Asked(f"variable {one['name']}", f"group by ({found[2]}) ({found[1]})", "prometheus", True)


def promql(dashboard: Mapping[str, Any]) -> list[Asked]:
    """Return all that Prometheus is asked."""
    return [one for give in (queries, marks, choices) for one in give(dashboard) if one.source == "prometheus"]


def parsed(expr: str) -> promql_parser.Expr:
    """Return the AST of an expression of a dashboard.

    Raises:
        ValueError: When it is no PromQL.
    """
    for name, stand_in in STAND_INS.items():
        expr = re.sub(rf"{re.escape(name)}\b|\${{{name[1:]}}}", stand_in, expr)
    # Numbers that Grafana puts in, outside of quotes.
    expr = re.sub(r"\$__(?:range_s|range_ms|interval_ms|from|to)\b", "7", expr)
    return promql_parser.parse(expr)


@dataclass(frozen=True)
class Selector:
    """A selector within an expression.

    Attributes:
        name: The metric, or the pattern of metrics.
        matchers: Label → operator and value.
        call: The function that its range is for, if it has one.
        seconds: The length of its range, if it has one.
    """

    name: str
    matchers: Mapping[str, tuple[str, str]]
    call: str = ""
    seconds: float = 0


def selectors(node: Any, call: str = "") -> Iterator[Selector]:
    """Give all selectors of an AST."""
    if isinstance(node, promql_parser.MatrixSelector):
        yield _selector(node.vector_selector, call, node.range.total_seconds())
    elif isinstance(node, promql_parser.VectorSelector):
        yield _selector(node, "", 0)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from selectors(argument, node.func.name)
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from selectors(node.lhs)
        yield from selectors(node.rhs)
    elif isinstance(node, promql_parser.AggregateExpr | promql_parser.SubqueryExpr):
        yield from selectors(node.expr)
    elif isinstance(node, promql_parser.ParenExpr | promql_parser.UnaryExpr):
        yield from selectors(node.expr, call)


def _selector(node: promql_parser.VectorSelector, call: str, seconds: float) -> Selector:
    found = {one.name: (_operator(one.op), one.value) for one in node.matchers.matchers}
    name = node.name or found.get("__name__", ("", ""))[1]
    return Selector(name, found, call, seconds)


def _operator(operator: promql_parser.MatchOp) -> str:
    written = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    return written[str(operator).rpartition(".")[2]]


def strings(node: Any) -> Iterator[tuple[str, str]]:
    """Give every text in JSON with its key."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str):
                yield key, value
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from (("", value),) if isinstance(value, str) else strings(value)
