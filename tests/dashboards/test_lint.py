"""The rules of dashboards hold for each of them, and each rule sees what breaks it."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.dashboards import lint
from ansible_collections.llmops.monitoring.tests.dashboards.metrics import ELSEWHERE, exported, recorded
from ansible_collections.llmops.monitoring.tests.dashboards.reading import (
    FOLDER,
    Dashboard,
    dashboards,
    parsed,
    promql,
    selectors,
)

ALL = dashboards()
DASHBOARDS = [pytest.param(one, id=one.uid) for one in ALL]
Spoil = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("dashboard", DASHBOARDS)
@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.__name__) for rule in lint.RULES])
def test_a_dashboard_keeps_the_rules(rule: Callable[[dict[str, Any]], lint.Complaints], dashboard: Dashboard) -> None:
    assert list(rule(dashboard.json)) == []


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_its_name_and_folder_are_those_of_its_file(dashboard: Dashboard) -> None:
    assert dashboard.uid == dashboard.path.stem
    assert dashboard.path.parent.name in dashboard.json["tags"]


def test_uids_are_unique() -> None:
    assert [uid for uid, times in Counter(one.uid for one in ALL).items() if times > 1] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_links_lead_somewhere(dashboard: Dashboard) -> None:
    assert set(lint.linked(dashboard.json)) <= {one.uid for one in ALL}


def test_alerts_name_dashboards_that_there_are() -> None:
    named = {parameters["dashboard"] for parameters in alerts.catalogue().values()}
    assert named <= {one.uid for one in ALL}


def test_there_is_a_dashboard_in_every_folder() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/*.json")} == lint.FOLDERS


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_metric_is_declared(dashboard: Dashboard) -> None:
    known = exported() | recorded() | ELSEWHERE.keys()
    asked = {selector.name for one in promql(dashboard.json) for selector in selectors(parsed(one.expr))}
    # A name may be a pattern: that of every exporter's own metric.
    assert {name for name in asked - known if not any(re.fullmatch(name, one) for one in known)} == set()


def test_what_others_give_is_asked_for() -> None:
    asked = {selector.name for board in ALL for one in promql(board.json) for selector in selectors(parsed(one.expr))}
    assert ELSEWHERE.keys() - asked == set()


def first(board: dict[str, Any]) -> dict[str, Any]:
    panel: dict[str, Any] = next(one for one in board["panels"] if one["type"] != "row")
    return panel


def asking(expr: str, *, instant: bool = False) -> Spoil:
    return lambda board: first(board)["targets"][0].update(expr=expr, instant=instant)


def crowd(board: dict[str, Any]) -> None:
    board["panels"] = [copy.deepcopy(first(board)) for _number in range(26)]


SPOILED: dict[str, tuple[Spoil, str]] = {
    "a uid with capitals": (lambda board: board.update(uid="Server"), "uid Server"),
    "a title without words": (lambda board: board.update(description=""), "no title or no description"),
    "no tag": (lambda board: board.update(tags=["system"]), "tags"),
    "seldom": (lambda board: board.update(refresh="5m"), "refresh 5m"),
    "the new schema": (lambda board: board.update(spec={}), "spec is of another schema"),
    "an export": (lambda board: board.update(__inputs=[]), "__inputs is of another schema or of an export"),
    "a number of the database": (lambda board: board.update(id=7), "an id of its own"),
    "a number twice": (lambda board: first(board).update(id=board["panels"][-1]["id"]), "is there 2 times"),
    "upon something": (lambda board: first(board)["gridPos"].update(h=40), "overlap"),
    "outside": (lambda board: first(board)["gridPos"].update(x=23, w=9), "outside of the grid"),
    "too much": (crowd, "panels before the first collapsed"),
    "no description": (lambda board: first(board).update(description=""), "has no description"),
    "no title": (lambda board: first(board).update(title=""), "has no title"),
    "nothing for no data": (lambda board: first(board)["fieldConfig"]["defaults"].pop("noValue"), "no text for"),
    "a title twice": (lambda board: first(board).update(title=board["panels"][-1]["title"]), "2 panels are called"),
    "an old type": (lambda board: first(board).update(type="graph"), "is a graph"),
    "a unit of its own": (lambda board: first(board)["fieldConfig"]["defaults"].update(unit="furlong"), "'furlong'"),
    "a colour of its own": (
        lambda board: first(board)["fieldConfig"]["defaults"].update(color={"fixedColor": "#123456"}),
        "colour #123456",
    ),
    "a fixed source": (lambda board: first(board)["datasource"].update(uid="abc"), "data source"),
    "an unknown variable": (asking('up{instance=~"$host"}'), "$host in"),
    "no ways": (lambda board: board.update(links=[]), "no links by tag"),
    "no marks": (lambda board: board["annotations"].update(list=[]), "no annotations"),
    "no PromQL": (asking("rate(up["), "rate(up["),
    "a bare counter": (
        asking('llm_monitor_node_oom_kills_total{instance=~"$instance"}'),
        "the counter llm_monitor_node_oom_kills_total without",
    ),
    "a histogram's bare count": (
        asking('llm_monitor_vllm_time_to_first_token_seconds_count{instance=~"$instance"}'),
        "without rate or increase",
    ),
    "a rate of a gauge": (
        asking('rate(llm_monitor_node_load1{instance=~"$instance"}[$__rate_interval])'),
        "llm_monitor_node_load1, which is no counter",
    ),
    "a fixed window": (
        asking('rate(llm_monitor_node_oom_kills_total{instance=~"$instance"}[5m])'),
        "over something else than $__rate_interval",
    ),
    "a short increase": (
        asking('increase(llm_monitor_node_oom_kills_total{instance=~"$instance"}[5m])', instant=True),
        "over something else than $__rate_interval",
    ),
    "a job by name": (asking('up{instance=~"$instance", job="node"}'), "job='node' in up"),
    "an instance by name": (asking('llm_monitor_node_load1{instance="demo"}'), "instance='demo' in"),
    "all instances": (asking("llm_monitor_node_load1"), "of all instances"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_rule_sees_what_breaks_it(name: str) -> None:
    spoil, said = SPOILED[name]
    board = copy.deepcopy(next(one for one in ALL if one.uid == "server-health").json)
    spoil(board)
    complaints = []
    for rule in lint.RULES:
        try:
            complaints += list(rule(board))
        except ValueError:
            # What is no PromQL is told by one rule, and no other can read it.
            continue
    assert any(said in complaint for complaint in complaints), complaints


def test_an_increase_over_the_whole_range_or_a_day_is_a_number_with_a_meaning() -> None:
    board = copy.deepcopy(next(one for one in ALL if one.uid == "server-health").json)
    for window in ("$__range", "24h"):
        asking(f'increase(llm_monitor_node_oom_kills_total{{instance=~"$instance"}}[{window}])', instant=True)(board)
        assert list(lint.windows(board)) == []
