"""What is committed is what is built, and building is careful."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.dashboards.build import __main__ as command
from ansible_collections.llmops.monitoring.dashboards.build import limits, panels
from ansible_collections.llmops.monitoring.dashboards.build.board import Board, _stretched
from ansible_collections.llmops.monitoring.dashboards.build.limits import above, alert, below
from ansible_collections.llmops.monitoring.dashboards.build.queries import Query
from ansible_collections.llmops.monitoring.dashboards.build.tables import Column, table
from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.dashboards.reading import FOLDER

FACE = panels.Face("What it is about, in a sentence.", "short", "Nothing.")


def test_building_gives_the_committed_bytes() -> None:
    wanted = {FOLDER / f"{name}.json": board.json().encode() for name, board in command.boards().items()}
    assert {path: path.read_bytes() for path in FOLDER.glob("*/*.json")} == wanted


def test_every_dashboard_is_listed_with_its_folder() -> None:
    page = (FOLDER.parent / "docs" / "dashboards.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([\w-]+)` \| (\w+) \|", page, re.MULTILINE))
    assert listed == {path.stem: path.parent.name for path in FOLDER.glob("*/*.json")}


def test_check_names_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "OUT", tmp_path / "dashboards")
    wanted = {tmp_path / "dashboards/system" / f"{name}.json": "{}\n" for name in ("same", "new", "changed")}
    (tmp_path / "dashboards/system").mkdir(parents=True)
    for name, text in {"same": "{}\n", "changed": "{ }\n", "old": "{}\n"}.items():
        (tmp_path / "dashboards/system" / f"{name}.json").write_text(text)
    assert command.differences(wanted) == [
        "dashboards/system/changed.json is not what would be built",
        "dashboards/system/new.json is not there",
        "dashboards/system/old.json has no module in dashboards/build",
    ]
    command.write(wanted)
    assert command.differences(wanted) == []
    assert {path.name for path in (tmp_path / "dashboards/system").iterdir()} == {
        "same.json",
        "new.json",
        "changed.json",
    }


def test_thresholds_are_those_of_the_alerts() -> None:
    catalogue = alerts.variables()
    assert alert("HostCpuHigh") == catalogue["prometheus_alert_catalogue_system"]["HostCpuHigh"]["threshold"]
    assert limits.default("prometheus_ttft_target") == catalogue["prometheus_ttft_target"]
    with pytest.raises(KeyError):
        alert("HostCpuHihg")
    with pytest.raises(KeyError):
        alert("HostCpuHigh", "treshold")


def test_limits_say_from_where_on_a_colour_holds() -> None:
    assert above(warning=1, critical=2).steps == ((None, "green"), (1, "orange"), (2, "red"))
    assert above(critical=2).steps == ((None, "green"), (2, "red"))
    assert below(warning=2, critical=1).steps == ((None, "red"), (1, "orange"), (2, "green"))
    assert below(warning=2).steps == ((None, "orange"), (2, "green"))
    assert below(critical=1).steps == ((None, "red"), (1, "green"))


def test_a_line_has_the_colour_of_the_side_that_it_warns_of() -> None:
    assert above(warning=1, critical=2).lines() == above(warning=1, critical=2)
    assert below(warning=2, critical=1).lines().steps == ((None, "green"), (1, "red"), (2, "orange"))
    assert below(critical=1).lines().steps == ((None, "green"), (1, "red"))


@pytest.mark.parametrize("widths", [[4], [4, 4, 4], [12, 12], [3, 5, 7], [1] * 24, [7, 7, 7]])
def test_lines_are_full(widths: list[int]) -> None:
    stretched = _stretched(widths)
    assert sum(stretched) == 24
    assert all(given >= width for given, width in zip(stretched, widths, strict=True))


def test_panels_of_collapsed_rows_take_no_place() -> None:
    board = Board(uid="one", title="One", folder="system", description="One.")
    board.row("", panels.stat("A", Query("up"), face=FACE), panels.stat("B", Query("up"), face=FACE, width=24))
    board.row("Folded", panels.series("C", Query("up"), face=FACE), collapsed=True)
    board.row("Open", panels.series("D", Query("up"), face=FACE))
    told = json.loads(board.json())["panels"]
    places = {one["title"]: (one["id"], one["gridPos"]["y"]) for one in told}
    assert places == {"A": (1, 0), "B": (2, 4), "Folded": (3, 8), "Open": (5, 9), "D": (6, 10)}
    assert [(one["id"], one["gridPos"]["y"]) for one in told[2]["panels"]] == [(4, 9)]


def test_the_same_is_built_twice() -> None:
    assert [board.json() for board in command.boards().values()] == [
        board.json() for board in command.boards().values()
    ]


def test_a_table_names_values_by_their_query() -> None:
    columns = [Column("instance", "Host"), Column("A", "Free"), Column("B", "Used")]
    assert _renamed(table("T", [Query("a"), Query("b")], columns=columns, face=FACE)) == {
        "instance": "Host",
        "Value #A": "Free",
        "Value #B": "Used",
    }
    assert _renamed(table("T", [Query("a")], columns=columns[:2], face=FACE)) == {"instance": "Host", "Value": "Free"}


def _renamed(panel: panels.Panel) -> dict[str, str]:
    board = Board(uid="one", title="One", folder="system", description="One.")
    board.row("", panel)
    transformations = json.loads(board.json())["panels"][0]["transformations"]
    names: dict[str, str] = next(one["options"]["renameByName"] for one in transformations if one["id"] == "organize")
    return names
