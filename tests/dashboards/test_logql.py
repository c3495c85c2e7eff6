"""Every query of logs is LogQL by Grafana's own grammar, and chooses streams by the labels that Alloy gives them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.npm import folder, is_installed, node

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "dashboards").glob("*/*.json"))
LABELS = {"service", "container", "level", "instance"}
# What Grafana puts in: a time where one is asked for, else words within a string.
TIME = re.compile(r"\$(?:__(?:auto|interval|range|rate_interval)\b|\{__(?:auto|interval|range|rate_interval)\})")
WORD = re.compile(r"\$(?:\{\w+(?::\w+)?\}|\w+)")


@dataclass(frozen=True)
class Parsed:
    """What the grammar says of a query: where it could not go on, and by which labels streams are chosen."""

    errors: list[int]
    labels: list[str]


def parse(queries: Sequence[str]) -> list[Parsed]:
    """Parse queries with the grammar in .cache/logql; fail the test where there is none."""
    if not is_installed("logql"):
        pytest.fail("There is no grammar of LogQL: run make .cache/logql")
    done = subprocess.run(
        [node(), str(Path(__file__).parent / "logql/parse.mjs"), str(folder("logql"))],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Parsed(**one) for one in json.loads(done.stdout)]


def filled(query: str) -> str:
    """Return a query with something in the place of each variable."""
    return WORD.sub("x", TIME.sub("5m", query))


def queries_of(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each query that a dashboard asks Loki."""
    panels = [inner for panel in dashboard["panels"] for inner in (panel, *panel.get("panels", []))]
    for panel in panels:
        for target in panel.get("targets", []):
            if (target.get("datasource") or panel.get("datasource") or {}).get("type") == "loki":
                yield f"panel {panel['title']!r}, query {target['refId']}", target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if annotation["datasource"]["type"] == "loki":
            yield f"annotation {annotation['name']!r}", annotation["target"]["expr"]


def complaints(queries: Sequence[tuple[str, str]]) -> list[str]:
    """Return a line for each query that is no LogQL or chooses streams by other labels."""
    found = []
    for (place, query), parsed in zip(queries, parse([filled(query) for _place, query in queries]), strict=True):
        text = filled(query)
        found += [f"{place}: no LogQL after {text[:at]!r}, at {text[at:]!r}" for at in parsed.errors]
        found += [f"{place}: {label} is none of the labels {sorted(LABELS)}" for label in {*parsed.labels} - LABELS]
    return found


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_queries_of_logs_are_valid(dashboard: Path) -> None:
    assert complaints(list(queries_of(json.loads(dashboard.read_text(encoding="utf-8"))))) == []


def test_there_are_queries_of_logs() -> None:
    asked = [query for path in DASHBOARDS for query in queries_of(json.loads(path.read_text(encoding="utf-8")))]
    assert len(asked) > 10


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('{service="$service"} |= `x` | json |', "at ''"),
        ('{service="x"', "no LogQL after"),
        ("{service=x}", "no LogQL after '{service=', at 'x}'"),
        ('count_over_time({service="x"})', "at ')'"),
        ('sum(rate({service="x"}[$__auto])', "no LogQL"),
        ('rate({service="x"} |= 5 [5m])', "at '5 [5m])'"),
        ("", "no LogQL after '', at ''"),
        ('{service="x", model="m"}', "model is none of the labels"),
    ],
)
def test_a_wrong_query_is_told_with_its_place(query: str, said: str) -> None:
    told = complaints([("panel 'Errors', query A", query)])
    assert len(told) == 1
    assert told[0].startswith("panel 'Errors', query A: ")
    assert said in told[0]


def test_what_a_pipeline_filters_by_need_not_be_a_label() -> None:
    query = '{service=~"$service"} |~ `(?i)$text` | json | trace_id != "" | line_format `{{.message}}`'
    assert complaints([("here", query)]) == []
