"""Parts of the GPU exporter by themselves."""

import threading

import pytest

from llm_monitor.gpu.fleet import BusyError, Turn
from llm_monitor.gpu.rising import Rising


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([5, 6, 9], [5, 6, 9]),
        # A driver that was loaded again.
        ([100, 3, 4, 10], [100, 100, 104, 110]),
        # A slip: one reading is too low.
        ([100, 0, 101, 102], [100, 100, 101, 102]),
        # Twice loaded again.
        ([100, 0, 0, 5, 1, 2], [100, 100, 100, 105, 105, 107]),
        ([0.5, 0.25, 0.25], [0.5, 0.5, 0.75]),
    ],
)
def test_a_counter_never_falls(raw: list[float], expected: list[float]) -> None:
    rising = Rising()
    assert [rising("energy", value) for value in raw] == expected


def test_counters_do_not_mix() -> None:
    rising = Rising()
    assert (rising("one", 7), rising("two", 3), rising("one", 8)) == (7, 3, 8)


def test_a_turn_is_waited_for_and_given_up_behind_one_that_hangs() -> None:
    turn = Turn()
    turn.take("power", 5)
    with pytest.raises(BusyError, match="has not answered power for"):
        turn.take("load", 0.05)
    timer = threading.Timer(0.05, turn.give_back)
    timer.start()
    turn.take("load", 5)
    turn.give_back()
    timer.join()
