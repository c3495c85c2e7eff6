"""Every panel has data: a real Prometheus answers every query, with all variables filled, in at least one scenario."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.past import PARTS, Part
from ansible_collections.llmops.monitoring.tests.dashboards.reading import (
    Asked,
    Dashboard,
    dashboards,
    marks,
    panels,
    queries,
)

MOST_SERIES = 20
OVER_TIME = {"timeseries", "state-timeline", "bargauge", "heatmap"}
SCENARIOS = {part.scenario: part for part in PARTS}
DASHBOARDS = [pytest.param(one, id=one.uid) for one in dashboards()]


def never(prometheus: str, board: dict[str, Any]) -> list[str]:
    """Return which queries have no data in any scenario.

    Raises:
        RefusedError: When Prometheus refuses one.
    """
    single = {title: variable for titles, variable in asking.repeated(board) for title in titles}
    found: dict[str, list[str]] = {}
    for part in PARTS:
        choices = asking.options(prometheus, board, part)
        for one in (*queries(board), *marks(board)):
            if one.source != "prometheus":
                continue
            values = asking.everything(board)
            repeat = single.get(one.where.rpartition(" ")[0], "")
            # One of a repeated row is there for each value; what one GPU lacks another may have.
            answers = []
            for value in choices[repeat] if repeat else [""]:
                expr = asking.filled(one.expr, part, {**values, repeat: value})
                answers += asking.ask(prometheus, Asked(one.where, expr, one.source, one.instant), part)
            found.setdefault(one.where, []).extend([part.scenario] if answers else [])
    return [where for where, scenarios in found.items() if not scenarios]


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_query_has_data_in_some_scenario(prometheus: str, dashboard: Dashboard) -> None:
    without = never(prometheus, dashboard.json)
    assert not without, f"without data in every scenario: {', '.join(without)}"


def with_query(expr: str) -> dict[str, Any]:
    """Return a small dashboard with one query of its own."""
    board = copy.deepcopy(next(one for one in dashboards() if one.uid == "server-health").json)
    target = {**board["panels"][0]["targets"][0], "expr": expr}
    board["panels"] = [{**board["panels"][0], "title": "Own", "targets": [target]}]
    return board


@pytest.mark.parametrize(
    "expr", ['llm_monitor_node_load1{instance="nobody"}', "0 * llm_monitor_node_load1 / 0", "no_such_metric"]
)
def test_a_query_without_data_is_told(prometheus: str, expr: str) -> None:
    assert never(prometheus, with_query(expr)) == ["Own A"]


def test_what_prometheus_refuses_is_told(prometheus: str) -> None:
    refused = with_query("llm_monitor_node_load1 * on (instance) group_left (kernel) llm_monitor_node_load1 offset")
    with pytest.raises(asking.RefusedError, match=r"Own A, normal: .*parse error"):
        never(prometheus, refused)


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_variable_can_be_chosen(prometheus: str, dashboard: Dashboard) -> None:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for part in PARTS:
        for name, values in asking.options(prometheus, dashboard.json, part).items():
            found[name].update(values)
    assert not [name for name, values in found.items() if not values]


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_one_value_of_each_variable_has_data_too(prometheus: str, dashboard: Dashboard) -> None:
    """What can be chosen is what queries understand: a variable whose values no series has would empty all panels."""
    board = dashboard.json
    every = asking.everything(board)
    options = {part: asking.options(prometheus, board, part) for part in PARTS}
    for name in options[PARTS[0]]:
        those = [one for one in queries(board) if f"${name}" in one.expr and one.source == "prometheus"]
        chosen = (
            (Asked(one.where, asking.filled(one.expr, part, {**every, name: value}), one.source, one.instant), part)
            for part in PARTS
            for one in those
            for value in options[part][name]
        )
        assert not those or any(asking.ask(prometheus, one, part) for one, part in chosen), f"no {name} has data"


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_series_can_be_told_apart(prometheus: str, dashboard: Dashboard) -> None:
    """At most twenty series in a panel over the usual server, and no two of them with one name."""
    values = asking.everything(dashboard.json)
    repeats = {title: name for titles, name in asking.repeated(dashboard.json) for title in titles}
    crowded: dict[str, int] = {}
    alike: dict[tuple[str, str], list[str]] = {}
    for part in (SCENARIOS["normal"], SCENARIOS["trouble"]):
        choices = asking.options(prometheus, dashboard.json, part)
        for panel in panels(dashboard.json):
            if panel["type"] not in OVER_TIME or panel["datasource"]["type"] != "prometheus":
                continue
            repeat = repeats.get(panel["title"], "")
            names = legends(prometheus, panel, part, {**values, **({repeat: choices[repeat][0]} if repeat else {})})
            # The worst twenty of each moment are more in a bad time.
            if len(names) > MOST_SERIES and part.scenario == "normal" and panel["type"] != "heatmap":
                crowded[panel["title"]] = len(names)
            if len(set(names)) < len(names):
                alike[panel["title"], part.scenario] = names
    assert not crowded
    assert not alike


def legends(url: str, panel: dict[str, Any], part: Part, values: dict[str, str]) -> list[str]:
    """Return what a panel calls its series."""
    found = []
    for target in panel["targets"]:
        expr = asking.filled(target["expr"], part, values)
        instant = bool(target.get("instant"))
        for series in asking.ask(url, Asked(panel["title"], expr, "prometheus", instant), part):
            found.append(called(target["legendFormat"], series["metric"]))
    return found


def called(legend: str, labels: dict[str, str]) -> str:
    """Return the name of a series by its labels."""
    return re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), legend)
