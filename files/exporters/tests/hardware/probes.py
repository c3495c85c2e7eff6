"""Questions to NVML itself whose answers decide how the exporter should ask.

`python -m hardware.probes` prints the answers as JSON, `python -m hardware.probes nobody` those
that a user without rights gets: who asks is looked at when NVML is opened, so it takes a process.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import pynvml

from hardware.calls import CALLS

NOBODY = 65534
PATIENCE = 120
ALL_LINKS = 0xFFFFFFFF
_CALLS_TIMED = 25
_GPM_SECONDS = 0.5
_SCOPES = {
    "GPU": pynvml.NVML_POWER_SCOPE_GPU,
    "module": pynvml.NVML_POWER_SCOPE_MODULE,
    "memory": pynvml.NVML_POWER_SCOPE_MEMORY,
}
_GPM = {
    "graphics": pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL,
    "sm": pynvml.NVML_GPM_METRIC_SM_UTIL,
    "occupancy": pynvml.NVML_GPM_METRIC_SM_OCCUPANCY,
    "tensor": pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL,
    "dram": pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
    "fp64": pynvml.NVML_GPM_METRIC_FP64_UTIL,
    "fp32": pynvml.NVML_GPM_METRIC_FP32_UTIL,
    "fp16": pynvml.NVML_GPM_METRIC_FP16_UTIL,
    "PCIe sent": pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC,
    "PCIe received": pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC,
}

Told = dict[str, str]
Field = tuple[int, int]


class ProbeError(Exception):
    """NVML can't be asked."""


def is_root() -> bool:
    """Return whether this process may ask as somebody else."""
    return os.geteuid() == 0


def ask(user: str = "") -> dict[str, Told]:
    """Return the answers by chapter, asked in a process of `user`: this one's, or nobody's.

    Raises:
        ProbeError: When NVML can't be asked at all.
    """
    command = [sys.executable, "-m", "hardware.probes", *filter(None, [user])]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ProbeError(str(error)) from error
    if done.returncode:
        raise ProbeError(done.stderr.strip().rpartition("\n")[2])
    told: dict[str, Told] = json.loads(done.stdout)
    return told


def answers(handle: Any) -> dict[str, Told]:
    """Return what NVML answers about one GPU, by chapter."""
    return {
        "power": power(handle),
        "memory": memory(handle),
        "nvlink": nvlink(handle),
        "gpm": gpm(handle),
        "processes": processes(handle),
        "xid": xid(handle),
    }


def power(handle: Any) -> Told:
    """Return the power by field and scope, in watts."""
    told = {"GetPowerUsage": spoken(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000)}
    for name, number in (
        ("FI 185 (average)", pynvml.NVML_FI_DEV_POWER_AVERAGE),
        ("FI 186 (instant)", pynvml.NVML_FI_DEV_POWER_INSTANT),
    ):
        for scope_name, scope in _SCOPES.items():
            [told[f"{name}, {scope_name}"]] = field_values(handle, [(number, scope)], 1e-3)
    return told


def memory(handle: Any) -> Told:
    """Return the memory in bytes, by either version of the call, and whether it adds up."""
    told: Told = {}
    for name, version, parts in (
        ("version 1", None, ("total", "used", "free")),
        ("version 2", pynvml.nvmlMemory_v2, ("total", "used", "free", "reserved")),
    ):
        try:
            answer = pynvml.nvmlDeviceGetMemoryInfo(handle, version)
        except pynvml.NVMLError as error:
            told[name] = str(error)
            continue
        numbers = {part: int(getattr(answer, part)) for part in parts}
        rest = numbers["total"] - sum(numbers[part] for part in parts[1:])
        told[name] = ", ".join(f"{part} {amount}" for part, amount in numbers.items())
        told[f"{name}: total less the others"] = str(rest)
    return told


def nvlink(handle: Any) -> Told:
    """Return traffic and errors by scope: each link added up, all links, and scope 0."""
    links = [
        link
        for link in range(pynvml.NVML_NVLINK_MAX_LINKS)
        if spoken(pynvml.nvmlDeviceGetNvLinkState, handle, link) == "1"
    ]
    told = {"links that are up": str(len(links))}
    for name, number in (
        ("FI 138 (KiB sent)", pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX),
        ("FI 139 (KiB received)", pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX),
        ("FI 161 (replays)", pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY),
        ("FI 162 (recoveries)", pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY),
        ("FI 163 (CRC errors)", pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_CRC),
    ):
        each = field_values(handle, [(number, link) for link in links])
        [whole] = field_values(handle, [(number, ALL_LINKS)])
        told[f"{name}, link by link"] = _added(each)
        told[f"{name}, scope UINT_MAX"] = whole
    return told


