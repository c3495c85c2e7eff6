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


class RefusedError(Exception):
    """What Prometheus says of a query that it can't answer."""


def own_values(begin: int, end: int, step: int, scrape: int) -> dict[str, str]:
    """Return Grafana's own variables.

    Args:
        begin: What is shown first, Unix time.
        end: What is shown last, Unix time.
        step: Seconds between two points.
        scrape: Seconds between two scrapes.
    """
    return {
        # As Grafana makes it: four scrapes at least, and one more than from point to point.
        "__rate_interval": f"{max(step + scrape, 4 * scrape)}s",
        "__interval": f"{step}s",
        "__interval_ms": str(step * 1000),
        "__range": f"{end - begin}s",
        "__range_s": str(end - begin),
        "__range_ms": str((end - begin) * 1000),
        "__from": str(begin * 1000),
        "__to": str(end * 1000),
    }


def fill(expr: str, values: Mapping[str, str]) -> str:
    """Return an expression with its variables replaced; label_replace has `$1`, which Grafana leaves alone."""
    variable = r"\$(?:\{(\w+)(?::\w+)?\}|([a-zA-Z_]\w*))"
    return re.sub(variable, lambda found: values[found[1] or found[2]], expr)


def filled(expr: str, part: Part, values: Mapping[str, str]) -> str:
    """Return an expression for a part of the past, with a dashboard's `values`."""
    return fill(expr, {**values, **own_values(part.begin, part.end, STEP, STEP)})


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
