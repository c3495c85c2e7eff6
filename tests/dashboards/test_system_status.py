"""The dashboard for people who use the models shows models and words, and nothing of what is behind them."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards import asking
from ansible_collections.llmops.monitoring.tests.dashboards.past import PARTS
from ansible_collections.llmops.monitoring.tests.dashboards.reading import (
    FOLDER,
    Asked,
    marks,
    panels,
    queries,
    strings,
)

BOARD = json.loads((FOLDER / "announcements/system-status.json").read_text(encoding="utf-8"))
SHOWN = {"model", "id", "kind", "title", "text", "__name__"}
ASKED = [*queries(BOARD), *marks(BOARD)]


@pytest.mark.parametrize("asked", ASKED, ids=lambda one: one.where)
def test_answers_name_models_and_announcements_alone(prometheus: str, asked: Asked) -> None:
    values = asking.everything(BOARD)
    labels = set()
    for part in PARTS:
        filled = Asked(asked.where, asking.filled(asked.expr, part, values), asked.source, asked.instant)
        labels |= {name for series in asking.ask(prometheus, filled, part) for name in series["metric"]}
    assert labels - SHOWN == set()


def test_it_leads_to_no_other_dashboard() -> None:
    assert [value for _key, value in strings(BOARD) if re.match(r"/?d/", value)] == []
    assert [link["type"] for link in BOARD["links"]] == ["link", "link"]
    assert not [panel["title"] for panel in panels(BOARD) if panel.get("datasource", {}).get("type") == "loki"]


def test_its_feeds_are_those_that_a_rollout_writes() -> None:
    templates = {path.stem for path in (FOLDER.parent / "templates/grafana/announcements").glob("*.j2")}
    assert {link["url"].rpartition("/")[2] for link in BOARD["links"]} == templates


def test_a_scenario_shows_each_state(prometheus: str) -> None:
    """What is down in the simulation is down here, under the name that people ask for."""
    seen = set()
    for part in PARTS:
        asked = Asked("state", "min by (model) (model:llm_monitor_status:state)", "prometheus", False)
        for series in asking.ask(prometheus, asked, part):
            seen |= {float(value) for _time, value in series["values"]}
    assert seen == {0.0, 1.0, 2.0}
