"""Every call of NVML that the exporter makes of a healthy GPU, for measuring how long it takes."""

from collections.abc import Callable
from typing import Any

import pynvml

from llm_monitor.gpu.nvml import fields

_LINKS = range(18)


def _fabric(handle: Any) -> None:
    info = pynvml.c_nvmlGpuFabricInfo_v2_t()
    pynvml.nvmlDeviceGetGpuFabricInfoV(handle, pynvml.byref(info))


def _fields(*wanted: tuple[int, int]) -> Callable[[Any], Any]:
    return lambda handle: pynvml.nvmlDeviceGetFieldValues(handle, wanted)


CALLS: dict[str, Callable[[Any], Any]] = {
    "GetUtilizationRates": pynvml.nvmlDeviceGetUtilizationRates,
    "GetMemoryInfo_v2": lambda handle: pynvml.nvmlDeviceGetMemoryInfo(handle, pynvml.nvmlMemory_v2),
    "GetTotalEnergyConsumption": pynvml.nvmlDeviceGetTotalEnergyConsumption,
    "GetPowerUsage": pynvml.nvmlDeviceGetPowerUsage,
    "GetEnforcedPowerLimit": pynvml.nvmlDeviceGetEnforcedPowerLimit,
    "GetFieldValues: power": _fields(fields.POWER_GPU, fields.POWER_MEMORY),
    "GetTemperature": lambda handle: pynvml.nvmlDeviceGetTemperature(handle, 0),
    "GetMarginTemperature": pynvml.nvmlDeviceGetMarginTemperature,
    "GetFieldValues: memory temperature, throttling": _fields(
        fields.MEMORY_TEMPERATURE, *fields.THROTTLE.values()
    ),
    "GetClockInfo": lambda handle: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
    "GetCurrentClocksEventReasons": pynvml.nvmlDeviceGetCurrentClocksEventReasons,
    "GetPerformanceState": pynvml.nvmlDeviceGetPerformanceState,
    "GetCurrPcieLinkGeneration": pynvml.nvmlDeviceGetCurrPcieLinkGeneration,
    "GetCurrPcieLinkWidth": pynvml.nvmlDeviceGetCurrPcieLinkWidth,
    "GetPcieReplayCounter": pynvml.nvmlDeviceGetPcieReplayCounter,
    "GetNvLinkState": lambda handle: pynvml.nvmlDeviceGetNvLinkState(handle, 0),
    "GetFieldValues: NVLink traffic": _fields(*fields.traffic(None)),
    "GetFieldValues: NVLink errors of 18 links": _fields(*fields.link_errors(_LINKS)),
    "GetEccMode": pynvml.nvmlDeviceGetEccMode,
    "GetTotalEccErrors": lambda handle: pynvml.nvmlDeviceGetTotalEccErrors(handle, 0, 0),
    "GetRemappedRows": pynvml.nvmlDeviceGetRemappedRows,
    "GetGpuFabricInfoV": _fabric,
    "GetFieldValues: recovery action": _fields(fields.RECOVERY_ACTION),
    "GetPersistenceMode": pynvml.nvmlDeviceGetPersistenceMode,
    "GetComputeMode": pynvml.nvmlDeviceGetComputeMode,
    "GetMigMode": pynvml.nvmlDeviceGetMigMode,
    "GetComputeRunningProcesses_v3": pynvml.nvmlDeviceGetComputeRunningProcesses_v3,
    "GetProcessUtilization": lambda handle: pynvml.nvmlDeviceGetProcessUtilization(handle, 0),
    "GpmQueryDeviceSupport": pynvml.nvmlGpmQueryDeviceSupport,
    # What the exporter never asks, and why: it is said to block for 20 ms.
    "GetPcieThroughput (never used)": lambda handle: pynvml.nvmlDeviceGetPcieThroughput(
        handle, pynvml.NVML_PCIE_UTIL_TX_BYTES
    ),
}
