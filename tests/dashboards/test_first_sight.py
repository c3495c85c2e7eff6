"""What a person sees within seconds of opening a dashboard: on a usual day nothing is coloured as bad, else what is.

And where: on the dashboards that a newcomer opens, a table in the first screen names the host, GPU or model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.dashboards.build import colours
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.past import PARTS, Part
from ansible_collections.llmops.monitoring.tests.dashboards.reading import Asked, dashboards
from ansible_collections.llmops.monitoring.tests.dashboards.tabulating import frames, transformed

BAD = {colours.WARNING, colours.CRITICAL}
BOARDS = {one.uid: one.json for one in dashboards()}
SCENARIOS = {part.scenario: part for part in PARTS}

# What a dashboard leads to: the title of the table that stands in the first screen, and the column with names.
NAMED = {
    "server-health": ("Hosts", "Host"),
    "gpu-usage": ("Health of each GPU", "GPU"),
    "system-status": ("Models", "Model"),
}
# How many rows of the grid a screen shows below Grafana's own bars, and how many of a table make it readable.
SCREEN, HEAD = 22, 6
# Dashboard and scenario → what the table has to name then, and in which column the colour stands.
WHERE = {
    ("server-health", "failure"): {("demo", "Alerts"), ("demo", "Memory available")},
    ("server-health", "degraded"): {("demo", "Alerts")},
    ("server-health", "trouble"): {("demo", "State")},
    ("gpu-usage", "failure"): {("3", "Responds")},
    ("gpu-usage", "degraded"): {("1", "Die")},
    ("gpu-usage", "trouble"): {("2", "Last XID before")},
    ("system-status", "failure"): {("llama3-8b", "State"), ("mixtral-8x7b", "State")},
    ("system-status", "high_load"): {("llama3-70b", "State")},
    ("system-status", "maintenance"): {("qwen2-72b", "State")},
}

# Dashboard and scenario → the panels in the first row that have to be coloured then.
SEEN = {
    ("server-health", "failure"): {"Critical alerts", "Memory available"},
    ("server-health", "degraded"): {"Warning alerts"},
    ("server-health", "trouble"): {"Critical alerts"},
    ("gpu-usage", "failure"): {"GPUs missing", "Hardware XIDs, 24 h"},
    ("gpu-usage", "degraded"): {"Hottest GPU"},
    ("gpu-usage", "trouble"): {"Other XIDs, 24 h"},
    ("docker-containers", "failure"): {"Not running", "Restarts", "Alerts"},
    ("docker-containers", "degraded"): {"Unhealthy"},
    ("docker-containers", "trouble"): {"Out of memory"},
    ("litellm-status", "failure"): {"Alerts firing", "Models that can't be used", "Requests that fail"},
    ("vllm-docker-status", "failure"): {"Alerts firing", "Servers down"},
    ("model-catalog", "trouble"): {"Can't be used", "Routed, but not served", "Served, but not routed"},
    ("langfuse-analytics", "failure"): {"Calls that failed, last hour"},
    ("system-status", "failure"): {"All models"},
    ("system-status", "high_load"): {"All models"},
    ("system-status", "maintenance"): {"All models"},
    ("alerts", "failure"): {"Critical", "Warnings"},
    ("monitoring-health", "trouble"): {
        *(
            "Targets down",
            "Collectors that fail",
            "Notifications that failed",
            "Lines lost",
            "Parts of Alloy that fail",
        ),
    },
}


def status(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the panels with big numbers above the first heading."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            return
        if panel["type"] == "stat":
            yield panel


def colour(config: Mapping[str, Any], value: float) -> str:
    """Return in which colour Grafana shows a value: that of what it stands for, else of the last threshold below."""
    for mapping in config.get("mappings", ()):
        if (found := mapping["options"].get(f"{value:g}")) and "color" in found:
            return str(found["color"])
    steps = [step for step in config["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    return str(steps[-1]["color"])


def bad(url: str, board: Mapping[str, Any], part: Part) -> set[str]:
    """Return which panels above the first heading show a value in a bad colour at the end of a scenario."""
    found = set()
    for panel in status(board):
        for target in panel["targets"]:
            expr = asking.filled(target["expr"], part, asking.everything(board))
            for series in asking.ask(url, Asked(panel["title"], expr, "prometheus", instant=True), part):
                if colour(panel["fieldConfig"]["defaults"], float(series["value"][1])) in BAD:
                    found.add(panel["title"])
    return found


@pytest.mark.parametrize("uid", sorted({uid for uid, _scenario in SEEN}))
def test_on_a_usual_day_nothing_is_bad(prometheus: str, uid: str) -> None:
    assert len(list(status(BOARDS[uid]))) >= 3
    assert bad(prometheus, BOARDS[uid], SCENARIOS["normal"]) == set()


@pytest.mark.parametrize(("uid", "scenario"), SEEN)
def test_on_a_bad_day_what_is_bad_can_be_seen(prometheus: str, uid: str, scenario: str) -> None:
    found = bad(prometheus, BOARDS[uid], SCENARIOS[scenario])
    print(f"{uid} in {scenario}: {sorted(found)}")
    assert SEEN[uid, scenario] <= found


def bad_cells(url: str, uid: str, part: Part) -> set[tuple[str, str]]:
    """Return what the table in the first screen names in a bad colour at the end of a scenario, and in which column."""
    title, named = NAMED[uid]
    panel = next(one for one in BOARDS[uid]["panels"] if one["title"] == title)
    (table,) = transformed(
        [{"transformations": panel["transformations"], "frames": list(frames(url, BOARDS[uid], panel, part))}]
    )[0]
    columns = {field["name"]: field["values"] for field in table}
    found = set()
    for override in panel["fieldConfig"]["overrides"]:
        column = override["matcher"]["options"]
        config = {one["id"]: one["value"] for one in override["properties"]}
        for name, value in zip(columns[named], columns.get(column, ()), strict=False):
            if {"mappings", "thresholds"} & config.keys() and value is not None:
                shown = colour({"thresholds": {"steps": [{"value": None, "color": colours.PLAIN}]}, **config}, value)
                found |= {(name, column)} if shown in BAD else set()
    return found


@pytest.mark.parametrize("uid", NAMED)
def test_what_names_things_stands_in_the_first_screen(uid: str) -> None:
    place = next(one["gridPos"] for one in BOARDS[uid]["panels"] if one["title"] == NAMED[uid][0])
    assert place["y"] + min(place["h"], HEAD) <= SCREEN


@pytest.mark.parametrize("uid", NAMED)
def test_on_a_usual_day_no_row_is_bad(prometheus: str, uid: str) -> None:
    assert bad_cells(prometheus, uid, SCENARIOS["normal"]) == set()


@pytest.mark.parametrize(("uid", "scenario"), WHERE)
def test_on_a_bad_day_it_can_be_seen_where(prometheus: str, uid: str, scenario: str) -> None:
    found = bad_cells(prometheus, uid, SCENARIOS[scenario])
    print(f"{uid} in {scenario}: {sorted(found)}")
    assert WHERE[uid, scenario] <= found


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, colours.CRITICAL), (0.05, colours.WARNING), (0.5, colours.OK), (2, colours.INFO)],
)
def test_a_colour_is_that_of_the_meaning_or_of_the_last_limit_below(value: float, shown: str) -> None:
    steps = [(None, colours.CRITICAL), (0.05, colours.WARNING), (0.2, colours.OK)]
    config = {
        "thresholds": {"steps": [{"value": least, "color": name} for least, name in steps]},
        "mappings": [{"type": "value", "options": {"2": {"text": "Loading", "color": colours.INFO}}}],
    }
    assert colour(config, value) == shown
