"""The GPU exporter's metric families.

FI means the field of that number in nvmlDeviceGetFieldValues, GPM a metric of that number in
nvmlGpmMetricsGet (GPU performance monitoring: Hopper and later).
"""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, Family, Kind


def _gpu(name: str, kind: Kind, text: str, *labels: str, unit: str = "") -> Family:
    """Return a family with a series for each GPU, or several that `labels` tell apart."""
    return Family(name, kind, text, ("gpu", "gpu_uuid", *labels), unit)


INFO = _gpu(
    "llm_monitor_gpu_info",
    GAUGE,
    "1, with what a GPU is; the serial number only with the setting gpu.serial.",
    *("name", "driver", "cuda", "vbios", "pci_bus_id", "serial"),
)
GPUS = Family(
    "llm_monitor_gpu_gpus",
    GAUGE,
    "GPUs that the driver gives access to (nvmlDeviceGetCount less those that are lost).",
)
GPUS_EXPECTED = Family(
    "llm_monitor_gpu_gpus_expected",
    GAUGE,
    "GPUs that should be there: the setting gpu.expected, or the most seen since the start.",
)
RESPONDING = _gpu(
    "llm_monitor_gpu_responding",
    GAUGE,
    "1 when every collector could read the GPU, 0 when a call to it failed or has not returned.",
)

UTILIZATION = _gpu(
    "llm_monitor_gpu_utilization_ratio",
    GAUGE,
    "Share of time in which a kernel ran (nvmlDeviceGetUtilizationRates); absent with MIG.",
    unit="ratio",
)
MEMORY_CONTROLLER_UTILIZATION = _gpu(
    "llm_monitor_gpu_memory_controller_utilization_ratio",
    GAUGE,
    "Share of time in which memory was read or written (nvmlDeviceGetUtilizationRates).",
    unit="ratio",
)
MEMORY_TOTAL = _gpu(
    "llm_monitor_gpu_memory_total_bytes",
    GAUGE,
    "Memory of the GPU: used, free and reserved (nvmlDeviceGetMemoryInfo_v2).",
    unit="bytes",
)
MEMORY_USED = _gpu(
    "llm_monitor_gpu_memory_used_bytes",
    GAUGE,
    "Memory in use, without what is reserved (nvmlDeviceGetMemoryInfo_v2).",
    unit="bytes",
)
MEMORY_FREE = _gpu(
    "llm_monitor_gpu_memory_free_bytes",
    GAUGE,
    "Memory that is free (nvmlDeviceGetMemoryInfo_v2).",
    unit="bytes",
)
MEMORY_RESERVED = _gpu(
    "llm_monitor_gpu_memory_reserved_bytes",
    GAUGE,
    "Memory that the driver and the firmware keep for themselves (nvmlDeviceGetMemoryInfo_v2).",
    unit="bytes",
)

ENERGY = _gpu(
    "llm_monitor_gpu_energy_joules_total",
    COUNTER,
    "Energy used (nvmlDeviceGetTotalEnergyConsumption).",
    unit="joules",
)
POWER = _gpu(
    "llm_monitor_gpu_power_watts",
    GAUGE,
    "Power drawn by the GPU with its memory, averaged over a second (FI 185, scope GPU; "
    "else nvmlDeviceGetPowerUsage).",
    unit="watts",
)
MEMORY_POWER = _gpu(
    "llm_monitor_gpu_memory_power_watts",
    GAUGE,
    "Power drawn by the memory, averaged over a second (FI 185, scope memory).",
    unit="watts",
)
POWER_LIMIT = _gpu(
    "llm_monitor_gpu_power_limit_watts",
    GAUGE,
    "The power limit that holds (nvmlDeviceGetEnforcedPowerLimit).",
    unit="watts",
)

TEMPERATURE = _gpu(
    "llm_monitor_gpu_temperature_celsius",
    GAUGE,
    "Temperature of the die (nvmlDeviceGetTemperature) and of the memory (FI 82).",
    "sensor",
    unit="celsius",
)
TEMPERATURE_LIMIT = _gpu(
    "llm_monitor_gpu_temperature_limit_celsius",
    GAUGE,
    "Temperature at which the GPU slows down or shuts down (nvmlDeviceGetTemperatureThreshold, "
    "read once).",
    "threshold",
    unit="celsius",
)
TEMPERATURE_MARGIN = _gpu(
    "llm_monitor_gpu_temperature_margin_celsius",
    GAUGE,
    "Degrees left until the GPU slows down (nvmlDeviceGetMarginTemperature).",
    unit="celsius",
)

