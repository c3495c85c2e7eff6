# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What becomes of announcements: rules that a real promtool takes, and feeds that hold whatever people write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.llmops.monitoring.plugins.filter.announcement_feed import announcement_feed
from ansible_collections.llmops.monitoring.plugins.filter.announcement_rules import announcement_rules
from ansible_collections.llmops.monitoring.plugins.module_utils._announcements import (
    announcement_problems,
    announcements,
)
from hypothesis import given
from hypothesis import strategies as st

PAGE = "https://grafana.example.com/d/system-status"
HOSTILE = "</title><script>alert(1)</script> ]]> & \"'\\ {{ $value }} %s é 🔥"


def announced(**changes: Any) -> dict[str, Any]:
    """Return an announcement of an hour, with changes; None takes a key away."""
    usual = {
        "id": "one",
        "kind": "maintenance",
        "title": "New GPUs",
        "text": "Requests wait.",
        "models": ["llama-70b"],
        "start": "2026-12-01T08:00Z",
        "end": "2026-12-01T09:00Z",
    }
    return {key: value for key, value in {**usual, **changes}.items() if value is not None}


def selector(labels: dict[str, str]) -> str:
    """Return labels as PromQL has them, with the metric's name among them."""
    return "{" + ", ".join(f"{key}={json.dumps(text, ensure_ascii=False)}" for key, text in labels.items()) + "}"