def gpm(handle: Any) -> Told:
    """Return whether GPM is supported, and its metrics over half a second."""
    told = {"supported": spoken(lambda: pynvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice)}
    try:
        samples = [pynvml.nvmlGpmSampleAlloc() for _ in range(2)]
        pynvml.nvmlGpmSampleGet(handle, samples[0])
        time.sleep(_GPM_SECONDS)
        pynvml.nvmlGpmSampleGet(handle, samples[1])
        request = pynvml.c_nvmlGpmMetricsGet_t()
        request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(_GPM)
        request.sample1, request.sample2 = samples
        for place, metric in enumerate(_GPM.values()):
            request.metrics[place].metricId = metric
        pynvml.nvmlGpmMetricsGet(request)
    except pynvml.NVMLError as error:
        return {**told, "samples": str(error)}
    for place, name in enumerate(_GPM):
        answer = request.metrics[place]
        told[name] = spoken(_checked, answer.nvmlReturn, answer.value)
    return told


def processes(handle: Any) -> Told:
    """Return how many processes are seen, and whether their memory is told."""
    try:
        seen = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
    except pynvml.NVMLError as error:
        return {"GetComputeRunningProcesses": str(error)}
    here = sum(os.path.isdir(f"/proc/{one.pid}") for one in seen)
    told = sum(one.usedGpuMemory is not None for one in seen)
    samples = spoken(lambda: len(pynvml.nvmlDeviceGetProcessUtilization(handle, 0)))
    return {
        "GetComputeRunningProcesses": f"{len(seen)}, {told} with memory, {here} seen in /proc",
        "GetProcessUtilization": f"{samples} samples" if samples.isdigit() else samples,
    }


def xid(handle: Any) -> Told:
    """Return whether XIDs may be watched."""

    def register() -> str:
        events = pynvml.nvmlEventSetCreate()
        try:
            pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, events)
        finally:
            pynvml.nvmlEventSetFree(events)
        return "Success"

    supported = spoken(lambda: hex(pynvml.nvmlDeviceGetSupportedEventTypes(handle)))
    return {"GetSupportedEventTypes": supported, "RegisterEvents": spoken(register)}


def latency(handle: Any) -> Told:
    """Return the median time of each call that the exporter makes, in microseconds."""
    told: Told = {}
    for name, call in CALLS.items():
        took = []
        reason = ""
        for _ in range(_CALLS_TIMED):
            began = time.perf_counter()
            try:
                call(handle)
            except pynvml.NVMLError as error:
                reason = str(error)
            took.append(time.perf_counter() - began)
        median = f"{statistics.median(took) * 1e6:.0f}"
        told[name] = f"{median} ({reason})" if reason else median
    return told


def field_values(handle: Any, fields: Iterable[Field], scale: float = 1) -> list[str]:
    """Return what nvmlDeviceGetFieldValues gives for each (id, scope), or its error."""
    wanted = list(fields)
    if not wanted:
        return []
    try:
        found = pynvml.nvmlDeviceGetFieldValues(handle, wanted)
    except pynvml.NVMLError as error:
        return [str(error)] * len(wanted)
    return [spoken(_checked, one.nvmlReturn, _number(one) * scale) for one in found]


def spoken(function: Callable[..., Any], *arguments: Any) -> str:
    """Return an answer as text, or the error that stands in its place."""
    try:
        answer = function(*arguments)
    except pynvml.NVMLError as error:
        return str(error)
    return f"{answer:.10g}" if isinstance(answer, float) else str(answer)


def _added(texts: list[str]) -> str:
    """Return the sum of numbers with how many they are, or the first error among them."""
    errors = [text for text in texts if not text.replace(".", "").isdigit()]
    if errors or not texts:
        return errors[0] if errors else "no links"
    return f"{sum(map(float, texts)):.0f} over {len(texts)} links"


def _checked(code: int, value: float) -> float:
    if code != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(code)
    return value


def _number(answer: Any) -> int:
    wide = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
    number: int = answer.value.ullVal if answer.valueType == wide else answer.value.uiVal
    return number


def main() -> None:
    """Print the answers about the first GPU."""
    if "nobody" in sys.argv[1:]:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    told = answers(handle)
    if "nobody" not in sys.argv[1:]:
        told["latency"] = latency(handle)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
