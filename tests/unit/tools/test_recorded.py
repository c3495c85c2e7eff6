"""In which order the past of recording rules is made, and how it is written."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.integration.programs import tool
from ansible_collections.llmops.monitoring.tools.recorded import Rule, Series, levels, openmetrics


def rule(name: str, expression: str) -> Rule:
    return {"record": name, "expr": expression, "labels": {}}


def test_each_comes_after_those_that_it_builds_on() -> None:
    rules = [
        rule("a:c:sum", "sum(a:b:ratio)"),
        rule("a:b:ratio", "b / c"),
        rule("a:d:max", "max(a:c:sum or a:b:ratio)"),
        rule("a:e:count", "count(e)"),
    ]
    found = [[one["record"] for one in level] for level in levels(rules)]
    assert found == [["a:b:ratio", "a:e:count"], ["a:c:sum"], ["a:d:max"]]


def test_one_that_asks_by_a_pattern_comes_after_all_that_have_it() -> None:
    rules = [rule("a:all", 'group({__name__=~"a:(b|c):rate5m"})'), rule("a:b:rate5m", "b"), rule("a:c:rate5m", "c")]
    assert [len(level) for level in levels(rules)] == [2, 1]


def test_one_that_builds_on_its_own_past_is_no_circle() -> None:
    assert [len(level) for level in levels([rule("a:b", "b or a:b offset 1m")])] == [1]


def test_rules_that_build_on_each_other_are_named() -> None:
    with pytest.raises(ValueError, match="build on each other: a:b, a:c"):
        list(levels([rule("a:b", "a:c"), rule("a:c", "a:b")]))


def test_labels_of_any_text_come_back(tmp_path: Path) -> None:
    labels = {"model": 'a "b"\\n\nü'}
    series: list[Series] = [{"metric": {"__name__": "b", **labels}, "values": [[60, "1.5"], [120, "NaN"]]}]
    asked = {"record": "a:b", "expr": "b", "labels": {"team": "one"}}
    file, blocks = tmp_path / "recorded.om", tmp_path / "blocks"
    file.write_text("".join(openmetrics([asked], lambda expression: series)), encoding="utf-8")
    subprocess.run([tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", "-q", file, blocks], check=True)
    # It dumps what Prometheus has run over.
    (blocks / "wal").mkdir()
    dump = subprocess.run([tool("promtool"), "tsdb", "dump", blocks], check=True, capture_output=True, text=True)
    text = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in {"__name__": "a:b", **labels, "team": "one"}.items()
    )
    assert dump.stdout.splitlines() == [f"{{{text}}} 1.5 60000", f"{{{text}}} NaN 120000"]
