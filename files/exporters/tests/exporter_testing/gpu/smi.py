"""Stands in for nvidia-smi: tells what NVML tells, as the driver's own program spells it.

Usage: `python -m exporter_testing.gpu.smi -q -x`, `… nvlink -s`, `… nvlink -gt d`, `… nvlink -e`.
What SMI_LIES holds, JSON with texts by path in the XML, is said of every GPU in place of the truth.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pynvml

_MIB = 1 << 20
_THROTTLING = {
    "sw_power_cap": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP,
    "sync_boost": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST,
    "sw_therm_slowdown": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN,
    "hw_therm_slowdown": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN,
    "hw_power_brake": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN,
}
_REASONS = {
    "applications_clocks_setting": pynvml.nvmlClocksEventReasonApplicationsClocksSetting,
    "sw_power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "hw_slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    "sync_boost": pynvml.nvmlClocksEventReasonSyncBoost,
    "sw_thermal_slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hw_thermal_slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hw_power_brake_slowdown": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
}
_CLOCKS = {
    "graphics": pynvml.NVML_CLOCK_GRAPHICS,
    "sm": pynvml.NVML_CLOCK_SM,
    "mem": pynvml.NVML_CLOCK_MEM,
    "video": pynvml.NVML_CLOCK_VIDEO,
}
_MODES = ("Default", "Exclusive_Thread", "Prohibited", "Exclusive_Process")
_FABRIC = ("N/A", "Not Started", "In Progress", "Completed")

Ask = Callable[[Any], object]


def fields(gpu: Any, *wanted: tuple[int, int]) -> list[int]:
    answers = pynvml.nvmlDeviceGetFieldValues(gpu, wanted)
    for one in answers:
        if one.nvmlReturn:
            raise pynvml.NVMLError(one.nvmlReturn)
    wide = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
    return [one.value.ullVal if one.valueType == wide else one.value.uiVal for one in answers]


def watts(number: int, scope: int) -> Ask:
    return lambda gpu: f"{fields(gpu, (number, scope))[0] / 1000:.2f} W"


def memory(part: str) -> Ask:
    def ask(gpu: Any) -> str:
        told = pynvml.nvmlDeviceGetMemoryInfo(gpu, pynvml.nvmlMemory_v2)
        return f"{getattr(told, part) // _MIB} MiB"

    return ask


def word(function: Ask, *words: str) -> Ask:
    return lambda gpu: words[int(str(function(gpu)))]


def clock(function: Callable[[Any, int], int], domain: int) -> Ask:
    return lambda gpu: f"{function(gpu, domain)} MHz"


def ecc(kind: int, counter: int) -> Ask:
    return lambda gpu: pynvml.nvmlDeviceGetTotalEccErrors(gpu, kind, counter)


def rows(place: int) -> Ask:
    return lambda gpu: pynvml.nvmlDeviceGetRemappedRows(gpu)[place]


def fabric(gpu: Any) -> str:
    info = pynvml.c_nvmlGpuFabricInfo_v2_t()
    pynvml.nvmlDeviceGetGpuFabricInfoV(gpu, pynvml.byref(info))
    return _FABRIC[info.state]


def reason(bit: int) -> Ask:
    return lambda gpu: (
        "Active" if pynvml.nvmlDeviceGetCurrentClocksEventReasons(gpu) & bit else "Not Active"
    )


def nanoseconds(number: int) -> Ask:
    return lambda gpu: f"{fields(gpu, (number, 0))[0] // 1000} us"


_AVERAGE, _INSTANT = pynvml.NVML_FI_DEV_POWER_AVERAGE, pynvml.NVML_FI_DEV_POWER_INSTANT
_LINK = "pci/pci_gpu_link_info"
PATHS: dict[str, Ask] = {
    "product_name": pynvml.nvmlDeviceGetName,
    "persistence_mode": word(pynvml.nvmlDeviceGetPersistenceMode, "Disabled", "Enabled"),
    "uuid": pynvml.nvmlDeviceGetUUID,
    "vbios_version": pynvml.nvmlDeviceGetVbiosVersion,
    "gpu_recovery_action": lambda gpu: ("None", "Reset")[
        fields(gpu, (pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, 0))[0]
    ],
    "pci/pci_bus_id": lambda gpu: pynvml.nvmlDeviceGetPciInfo(gpu).busId,
    f"{_LINK}/pcie_gen/max_link_gen": pynvml.nvmlDeviceGetMaxPcieLinkGeneration,
    f"{_LINK}/pcie_gen/current_link_gen": pynvml.nvmlDeviceGetCurrPcieLinkGeneration,
    f"{_LINK}/link_widths/max_link_width": lambda gpu: (
        f"{pynvml.nvmlDeviceGetMaxPcieLinkWidth(gpu)}x"
    ),
    f"{_LINK}/link_widths/current_link_width": lambda gpu: (
        f"{pynvml.nvmlDeviceGetCurrPcieLinkWidth(gpu)}x"
    ),
    "pci/replay_counter": pynvml.nvmlDeviceGetPcieReplayCounter,
    "performance_state": lambda gpu: f"P{pynvml.nvmlDeviceGetPerformanceState(gpu)}",
    "compute_mode": word(pynvml.nvmlDeviceGetComputeMode, *_MODES),
    **{f"clocks_event_reasons/clocks_event_reason_{n}": reason(bit) for n, bit in _REASONS.items()},
    **{
        f"clocks_event_reasons_counters/clocks_event_reasons_counters_{name}": nanoseconds(number)
        for name, number in _THROTTLING.items()
    },
    **{f"fb_memory_usage/{part}": memory(part) for part in ("total", "reserved", "used", "free")},
    "utilization/gpu_util": lambda gpu: f"{pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu} %",
    "utilization/memory_util": lambda gpu: f"{pynvml.nvmlDeviceGetUtilizationRates(gpu).memory} %",
    "ecc_mode/current_ecc": lambda gpu: (
        "Enabled" if pynvml.nvmlDeviceGetEccMode(gpu)[0] else "Disabled"
    ),
    **{
        f"ecc_errors/{name}/dram_{kind}": ecc(number, counter)
        for counter, name in enumerate(("volatile", "aggregate"))
        for number, kind in enumerate(("correctable", "uncorrectable"))
    },
    "remapped_rows/remapped_row_corr": rows(0),
    "remapped_rows/remapped_row_unc": rows(1),
    "remapped_rows/remapped_row_pending": word(rows(2), "No", "Yes"),
    "remapped_rows/remapped_row_failure": word(rows(3), "No", "Yes"),
    "temperature/gpu_temp": lambda gpu: f"{pynvml.nvmlDeviceGetTemperature(gpu, 0)} C",
    "temperature/gpu_temp_tlimit": lambda gpu: f"{pynvml.nvmlDeviceGetMarginTemperature(gpu)} C",
    "temperature/memory_temp": lambda gpu: (
        f"{fields(gpu, (pynvml.NVML_FI_DEV_MEMORY_TEMP, 0))[0]} C"
    ),
    "gpu_power_readings/average_power_draw": watts(_AVERAGE, pynvml.NVML_POWER_SCOPE_GPU),
    "gpu_power_readings/instant_power_draw": watts(_INSTANT, pynvml.NVML_POWER_SCOPE_GPU),
    "gpu_power_readings/current_power_limit": lambda gpu: (
        f"{pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000:.2f} W"
    ),
    "gpu_memory_power_readings/average_power_draw": watts(_AVERAGE, pynvml.NVML_POWER_SCOPE_MEMORY),
    **{f"clocks/{n}_clock": clock(pynvml.nvmlDeviceGetClockInfo, d) for n, d in _CLOCKS.items()},
    **{
        f"max_clocks/{name}_clock": clock(pynvml.nvmlDeviceGetMaxClockInfo, domain)
        for name, domain in _CLOCKS.items()
    },
    "fabric/state": fabric,
}


def report(gpus: list[Any]) -> str:
    """Return what `-q -x` prints."""
    lies: dict[str, str] = json.loads(os.environ.get("SMI_LIES", "{}"))
    root = ET.Element("nvidia_smi_log")
    cuda = pynvml.nvmlSystemGetCudaDriverVersion()
    put(root, "driver_version", pynvml.nvmlSystemGetDriverVersion())
    put(root, "cuda_version", f"{cuda // 1000}.{cuda % 1000 // 10}")
    for gpu in gpus:
        element = ET.SubElement(root, "gpu")
        for path, ask in PATHS.items():
            put(element, path, lies.get(path) or answer(ask, gpu))
        processes = ET.SubElement(element, "processes")
        for one in pynvml.nvmlDeviceGetComputeRunningProcesses(gpu):
            info = ET.SubElement(processes, "process_info")
            put(info, "pid", one.pid)
            put(info, "type", "C")
    return ET.tostring(root, encoding="unicode")


def answer(ask: Ask, gpu: Any) -> object:
    try:
        return ask(gpu)
    except pynvml.NVMLError:
        return "N/A"


def put(element: ET.Element, path: str, text: object) -> None:
    for name in path.split("/"):
        found = element.find(name)
        element = ET.SubElement(element, name) if found is None else found
    element.text = str(text)


def nvlink(gpus: list[Any], option: str) -> str:
    """Return what `nvlink -s`, `-gt d` or `-e` prints."""
    lines = []
    for index, gpu in enumerate(gpus):
        name, uuid = pynvml.nvmlDeviceGetName(gpu), pynvml.nvmlDeviceGetUUID(gpu)
        lines.append(f"GPU {index}: {name} (UUID: {uuid})")
        lines += [
            f"\t Link {link}: {text}" for link in range(18) for text in told(gpu, link, option)
        ]
    return "\n".join(lines) + "\n"


def told(gpu: Any, link: int, option: str) -> list[str]:
    if option == "-s":
        return ["26.562 GB/s" if pynvml.nvmlDeviceGetNvLinkState(gpu, link) else "<inactive>"]
    if option == "-gt":
        tx = pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX
        rx = pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX
        sent, received = fields(gpu, (tx, link), (rx, link))
        return [f"Data Tx: {sent} KiB", f"Data Rx: {received} KiB"]
    first = pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY
    counts = fields(gpu, *((first + place, link) for place in range(3)))
    kinds = ("Replay", "Recovery", "CRC")
    return [f"{kind} Errors: {count}" for kind, count in zip(kinds, counts, strict=True)]


def main() -> None:
    pynvml.nvmlInit()
    indexes = range(pynvml.nvmlDeviceGetCount())
    gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in indexes]
    asked = sys.argv[1:]
    sys.stdout.write(nvlink(gpus, asked[1]) if asked[0] == "nvlink" else report(gpus))


if __name__ == "__main__":
    main()
