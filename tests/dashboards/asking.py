"""Queries of dashboards as Grafana would ask them, with every variable filled."""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.llmops.monitoring.tests.dashboards.past import STEP, Part
from ansible_collections.llmops.monitoring.tests.dashboards.reading import Asked, choices

# Four scrapes, as Grafana makes it.
RATE_INTERVAL = f"{4 * STEP}s"


class RefusedError(Exception):
    """What Prometheus says of a query that it can't answer."""


def filled(expr: str, part: Part, values: Mapping[str, str]) -> str:
    """Return an expression with Grafana's own variables for a part of the past, and a dashboard's `values`."""
    seconds = part.end - part.begin
    own = {
        "__rate_interval": RATE_INTERVAL,
        "__interval": f"{STEP}s",
        "__interval_ms": str(STEP * 1000),
        "__range": f"{seconds}s",
        "__range_s": str(seconds),
        "__range_ms": str(seconds * 1000),
        "__from": str(part.begin * 1000),
        "__to": str(part.end * 1000),
    }
    known = {**values, **own}
    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|([a-zA-Z_]\w*))", lambda found: known[found[1] or found[2]], expr)


def everything(board: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a dashboard with All chosen, and boxes of words empty."""
    return {one["name"]: one.get("allValue", "") for one in board["templating"]["list"]}


def options(url: str, board: Mapping[str, Any], part: Part) -> dict[str, list[str]]:
    """Return what can be chosen of each variable that Prometheus fills."""
    values = everything(board)
    found = {}
    for one in choices(board):
        answer = ask(url, Asked(one.where, filled(one.expr, part, values), one.source, instant=True), part)
        found[one.where.split()[-1]] = sorted({value for series in answer for value in series["metric"].values()})
    return found


def repeated(board: Mapping[str, Any]) -> Iterator[tuple[set[str], str]]:
    """Give the titles of panels in a row that is repeated, and the variable for whose values it is."""
    row: dict[str, Any] = {}
    for panel in board["panels"]:
        if panel["type"] == "row":
            row = panel
        inside = panel.get("panels") or ([panel] if panel["type"] != "row" else [])
        if row.get("repeat"):
            yield {one["title"] for one in inside}, row["repeat"]


def ask(url: str, asked: Asked, part: Part) -> list[dict[str, Any]]:
    """Return the series of an answer that have a value which is a number.

    Raises:
        RefusedError: When Prometheus refuses the query.
    """
    if asked.instant:
        path, given = "query", {"query": asked.expr, "time": part.end}
    else:
        path, given = "query_range", {"query": asked.expr, "start": part.begin, "end": part.end, "step": STEP}
    try:
        data = urllib.parse.urlencode(given).encode()
        with urllib.request.urlopen(f"{url}/api/v1/{path}", data, timeout=60) as answer:
            result = json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        message = f"{asked.where}, {part.scenario}: {json.load(error)['error']}: {asked.expr}"
        raise RefusedError(message) from error
    assert result["resultType"] in ("vector", "matrix"), f"{asked.where} is a {result['resultType']}"
    return [one for one in result["result"] if any(map(_is_number, one.get("values") or [one["value"]]))]


def _is_number(sample: list[Any]) -> bool:
    return not math.isnan(float(sample[1]))