CLOCK = _gpu(
    "llm_monitor_gpu_clock_hertz",
    GAUGE,
    "Clock frequency by domain (nvmlDeviceGetClockInfo).",
    "domain",
    unit="hertz",
)
CLOCK_MAX = _gpu(
    "llm_monitor_gpu_clock_max_hertz",
    GAUGE,
    "Highest clock frequency by domain (nvmlDeviceGetMaxClockInfo, read once).",
    "domain",
    unit="hertz",
)
THROTTLE_SECONDS = _gpu(
    "llm_monitor_gpu_throttle_seconds_total",
    COUNTER,
    "Time in which clocks were held down, by reason (FI 74, 76, 269, 270, 271).",
    "reason",
    unit="seconds",
)
THROTTLE_ACTIVE = _gpu(
    "llm_monitor_gpu_throttle_active",
    GAUGE,
    "1 when clocks are held down for this reason (nvmlDeviceGetCurrentClocksEventReasons).",
    "reason",
)
PERFORMANCE_STATE = _gpu(
    "llm_monitor_gpu_performance_state",
    GAUGE,
    "Performance state, 0 (most) to 15 (least) (nvmlDeviceGetPerformanceState).",
)

_BETWEEN = "average between the last two collections"
SM_ACTIVE = _gpu(
    "llm_monitor_gpu_sm_active_ratio",
    GAUGE,
    f"Share of streaming multiprocessors that were busy, {_BETWEEN} (GPM 2).",
    unit="ratio",
)
SM_OCCUPANCY = _gpu(
    "llm_monitor_gpu_sm_occupancy_ratio",
    GAUGE,
    f"Warps that were active, as a share of the most possible, {_BETWEEN} (GPM 3).",
    unit="ratio",
)
TENSOR_ACTIVE = _gpu(
    "llm_monitor_gpu_tensor_active_ratio",
    GAUGE,
    f"Share of time in which tensor cores worked, {_BETWEEN} (GPM 5).",
    unit="ratio",
)
DRAM_ACTIVE = _gpu(
    "llm_monitor_gpu_dram_active_ratio",
    GAUGE,
    f"Memory bandwidth used, as a share of the most possible, {_BETWEEN} (GPM 10).",
    unit="ratio",
)
FP16_ACTIVE = _gpu(
    "llm_monitor_gpu_fp16_active_ratio",
    GAUGE,
    f"Share of time with FP16 work outside tensor cores, {_BETWEEN} (GPM 13).",
    unit="ratio",
)
FP32_ACTIVE = _gpu(
    "llm_monitor_gpu_fp32_active_ratio",
    GAUGE,
    f"Share of time with FP32 work outside tensor cores, {_BETWEEN} (GPM 12).",
    unit="ratio",
)
FP64_ACTIVE = _gpu(
    "llm_monitor_gpu_fp64_active_ratio",
    GAUGE,
    f"Share of time with FP64 work outside tensor cores, {_BETWEEN} (GPM 11).",
    unit="ratio",
)
PCIE_TRANSMIT = Family(
    "llm_monitor_gpu_pcie_transmit_bytes_per_second",
    GAUGE,
    f"Bytes a second that the GPU sent over PCIe, {_BETWEEN} (GPM 20).",
    ("gpu", "gpu_uuid"),
)
PCIE_RECEIVE = Family(
    "llm_monitor_gpu_pcie_receive_bytes_per_second",
    GAUGE,
    f"Bytes a second that the GPU received over PCIe, {_BETWEEN} (GPM 21).",
    ("gpu", "gpu_uuid"),
)

PCIE_LINK_GENERATION = _gpu(
    "llm_monitor_gpu_pcie_link_generation",
    GAUGE,
    "PCIe generation, now and at most (nvmlDeviceGetCurrPcieLinkGeneration, …GetMax…).",
    "kind",
)
PCIE_LINK_WIDTH = _gpu(
    "llm_monitor_gpu_pcie_link_width",
    GAUGE,
    "PCIe lanes, now and at most (nvmlDeviceGetCurrPcieLinkWidth, …GetMax…).",
    "kind",
)
PCIE_REPLAYS = _gpu(
    "llm_monitor_gpu_pcie_replays_total",
    COUNTER,
    "PCIe packets that had to be sent again (nvmlDeviceGetPcieReplayCounter).",
)

