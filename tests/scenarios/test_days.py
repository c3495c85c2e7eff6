"""Usual days make no alert fire, and those that compare with other days do on a bad one after them."""

from __future__ import annotations

import os
import re
import time

import pytest
import yaml
from ansible_collections.llmops.monitoring.tests.scenarios.court import WATCHDOG, Alert, Court
from ansible_collections.llmops.monitoring.tests.scenarios.history import History, seconds
from ansible_collections.llmops.monitoring.tests.scenarios.table import caused_by
from ansible_collections.llmops.monitoring.tests.scenarios.tape import LIBRARY
from ansible_collections.llmops.monitoring.tools.recorded import STEP
from llm_monitor.mock.parts import PLAYED

# More than LatencyRegression wants to have seen. `make mock-month` plays thirty.
DAYS = int(os.environ.get("LLM_MONITOR_USUAL_DAYS", "9"))
DAY = 86400
BAD = 7200
# At the same time of the day every time.
BEGIN = 1_793_491_200
# What wants samples closer to each other than those of the days; test_alerts.py judges it.
CLOSER = {"VllmNoProgress"}


@pytest.fixture(scope="module")
def history(court: Court, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Return usual days and a bad evening, with what our rules record."""
    folder = tmp_path_factory.mktemp("history")
    bad = yaml.safe_load((LIBRARY / "bad_day.yaml").read_text(encoding="utf-8"))
    events = [{"at": f"{DAYS}d", **event} for event in bad["events"]]
    (folder / "scenarios").mkdir()
    scenario = {"description": "Usual days, and a bad one.", "extends": ["normal"], "events": events}
    (folder / "scenarios/days.yaml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    history = History(folder, BEGIN, BEGIN + DAYS * DAY + BAD)
    history.play(folder / "scenarios", "days")
    begun = time.monotonic()
    history.record([rule for rule in court.rules if "record" in rule])
    print(f"recorded in {time.monotonic() - begun:.0f} s")
    return history


@pytest.fixture(scope="module")
def firing(court: Court, history: History) -> dict[Alert, list[float]]:
    return history.firing([rule for rule in court.rules if "alert" in rule])


def test_no_range_is_too_short_for_two_samples(court: Court) -> None:
    short = {
        rule.get("alert") or rule["record"]
        for rule in court.rules
        for found in re.findall(r"\[((?:\d+[smhdw])+)(?::\w*)?\]", rule["expr"])
        if seconds(found) < 2 * STEP
    }
    assert short == CLOSER


def test_every_scrape_is_there(history: History) -> None:
    found = history.values(f"sum(count_over_time(up[{STEP}s]))")
    scrapes = [float(value) for one in found for _moment, value in one["values"]]
    assert sum(scrape >= len(PLAYED) for scrape in scrapes) >= DAYS * DAY // STEP


def test_usual_days_are_quiet(firing: dict[Alert, list[float]]) -> None:
    assert len(firing[WATCHDOG]) >= DAYS * DAY // STEP
    usual = {
        alert: time.strftime("day %j, %H:%M", time.gmtime(moments[0] - BEGIN))
        for alert, moments in firing.items()
        if alert != WATCHDOG and moments and moments[0] < BEGIN + DAYS * DAY
    }
    assert not usual


def test_bad_day_after_them_is_not(firing: dict[Alert, list[float]]) -> None:
    bad = {alert for alert, moments in firing.items() if moments and moments[-1] >= BEGIN + DAYS * DAY}
    print(f"a bad day fires {sorted(bad)}")
    assert caused_by("bad_day") <= bad
