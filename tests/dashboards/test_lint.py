"""The rules of dashboards hold for each of them, and each rule sees what breaks it."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.dashboards.build import colours
from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.dashboards import lint
from ansible_collections.llmops.monitoring.tests.dashboards.metrics import ELSEWHERE, exported, recorded
from ansible_collections.llmops.monitoring.tests.dashboards.reading import (
    FOLDER,
    Dashboard,
    dashboards,
    panels,
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


def undeclared(board: dict[str, Any]) -> set[str]:
    known = exported() | recorded() | ELSEWHERE.keys()
    asked = {selector.name for one in promql(board) for selector in selectors(parsed(one.expr))}
    # A name may be a pattern: that of every exporter's own metric.
    return {name for name in asked - known if not any(re.fullmatch(name, one) for one in known)}


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_metric_is_declared(dashboard: Dashboard) -> None:
    assert undeclared(dashboard.json) == set()


@pytest.mark.parametrize("name", ["llm_monitor_node_load2", "llm_monitor_nobody_.+", "instance:no_such:ratio"])
def test_a_metric_that_nobody_declares_is_seen(name: str) -> None:
    board = copy.deepcopy(ALL[0].json)
    asking(f'{{__name__=~"{name}"}}')(board)
    assert undeclared(board) == {name}


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


def without_links(board: dict[str, Any]) -> None:
    for panel in panels(board):
        for config in (panel["fieldConfig"]["defaults"], *panel["fieldConfig"]["overrides"]):
            config.pop("links", None)
            config["properties"] = [one for one in config.get("properties", ()) if one["id"] != "links"]


def without_limits(board: dict[str, Any]) -> None:
    for panel in panels(board):
        panel["fieldConfig"]["defaults"]["thresholds"]["steps"] = [{"value": None, "color": "text"}]


def forgetful(board: dict[str, Any]) -> None:
    link = next(panel["fieldConfig"]["defaults"]["links"][0] for panel in panels(board) if "links" in str(panel))
    link["url"] = "/d/alerts"


SPOILED: dict[str, tuple[Spoil, str]] = {
    "a uid with capitals": (lambda board: board.update(uid="Server"), "uid Server"),
    "a title without words": (lambda board: board.update(description=""), "no title or no description"),
    "no tag": (lambda board: board.update(tags=["system"]), "tags"),
    "seldom": (lambda board: board.update(refresh="5m"), "refresh 5m"),
    "a short time": (lambda board: board["time"].update({"from": "now-1h"}), "time {'from': 'now-1h'"),
    "no data source": (lambda board: board["templating"]["list"].pop(0), "no variable datasource"),
    "no instance": (lambda board: board["templating"]["list"].pop(1), "no variable instance"),
    "no All": (lambda board: board["templating"]["list"][1].update(includeAll=False), "variable instance: several"),
    "one at first": (
        lambda board: board["templating"]["list"][1].update(current={"value": ["demo"]}),
        "variable instance: several",
    ),
    "the new schema": (lambda board: board.update(spec={}), "spec is of another schema"),
    "an export": (lambda board: board.update(__inputs=[]), "__inputs is of another schema or of an export"),
    "a number of the database": (lambda board: board.update(id=7), "an id of its own"),
    "a number twice": (lambda board: first(board).update(id=board["panels"][-1]["id"]), "is there 2 times"),
    "upon something": (lambda board: first(board)["gridPos"].update(h=40), "overlap"),
    "outside": (lambda board: first(board)["gridPos"].update(x=23, w=9), "outside of the grid"),
    "each in full": (
        lambda board: next(one for one in board["panels"] if one["type"] == "row").update(repeat="instance"),
        "is repeated and not collapsed",
    ),
    "a line that is not drawn": (without_limits, "tells of a line and has no limit"),
    "no way from a host": (without_links, "leads to nothing about instance"),
    "no way to logs": (without_links, "no way to logs"),
    "a way that forgets": (forgetful, "/d/alerts does not keep time and data source"),
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
    "weeks of raw samples": (lambda board: board.update(uid="performance-trends"), "over weeks, and not what is"),
    "all instances": (asking("llm_monitor_node_load1"), "of all instances"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_rule_sees_what_breaks_it(name: str) -> None:
    spoil, said = SPOILED[name]
    board = copy.deepcopy(next(one for one in ALL if one.uid == "server-health").json)
    spoil(board)
    assert [rule for rule, complaints in seen(board).items() if any(said in one for one in complaints)]


def test_every_rule_is_seen_to_fail() -> None:
    """A rule without an example above could be one that holds for everything."""
    failing = set()
    for spoil, said in SPOILED.values():
        board = copy.deepcopy(next(one for one in ALL if one.uid == "server-health").json)
        spoil(board)
        failing |= {rule for rule, complaints in seen(board).items() if any(said in one for one in complaints)}
    assert failing == {rule.__name__ for rule in lint.RULES}


def seen(board: dict[str, Any]) -> dict[str, list[str]]:
    """Return what each rule complains of."""
    found = {}
    for rule in lint.RULES:
        try:
            found[rule.__name__] = list(rule(board))
        except ValueError:
            # What is no PromQL is told by one rule, and no other can read it.
            continue
    return found


def test_a_link_to_nothing_is_seen() -> None:
    assert set(lint.linked({"links": [{"url": "/d/no-such?a=b"}], "panels": [{"url": "/d/alerts"}]})) == {
        "no-such",
        "alerts",
    }


def test_no_two_meanings_have_one_colour() -> None:
    named = [value for name, value in vars(colours).items() if name.isupper()]
    assert [value for value, times in Counter(named).items() if times > 1] == []


def test_an_increase_over_the_whole_range_or_a_day_is_a_number_with_a_meaning() -> None:
    board = copy.deepcopy(next(one for one in ALL if one.uid == "server-health").json)
    for window in ("$__range", "24h"):
        asking(f'increase(llm_monitor_node_oom_kills_total{{instance=~"$instance"}}[{window}])', instant=True)(board)
        assert list(lint.windows(board)) == []
