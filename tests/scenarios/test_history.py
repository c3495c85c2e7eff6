"""What a history makes of the past, over blocks of a few samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.scenarios.history import History
from ansible_collections.llmops.monitoring.tools import recorded
from ansible_collections.llmops.monitoring.tools.recorded import STEP

BEGIN = 1_793_491_200
SAMPLES = 11
RULE = {"alert": "Broken", "expr": "broken == 1", "for": "20m", "labels": {"severity": "critical"}}


def test_an_alert_that_is_pending_where_the_time_is_parted_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [BEGIN + place * STEP for place in range(SAMPLES)]
    past = History(tmp_path, moments[0], moments[-1])
    lines = [f'broken{{server="{server}"}} 1 {moment}\n' for server in "ab" for moment in moments]
    (tmp_path / "written").write_text("".join(["# TYPE broken gauge\n", *lines, "# EOF\n"]))
    past.load(tmp_path / "written")
    # The last part is one sample.
    monkeypatch.setattr(recorded, "MOST_POINTS", 5)
    assert past.firing([RULE]) == {("Broken", "critical"): [moment for moment in moments if moment - BEGIN >= 1200]}
    assert [len(one["values"]) for one in past.values("broken")] == [SAMPLES, SAMPLES]


def test_what_the_backfill_says_is_shown_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="there is no 'doom'"):
        History(tmp_path, BEGIN, BEGIN + 7200).play(tmp_path, "doom")
