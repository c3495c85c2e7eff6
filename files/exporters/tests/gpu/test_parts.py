"""Parts of the GPU exporter by themselves."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.gpu.facts import Gpu, Processes
from llm_monitor.gpu.fleet import BusyError, Fleet, Turn
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


class Failing:
    """A source of GPUs of which every call fails."""

    def gpus(self) -> list[Gpu]:
        return [Gpu(index, str(index)) for index in range(8)]

    def processes(self, _gpu: Gpu) -> Processes:
        return Processes((), ("it fails",))


def test_what_questions_meet_at_the_same_time_is_all_kept() -> None:
    questions = [f"question {number}" for number in range(6)]
    begun = threading.Barrier(len(questions))
    source = Failing()

    def ask(fleet: Fleet, question: str) -> None:
        begun.wait()
        fleet.ask(question, source.processes, Deadline.after(5))

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(questions)) as threads:
            for _ in range(200):
                fleet = Fleet(source, 1)  # type: ignore[arg-type]
                list(threads.map(partial(ask, fleet), questions))
                assert all(len(fleet.trouble(gpu)) == len(questions) for gpu in source.gpus())
    finally:
        sys.setswitchinterval(usual)
