"""Parts of the GPU exporter by themselves."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pynvml
import pytest

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.gpu.facts import Gpu, Process, Processes
from llm_monitor.gpu.fleet import BusyError, Fleet, Turn
from llm_monitor.gpu.nvml import processes, reader
from llm_monitor.gpu.nvml.reader import Device, Reader
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
        # What can be no count.
        ([5, float("nan"), 2**70, -1, 6, 7], [5, 5, 5, 5, 6, 7]),
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


def test_a_call_that_is_not_supported_is_tried_again_much_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rights, for one, can be given while the exporter runs."""
    device = Device(Gpu(0, "GPU-0"), None)
    with pytest.raises(AssertionError):
        Reader(device).attempt(("call",), refuse_to_be_called, None)
    Reader(device).judge(("call",), pynvml.NVML_ERROR_NO_PERMISSION)
    device.doubt()
    assert Reader(device).attempt(("call",), refuse_to_be_called, None) is None
    monkeypatch.setattr(reader, "_TRUST_SECONDS", 0.0)
    device.doubt()
    with pytest.raises(AssertionError):
        Reader(device).attempt(("call",), refuse_to_be_called, None)


def refuse_to_be_called(_: object) -> None:
    raise AssertionError


def test_a_sample_of_the_future_hides_none_that_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def sample(_: object, seen: int) -> list[Any]:
        asked.append(seen)
        one = pynvml.c_nvmlProcessUtilizationSample_t()
        one.pid, one.smUtil, one.timeStamp = 7, 50, 2**63
        return [one]

    running = pynvml.c_nvmlProcessInfo_t(pid=7, usedGpuMemory=1)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses_v3", lambda _: [running])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetProcessUtilization", sample)
    monkeypatch.setattr(processes, "_CLOSEST_SECONDS", 0.0)
    busy = Reader(Device(Gpu(0, "GPU-0"), None))
    for _ in range(2):
        assert processes.read_processes(busy).processes == (Process(7, 1, 0.5),)
    assert asked[0] == 0
    assert asked[1] == pytest.approx(time.time() * 1e6, abs=60e6)