NVLINK_TRANSMIT = _gpu(
    "llm_monitor_gpu_nvlink_transmit_bytes_total",
    COUNTER,
    "Bytes sent over NVLink (FI 138): all links, or with the setting gpu.per_link each link.",
    "link",
    unit="bytes",
)
NVLINK_RECEIVE = _gpu(
    "llm_monitor_gpu_nvlink_receive_bytes_total",
    COUNTER,
    "Bytes received over NVLink (FI 139): all links, or with the setting gpu.per_link each link.",
    "link",
    unit="bytes",
)
NVLINK_ERRORS = _gpu(
    "llm_monitor_gpu_nvlink_errors_total",
    COUNTER,
    "NVLink errors by kind, summed over all links (FI 161 replay, 162 recovery, 163 crc).",
    "kind",
)
NVLINK_LINKS_ACTIVE = _gpu(
    "llm_monitor_gpu_nvlink_links_active",
    GAUGE,
    "NVLinks that are up (nvmlDeviceGetNvLinkState, or FI 165 where both agree).",
)

ECC_MODE = _gpu(
    "llm_monitor_gpu_ecc_mode_enabled",
    GAUGE,
    "1 when the memory corrects errors (nvmlDeviceGetEccMode), else 0.",
)
ECC_ERRORS = _gpu(
    "llm_monitor_gpu_ecc_errors_total",
    COUNTER,
    "Memory errors, since the driver was loaded (volatile) or ever (aggregate) "
    "(nvmlDeviceGetTotalEccErrors).",
    *("kind", "counter"),
)
REMAPPED_ROWS = _gpu(
    "llm_monitor_gpu_remapped_rows",
    GAUGE,
    "Rows of memory replaced by spare ones, by the errors that led to it "
    "(nvmlDeviceGetRemappedRows).",
    "cause",
)
REMAP_PENDING = _gpu(
    "llm_monitor_gpu_remap_pending",
    GAUGE,
    "1 when a row is to be replaced at the next reset (nvmlDeviceGetRemappedRows).",
)
REMAP_FAILURE = _gpu(
    "llm_monitor_gpu_remap_failure",
    GAUGE,
    "1 when a row could not be replaced: the GPU has to be (nvmlDeviceGetRemappedRows).",
)
XID_ERRORS = _gpu(
    "llm_monitor_gpu_xid_errors_total",
    COUNTER,
    "Errors that the driver reported, by XID, since the exporter started (nvmlEventSetWait).",
    "xid",
)
XID_LAST = _gpu(
    "llm_monitor_gpu_xid_last_timestamp_seconds",
    GAUGE,
    "Unix time of the newest error with this XID (nvmlEventSetWait).",
    "xid",
    unit="seconds",
)
RECOVERY_ACTION = _gpu(
    "llm_monitor_gpu_recovery_action",
    GAUGE,
    "What the GPU needs: 0 nothing, 1 a reset, 2 a reboot of the node, 3 to be drained of "
    "peer-to-peer work, 4 to be drained and reset, 5 its IMEX domain recovered, 6 a bus reset, "
    "7 a reboot of the system (FI 230).",
)
FABRIC_STATE = _gpu(
    "llm_monitor_gpu_fabric_state",
    GAUGE,
    "Registration with the NVLink fabric: 1 not started, 2 in progress, 3 completed "
    "(nvmlDeviceGetGpuFabricInfoV).",
)
FABRIC_UNHEALTHY = _gpu(
    "llm_monitor_gpu_fabric_unhealthy",
    GAUGE,
    "1 when the NVLink fabric reports this fault, else 0 (nvmlDeviceGetGpuFabricInfoV).",
    "aspect",
)
PERSISTENCE_MODE = _gpu(
    "llm_monitor_gpu_persistence_mode_enabled",
    GAUGE,
    "1 when the driver stays loaded without a client (nvmlDeviceGetPersistenceMode), else 0.",
)
COMPUTE_MODE = _gpu(
    "llm_monitor_gpu_compute_mode",
    GAUGE,
    "Who may compute: 0 anybody, 1 one thread, 2 nobody, 3 one process (nvmlDeviceGetComputeMode).",
)

