"""The past that tests ask is made once, however many of them begin at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards import past


def test_tests_that_begin_together_make_one_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "data").mkdir()
        # Where nobody waits, both are here at once.
        with pytest.raises(threading.BrokenBarrierError):
            both.wait(timeout=1)

    monkeypatch.setattr(past, "KEPT", tmp_path / "dashboards")
    monkeypatch.setattr(past, "_make", make)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _number: past.made(), range(2))
    assert first == second
    assert len(made) == 1
    assert (first / "data").is_dir()


def test_another_past_takes_the_place_of_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "KEPT", tmp_path)
    monkeypatch.setattr(past, "_make", lambda folder: (folder / "data").mkdir())
    old = past.made()
    monkeypatch.setattr(past, "fingerprint", lambda _sources: "of-other-sources")
    assert past.made() == tmp_path / "past-of-other-sources"
    assert not old.exists()


def test_samples_of_a_series_are_in_the_order_of_time() -> None:
    """Prometheus refuses others, or drops them without a word."""
    last: dict[str, float] = {}
    part = min(past.PARTS, key=lambda one: one.minutes)
    for chunk in past._played(part):
        for line in chunk.splitlines():
            if not line.startswith("#"):
                series, _value, moment = line.rsplit(" ", 2)
                assert last.get(series, 0) < float(moment), line
                last[series] = float(moment)
    assert {one.split("{")[0] for one in last} >= {"up", "scrape_duration_seconds", "llm_monitor_node_up"}
