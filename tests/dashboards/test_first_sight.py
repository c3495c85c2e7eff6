"""What a person sees within seconds of opening a dashboard: on a usual day nothing is coloured as bad, else what is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.dashboards.build import colours
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.past import PARTS, Part
from ansible_collections.llmops.monitoring.tests.dashboards.reading import Asked, dashboards

BAD = {colours.WARNING, colours.CRITICAL}
BOARDS = {one.uid: one.json for one in dashboards()}
SCENARIOS = {part.scenario: part for part in PARTS}

# Dashboard and scenario → the panels in the first row that have to be coloured then.
SEEN = {
    ("server-health", "failure"): {"Critical alerts", "Memory available"},
    ("server-health", "degraded"): {"Warning alerts"},
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


def colour(panel: Mapping[str, Any], value: float) -> str:
    """Return in which colour Grafana shows a value: that of what it stands for, else of the last threshold below."""
    config = panel["fieldConfig"]["defaults"]
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
                if colour(panel, float(series["value"][1])) in BAD:
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
