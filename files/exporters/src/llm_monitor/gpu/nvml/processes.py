"""The processes that compute on a GPU."""

import time
from functools import partial
from typing import Any, NamedTuple

import pynvml

from llm_monitor.gpu.facts import Process, Processes
from llm_monitor.gpu.nvml.reader import Reader

_BUSY = "processes' utilization"
_ATTEMPTS = 3
# Drivers sample a few times a second at most: who asks sooner would hear of nobody.
_CLOSEST_SECONDS = 1.0


class Busy(NamedTuple):
    """The answer about utilization that was had last.

    Attributes:
        asked: When, on the clock of `time.monotonic`.
        newest: The time of its newest sample, in microseconds as the driver counts them.
        shares: Each process' share of the GPU's time, from 0 to 1.
    """

    asked: float
    newest: int
    shares: dict[int, float]


_NEVER = Busy(float("-inf"), 0, {})


def read_processes(reader: Reader) -> Processes:
    """Return the processes that compute on the GPU, with what they use of it."""
    handle = reader.device.handle
    listed = reader.attempt(("nvmlDeviceGetComputeRunningProcesses_v3",), _running, handle)
    if listed is None:
        return Processes(None, reader.failures)
    memory: dict[int, int | None] = {}
    for one in listed:
        # A process on several MIG devices is listed several times.
        known, used = memory.get(one.pid), one.usedGpuMemory
        memory[one.pid] = used if known is None or used is None else known + used
    busy = _utilization(reader) if memory else {}
    return Processes(
        tuple(
            Process(pid, used, None if busy is None else busy.get(pid, 0.0))
            for pid, used in memory.items()
        ),
        reader.failures,
    )


def _running(handle: Any) -> Any:
    """List the processes, again if so many started meanwhile that the binding's room was short."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_INSUFFICIENT_SIZE:
                raise
    return pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)


def _utilization(reader: Reader) -> dict[int, float] | None:
    """Return each process' share of the GPU's time in its newest sample, None if it isn't told."""
    kept: dict[str, Busy] = reader.device.kept
    last = kept.get(_BUSY, _NEVER)
    now = time.monotonic()
    if now - last.asked < _CLOSEST_SECONDS:
        return last.shares
    key = ("nvmlDeviceGetProcessUtilization",)
    # A sample of the future, or a clock that was set back, must not hide all that come.
    seen = min(last.newest, time.time_ns() // 1000)
    samples = reader.attempt(key, partial(_samples, seen), reader.device.handle)
    if samples is None:
        return None
    # More than all of the time is what drivers say of a process that they know nothing of.
    samples = sorted((one.timeStamp, one.pid, one.smUtil) for one in samples if one.smUtil <= 100)
    shares = {pid: percent / 100 for _, pid, percent in samples}
    newest = max([last.newest, *(moment for moment, _, _ in samples)])
    kept[_BUSY] = Busy(now, newest, shares)
    return shares


def _samples(seen: int, handle: Any) -> Any:
    """List the utilization samples since `seen`, in microseconds as the driver counts them."""
    try:
        return pynvml.nvmlDeviceGetProcessUtilization(handle, seen)
    except pynvml.NVMLError as error:
        # The binding raises for an empty list, and the driver when nobody computed since then.
        if error.value in (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND):
            return ()
        raise