class Promtool:
    """A real promtool over a file of rules."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("promtool", path=os.environ.get("LLM_MONITOR_TOOLS") or None)
        assert found, "There is no promtool: put it on PATH, or name its folder in LLM_MONITOR_TOOLS."
        self.program = found
        self.folder = folder

    def writes(self, rules: dict[str, Any]) -> None:
        (self.folder / "announcements.yml").write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")

    def check(self) -> None:
        self._run("check", "rules", "--lint-fatal", "announcements.yml")

    def sees(self, expression: str, minutes: int, expected: list[tuple[dict[str, str], float]]) -> None:
        """Hold an expression, so many minutes after the beginning of 1970, against labels and values."""
        samples = [{"labels": selector(labels), "value": value} for labels, value in expected]
        test = {"expr": expression, "eval_time": f"{minutes}m", "exp_samples": samples}
        case = {"interval": "1m", "input_series": [{"series": "any", "values": "1x200"}], "promql_expr_test": [test]}
        content = {"rule_files": ["announcements.yml"], "evaluation_interval": "1m", "tests": [case]}
        (self.folder / "test.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
        self._run("test", "rules", "test.yml")

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture
def promtool(tmp_path: Path) -> Promtool:
    return Promtool(tmp_path)


# ---------------------------------------------------------------- rules


def test_an_announcement_becomes_active_and_ends(promtool: Promtool) -> None:
    promtool.writes(announcement_rules([announced(start="1970-01-01T01:00Z", end="1970-01-01T02:00Z", text=None)]))
    promtool.check()
    labels = {"id": "one", "kind": "maintenance", "title": "New GPUs", "model": "llama-70b"}
    info = [({"__name__": "llm_monitor_announcement_info", **labels}, 1.0)]
    promtool.sees("llm_monitor_announcement_info", 59, [])
    promtool.sees("llm_monitor_announcement_info", 60, info)
    promtool.sees("llm_monitor_announcement_info", 119, info)
    promtool.sees("llm_monitor_announcement_info", 120, [])
    for minutes in (10, 90, 150):
        for name, time in (("start", 3600.0), ("end", 7200.0)):
            metric = f"llm_monitor_announcement_{name}_timestamp_seconds"
            promtool.sees(metric, minutes, [({"__name__": metric, **labels}, time)])


def test_without_an_end_it_lasts_and_without_models_it_is_about_all(promtool: Promtool) -> None:
    promtool.writes(announcement_rules([announced(start="1970-01-01T01:00Z", end=None, models=None)]))
    promtool.check()
    labels = {"id": "one", "kind": "maintenance", "title": "New GPUs", "text": "Requests wait."}
    promtool.sees(
        "llm_monitor_announcement_info", 199, [({"__name__": "llm_monitor_announcement_info", **labels}, 1.0)]
    )
    promtool.sees("llm_monitor_announcement_end_timestamp_seconds", 199, [])


def test_each_model_has_a_series_of_its_own(promtool: Promtool) -> None:
    promtool.writes(announcement_rules([announced(start="1970-01-01T00:00Z", models=["a", "b"]), announced(id="two")]))
    promtool.check()
    promtool.sees("count by (model) (llm_monitor_announcement_info)", 5, [({"model": "a"}, 1.0), ({"model": "b"}, 1.0)])


def test_hostile_words_reach_prometheus_as_they_are(promtool: Promtool) -> None:
    announcement = announced(start="1970-01-01T00:00Z", title=HOSTILE, text=f"{HOSTILE}\nand a line", models=[HOSTILE])
    promtool.writes(announcement_rules([announcement]))
    promtool.check()
    promtool.sees(
        "max by (title, text, model) (llm_monitor_announcement_info)",
        5,
        [({"title": HOSTILE, "text": f"{HOSTILE}\nand a line", "model": HOSTILE}, 1.0)],
    )


def test_nothing_announced_is_a_file_without_groups(promtool: Promtool) -> None:
    assert announcement_rules([]) == {"groups": []}
    promtool.writes(announcement_rules([]))
    promtool.check()


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    "start",
    [
        "2026-12-01T08:00Z",
        "2026-12-01 08:00:00Z",
        "2026-12-01T09:00+01:00",
        "2026-12-01 02:30:00 -05:30",
        datetime(2026, 12, 1, 9, tzinfo=timezone(timedelta(hours=1))),
        yaml.safe_load("2026-12-01T09:00:00+01:00"),
    ],
    ids=str,
)
def test_times_of_every_zone_are_the_same_time(start: Any) -> None:
    (found,) = announcements([announced(start=start)])
    assert found.start == datetime(2026, 12, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": "2026-12-01T08:00"}, ["[0].start is '2026-12-01T08:00'", "a time with its zone", "+01:00"]),
        ({"start": datetime(2026, 12, 1, 8)}, ["[0].start is '2026-12-01 08:00:00'", "with its zone"]),
        ({"start": "2026-12-01"}, ["[0].start is '2026-12-01'", "a date and a time"]),
        ({"start": "2026-02-30T08:00Z"}, ["[0].start is '2026-02-30T08:00Z'"]),
        ({"start": "tomorrow"}, ["[0].start is 'tomorrow'"]),
        ({"start": ""}, ["[0].start is ''"]),
        ({"start": "0001-01-01T00:00+14:00"}, ["[0].start is '0001-01-01T00:00+14:00'"]),
        ({"start": "9999-12-31T23:59-12:00"}, ["[0].start is '9999-12-31T23:59-12:00'"]),
        ({"end": "soon"}, ["[0].end is 'soon'", "a date and a time with its zone"]),
        ({"end": "2026-12-01T08:30+01:00"}, ["[0].end is '2026-12-01T08:30+01:00'", "later than its start"]),
        ({"end": "2026-12-01T08:00Z"}, ["later than its start, '2026-12-01T08:00Z'"]),
        ({"kind": "outage"}, ["[0].kind is 'outage'", "maintenance, incident, deprecation"]),
        ({"titel": "x"}, ["[0] has 'titel'", "known are id, kind, title"]),
        ({"title": None}, ["[0] lacks 'title'"]),
        ({"title": "  "}, ["[0].title is empty"]),
        ({"title": "two\nlines"}, ["[0].title is 'two\\nlines'", "no line breaks"]),
        ({"title": "x" * 121}, ["[0].title has 121 characters", "120 at most"]),
        ({"text": "x" * 1001}, ["[0].text has 1001 characters", "1000 at most"]),
        ({"text": "bell \x07"}, ["[0].text is 'bell \\x07'", "no control characters"]),
        ({"text": "half a pair \ud800"}, ["[0].text is", "no control characters"]),
        ({"models": ["a", ""]}, ["[0].models is empty"]),
        ({"models": ["a", "a"]}, ["[0].models has 'a' twice"]),
        ({"id": "a b"}, ["[0].id is 'a b'", "letters, digits"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else ascii(value)[:60],
)
def test_what_makes_no_sense_is_named_with_its_place(changes: dict[str, Any], words: list[str]) -> None:
    for refuses in (announcement_rules, lambda value: announcement_feed(value, "Models", PAGE)):
        with pytest.raises(AnsibleFilterError) as refused:
            refuses([announced(**changes)])
        told = str(refused.value)
        assert told.startswith("llm_monitor_announcements")
        assert "\n" not in told, "one mistake, one line"
        for word in words:
            assert word in told


def test_an_id_can_be_used_once() -> None:
    with pytest.raises(AnsibleFilterError, match="has the id 'one' twice"):
        announcement_rules([announced(), announced(title="Another")])


@pytest.mark.parametrize("value", ["text", {"id": "one"}, ["one"], None], ids=repr)
def test_what_is_no_list_of_mappings_is_refused(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"llm_monitor_announcements.* must be a (list|mapping)"):
        announcement_rules(value)


# ---------------------------------------------------------------- feeds


def test_a_feed_tells_when_what_and_of_which_models() -> None:
    feed = announcement_feed([announced(models=["a", "b"])], "Models", PAGE)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["home_page_url"] == PAGE
    (item,) = feed["items"]
    assert item["id"] == "one"
    assert item["content_text"] == (
        "Maintenance from 2026-12-01 08:00 UTC until 2026-12-01 09:00 UTC.\nModels: a, b.\n\nRequests wait."
    )
    assert item["_llm_monitor"] == {
        "kind": "maintenance",
        "models": ["a", "b"],
        "start": "2026-12-01T08:00:00+00:00",
        "end": "2026-12-01T09:00:00+00:00",
    }


def test_the_latest_start_comes_first() -> None:
    early, late = announced(id="early"), announced(id="late", start="2026-12-01T08:30Z", end=None)
    assert [item["id"] for item in announcement_feed([early, late], "Models", PAGE)["items"]] == ["late", "early"]


@given(st.text(min_size=1, max_size=120))
def test_whatever_is_not_refused_fits_into_xml(words: str) -> None:
    element = ElementTree.Element("text")
    element.text = words
    try:
        fits = ElementTree.fromstring(ElementTree.tostring(element)).tag == "text"
    except ElementTree.ParseError:
        fits = False
    assert fits or announcement_problems([announced(text=words)])