PROCESSES = _gpu(
    "llm_monitor_gpu_processes",
    GAUGE,
    "Processes that compute (nvmlDeviceGetComputeRunningProcesses).",
)
CONTAINER_MEMORY = _gpu(
    "llm_monitor_gpu_container_memory_used_bytes",
    GAUGE,
    "GPU memory that a container's processes use (nvmlDeviceGetComputeRunningProcesses).",
    "container",
    unit="bytes",
)
CONTAINER_UTILIZATION = _gpu(
    "llm_monitor_gpu_container_utilization_ratio",
    GAUGE,
    "Share of time in which a container's kernels ran, in the driver's newest samples "
    "(nvmlDeviceGetProcessUtilization).",
    "container",
    unit="ratio",
)

_MIG = ("mig_uuid",)
MIG_INFO = _gpu(
    "llm_monitor_gpu_mig_info",
    GAUGE,
    "1, with what a MIG device of the GPU is.",
    *(*_MIG, "profile", "gpu_instance"),
)
MIG_MEMORY_TOTAL = _gpu(
    "llm_monitor_gpu_mig_memory_total_bytes",
    GAUGE,
    "Memory of a MIG device, part of its GPU's (nvmlDeviceGetMemoryInfo_v2).",
    *_MIG,
    unit="bytes",
)
MIG_MEMORY_USED = _gpu(
    "llm_monitor_gpu_mig_memory_used_bytes",
    GAUGE,
    "Memory of a MIG device in use (nvmlDeviceGetMemoryInfo_v2).",
    *_MIG,
    unit="bytes",
)
MIG_MEMORY_FREE = _gpu(
    "llm_monitor_gpu_mig_memory_free_bytes",
    GAUGE,
    "Memory of a MIG device that is free (nvmlDeviceGetMemoryInfo_v2).",
    *_MIG,
    unit="bytes",
)
MIG_UTILIZATION = _gpu(
    "llm_monitor_gpu_mig_utilization_ratio",
    GAUGE,
    f"Share of time in which a MIG device's GPU instance computed, {_BETWEEN} (GPM 1).",
    *_MIG,
    unit="ratio",
)

FAMILIES = (
    INFO,
    GPUS,
    GPUS_EXPECTED,
    RESPONDING,
    UTILIZATION,
    MEMORY_CONTROLLER_UTILIZATION,
    MEMORY_TOTAL,
    MEMORY_USED,
    MEMORY_FREE,
    MEMORY_RESERVED,
    ENERGY,
    POWER,
    MEMORY_POWER,
    POWER_LIMIT,
    TEMPERATURE,
    TEMPERATURE_LIMIT,
    TEMPERATURE_MARGIN,
    CLOCK,
    CLOCK_MAX,
    THROTTLE_SECONDS,
    THROTTLE_ACTIVE,
    PERFORMANCE_STATE,
    SM_ACTIVE,
    SM_OCCUPANCY,
    TENSOR_ACTIVE,
    DRAM_ACTIVE,
    FP16_ACTIVE,
    FP32_ACTIVE,
    FP64_ACTIVE,
    PCIE_TRANSMIT,
    PCIE_RECEIVE,
    PCIE_LINK_GENERATION,
    PCIE_LINK_WIDTH,
    PCIE_REPLAYS,
    NVLINK_TRANSMIT,
    NVLINK_RECEIVE,
    NVLINK_ERRORS,
    NVLINK_LINKS_ACTIVE,
    ECC_MODE,
    ECC_ERRORS,
    REMAPPED_ROWS,
    REMAP_PENDING,
    REMAP_FAILURE,
    XID_ERRORS,
    XID_LAST,
    RECOVERY_ACTION,
    FABRIC_STATE,
    FABRIC_UNHEALTHY,
    PERSISTENCE_MODE,
    COMPUTE_MODE,
    PROCESSES,
    CONTAINER_MEMORY,
    CONTAINER_UTILIZATION,
    MIG_INFO,
    MIG_MEMORY_TOTAL,
    MIG_MEMORY_USED,
    MIG_MEMORY_FREE,
    MIG_UTILIZATION,
)
