"""The virtual clock goes forward only, as fast as it is told."""

import pytest

from llm_monitor.mock import clock
from llm_monitor.mock.clock import VirtualClock


class Real:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.at = 50.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Real:
    instead = Real()
    monkeypatch.setattr(clock, "time", instead)
    return instead


def test_it_runs_as_fast_as_it_is_told(real: Real) -> None:
    virtual = VirtualClock(1000.0, speed=60.0)

    real.at += 2

    assert virtual.now() == 1120.0


def test_it_jumps_ahead_and_runs_on(real: Real) -> None:
    virtual = VirtualClock(1000.0)

    assert virtual.advance(500) == 1500.0
    real.at += 1
    assert virtual.now() == 1501.0


def test_it_can_stand_still(real: Real) -> None:
    virtual = VirtualClock(1000.0, speed=0.0)

    real.at += 100

    assert virtual.now() == 1000.0


def test_it_never_goes_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        VirtualClock(1000.0).advance(-1)
