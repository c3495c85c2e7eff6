"""The processes that compute on a GPU."""

from functools import partial
from typing import Any

import pynvml

from llm_monitor.gpu.facts import Process, Processes
from llm_monitor.gpu.nvml.reader import Reader

_SEEN = "time of the newest utilization sample"
_ATTEMPTS = 3


def read_processes(reader: Reader) -> Processes:
    """Return the processes that compute on the GPU, with what they use of it."""
    handle = reader.device.handle
    listed = reader.attempt(("nvmlDeviceGetComputeRunningProcesses_v3",), _running, handle)
    memory: dict[int, int | None] = {}
    for one in listed or ():
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
    kept: dict[str, int] = reader.device.kept
    seen = kept.get(_SEEN, 0)
    key = ("nvmlDeviceGetProcessUtilization",)
    samples = reader.attempt(key, partial(_samples, seen), reader.device.handle)
    if samples is None:
        return None
    # More than all of the time is what drivers say of a process that they know nothing of.
    samples = sorted((one.timeStamp, one.pid, one.smUtil) for one in samples if one.smUtil <= 100)
    kept[_SEEN] = max([seen, *(moment for moment, _, _ in samples)])
    return {pid: percent / 100 for _, pid, percent in samples}


def _samples(seen: int, handle: Any) -> Any:
    """List the utilization samples since `seen`, in microseconds as the driver counts them."""
    try:
        return pynvml.nvmlDeviceGetProcessUtilization(handle, seen)
    except pynvml.NVMLError as error:
        # The binding raises for an empty list, and the driver when nobody computed since then.
        if error.value in (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND):
            return ()
        raise
