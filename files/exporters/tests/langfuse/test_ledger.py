"""How long the JSON API shows a poll, whatever becomes of the wall clock."""

import time

import pytest

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.ledger import Ledger
from llm_monitor.base.errors import SourceError
from llm_monitor.langfuse.collectors import UsageCollector
from llm_monitor.langfuse.facts import Poll

LONGEST = 600.0
DAY = 86400.0


class Polls:
    """A repository in which nothing has happened."""

    def version(self, _deadline: Deadline, /) -> str:
        return ""

    def ready(self, _deadline: Deadline, /) -> None:
        return None

    def poll(self, _deadline: Deadline, /) -> Poll:
        return Poll("nothing", time.time(), None, {})


@pytest.fixture
def ledger() -> Ledger:
    """Return a ledger with a poll of just now."""
    ledger = Ledger(LONGEST)
    assert [*UsageCollector(Polls(), 50, ledger).collect(Deadline.after(5))]
    return ledger


def later(monkeypatch: pytest.MonkeyPatch, clock: str, seconds: float) -> None:
    """Put a clock forward."""
    read = getattr(time, clock)
    monkeypatch.setattr(time, clock, lambda: read() + seconds)


def test_a_poll_is_shown_until_it_is_too_old(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, "monotonic", LONGEST / 2)
    assert ledger.poll().source == "nothing"
    later(monkeypatch, "monotonic", LONGEST / 2)
    with pytest.raises(SourceError, match="no recent result"):
        ledger.poll()


def test_a_clock_that_is_set_forward_makes_no_poll_old(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, "time", DAY)
    assert ledger.poll().source == "nothing"


def test_a_clock_that_is_set_back_makes_no_poll_fresh(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, "time", -DAY)
    later(monkeypatch, "monotonic", LONGEST)
    with pytest.raises(SourceError):
        ledger.poll()
