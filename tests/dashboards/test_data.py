"""Every panel has data: a real Prometheus answers every query, with all variables filled, in at least one scenario."""

from __future__ import annotations

from collections import defaultdict

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.past import PARTS
from ansible_collections.llmops.monitoring.tests.dashboards.reading import (
    Asked,
    Dashboard,
    dashboards,
    marks,
    panels,
    queries,
)

MOST_SERIES = 20
DASHBOARDS = [pytest.param(one, id=one.uid) for one in dashboards()]


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_query_has_data_in_some_scenario(prometheus: str, dashboard: Dashboard) -> None:
    board = dashboard.json
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
    never = [where for where, scenarios in found.items() if not scenarios]
    assert not never, f"without data in every scenario: {', '.join(never)}"


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
def test_lines_can_be_told_apart(prometheus: str, dashboard: Dashboard) -> None:
    """At most twenty series in a panel of lines, and no two of them with one name."""
    usual = PARTS[0]
    values = asking.everything(dashboard.json)
    repeats = {title: name for titles, name in asking.repeated(dashboard.json) for title in titles}
    choices = asking.options(prometheus, dashboard.json, usual)
    crowded = {}
    for panel in panels(dashboard.json):
        if panel["type"] != "timeseries" or panel["datasource"]["type"] != "prometheus":
            continue
        repeat = repeats.get(panel["title"], "")
        chosen = {**values, **({repeat: choices[repeat][0]} if repeat else {})}
        series = [
            answer
            for target in panel["targets"]
            for answer in asking.ask(
                prometheus,
                Asked(panel["title"], asking.filled(target["expr"], usual, chosen), "prometheus", False),
                usual,
            )
        ]
        if len(series) > MOST_SERIES:
            crowded[panel["title"]] = len(series)
    assert not crowded
