"""Usual days make no alert fire, and those that compare with other days do on a bad one after them."""

from __future__ import annotations

import os

from ansible_collections.llmops.monitoring.tests.scenarios.court import Court
from ansible_collections.llmops.monitoring.tests.scenarios.table import caused_by
from ansible_collections.llmops.monitoring.tests.scenarios.tape import Run

# As many as LatencyRegression wants to have seen. `make mock-month` plays thirty.
DAYS = int(os.environ.get("LLM_MONITOR_USUAL_DAYS", "8"))
USUAL = DAYS * 24 * 60 + 240
BAD = 120
# Rates over five minutes find two scrapes. What looks back over less is quiet in test_alerts.py.
STEP = 240


def test_usual_days_are_quiet_and_a_bad_one_after_them_is_not(court: Court) -> None:
    assert DAYS >= 8
    run = Run("normal", USUAL + BAD, STEP, then=(USUAL, "bad_day"))
    usual, bad = court.firing(run, [(0, USUAL), (USUAL, USUAL + BAD)])
    assert not usual
    assert caused_by("bad_day") <= bad
