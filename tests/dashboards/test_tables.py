"""Grafana's own transformations make tables of what Prometheus answers: all columns, and a row for each thing."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards.lint import UNITS
from ansible_collections.llmops.monitoring.tests.dashboards.past import PARTS
from ansible_collections.llmops.monitoring.tests.dashboards.reading import dashboards, panels
from ansible_collections.llmops.monitoring.tests.dashboards.tabulating import SCRIPTS, Json, frames, transformed
from ansible_collections.llmops.monitoring.tests.npm import folder, node

TABLES = [
    pytest.param(board.json, panel, id=f"{board.uid}-{panel['title']}")
    for board in dashboards()
    for panel in panels(board.json)
    if panel["type"] == "table" and panel["datasource"]["type"] == "prometheus"
]


def declared(panel: Json) -> Json:
    """Return the settings of a table's transformation that orders its columns."""
    options: Json = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
    return options


@pytest.mark.parametrize(("board", "panel"), TABLES)
def test_a_table_has_its_columns_and_a_row_for_each_thing(prometheus: str, board: Json, panel: Json) -> None:
    asked = [
        {"transformations": panel["transformations"], "frames": list(frames(prometheus, board, panel, part))}
        for part in PARTS
    ]
    places = declared(panel)["indexByName"]
    titles = dict(sorted(declared(panel)["renameByName"].items(), key=lambda one: places[one[0]]))
    named = [title for name, title in titles.items() if not name.startswith("Value")]
    seen: set[str] = set()
    for part, tables in zip(PARTS, transformed(asked), strict=True):
        assert len(tables) == 1, f"{part.scenario}: {len(tables)} tables"
        columns = {field["name"]: field["values"] for field in tables[0]}
        # What no answer has in a scenario has no column there; all others are in the order that was asked for.
        assert list(columns) == [title for title in titles.values() if title in columns]
        seen |= {name for name, values in columns.items() if any(value not in (None, "") for value in values)}
        assert all(columns.get(named[0], ())), f"{part.scenario}: a row of nothing"
        things = Counter(zip(*(columns[name] for name in named if name in columns), strict=True))
        twice = {thing for thing, times in things.items() if times > 1}
        assert not twice, f"{part.scenario}: more than one row for {twice}"
    assert set(titles.values()) - seen == set(), "columns that are empty in every scenario"


def test_units_are_those_that_grafana_knows() -> None:
    command = [node(), str(SCRIPTS / "units.mjs"), str(folder("tables"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    # Packages write advertisements before it.
    known = set(json.loads(done.stdout.splitlines()[-1]))
    assert len(known) > 100
    assert UNITS - known == set()


def test_columns_that_are_dressed_are_there() -> None:
    """An override of a column that is called otherwise would do nothing."""
    for one in TABLES:
        panel: Any = one.values[1]
        dressed = {by["matcher"]["options"] for by in panel["fieldConfig"]["overrides"]}
        assert dressed <= set(declared(panel)["renameByName"].values())
