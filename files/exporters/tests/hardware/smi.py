"""What nvidia-smi says of each GPU, under the exporter's names and in its units.

Element names are those of `nvidia-smi -q -x` of drivers 535 to 590.
"""

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

# A family without `llm_monitor_gpu_`, and its labels other than gpu and gpu_uuid.
Key = tuple[str, ...]
Readings = dict[Key, float | None]

PATIENCE = 60
_MEBIBYTE = float(1 << 20)
_MEGAHERTZ = 1e6
_MICRO = 1e-6
_PERCENT = 0.01
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_GPU = re.compile(r"GPU \d+:.*\(UUID: (?P<uuid>[^)]+)\)")
_SPEED = re.compile(r"Link \d+: [\d.]+ GB/s")
_TRAFFIC = re.compile(r"Data (?P<way>Tx|Rx): (?P<kibibytes>\d+) KiB")
_ERRORS = re.compile(r"(?P<kind>Replay|Recovery|CRC) Errors: (?P<count>\d+)")

# The first of the paths that gives a number counts: names have changed over the years.
_NUMBERS: dict[Key, tuple[float, tuple[str, ...]]] = {
    ("utilization_ratio",): (_PERCENT, ("utilization/gpu_util",)),
    ("memory_controller_utilization_ratio",): (_PERCENT, ("utilization/memory_util",)),
    ("memory_total_bytes",): (_MEBIBYTE, ("fb_memory_usage/total",)),
    ("memory_used_bytes",): (_MEBIBYTE, ("fb_memory_usage/used",)),
    ("memory_free_bytes",): (_MEBIBYTE, ("fb_memory_usage/free",)),
    ("memory_reserved_bytes",): (_MEBIBYTE, ("fb_memory_usage/reserved",)),
    ("power_watts",): (
        1,
        ("gpu_power_readings/average_power_draw", "gpu_power_readings/power_draw"),
    ),
    ("memory_power_watts",): (1, ("gpu_memory_power_readings/average_power_draw",)),
    ("power_limit_watts",): (1, ("gpu_power_readings/current_power_limit",)),
    ("temperature_celsius", "die"): (1, ("temperature/gpu_temp",)),
    ("temperature_celsius", "memory"): (1, ("temperature/memory_temp",)),
    ("temperature_margin_celsius",): (1, ("temperature/gpu_temp_tlimit",)),
    ("temperature_limit_celsius", "shutdown"): (1, ("temperature/gpu_temp_max_threshold",)),
    ("temperature_limit_celsius", "slowdown"): (1, ("temperature/gpu_temp_slow_threshold",)),
    ("temperature_limit_celsius", "memory_max"): (1, ("temperature/gpu_temp_max_mem_threshold",)),
    ("pcie_link_generation", "current"): (1, ("pci/pci_gpu_link_info/pcie_gen/current_link_gen",)),
    ("pcie_link_generation", "max"): (1, ("pci/pci_gpu_link_info/pcie_gen/max_link_gen",)),
    ("pcie_link_width", "current"): (1, ("pci/pci_gpu_link_info/link_widths/current_link_width",)),
    ("pcie_link_width", "max"): (1, ("pci/pci_gpu_link_info/link_widths/max_link_width",)),
    ("pcie_replays_total",): (1, ("pci/replay_counter",)),
    ("performance_state",): (1, ("performance_state",)),
    ("remapped_rows", "correctable"): (1, ("remapped_rows/remapped_row_corr",)),
    ("remapped_rows", "uncorrectable"): (1, ("remapped_rows/remapped_row_unc",)),
    **{
        (family, domain): (_MEGAHERTZ, (f"{element}/{name}_clock",))
        for family, element in (("clock_hertz", "clocks"), ("clock_max_hertz", "max_clocks"))
        for domain, name in (
            ("sm", "sm"),
            ("memory", "mem"),
            ("graphics", "graphics"),
            ("video", "video"),
        )
    },
    **{
        ("throttle_seconds_total", reason): (
            _MICRO,
            (f"clocks_event_reasons_counters/clocks_event_reasons_counters_{name}",),
        )
        for reason, name in (
            ("sw_power_cap", "sw_power_cap"),
            ("sync_boost", "sync_boost"),
            ("sw_thermal", "sw_therm_slowdown"),
            ("hw_thermal", "hw_therm_slowdown"),
            ("hw_power_brake", "hw_power_brake"),
        )
    },
}
_YES = {"Yes": 1.0, "No": 0.0, "Enabled": 1.0, "Disabled": 0.0, "True": 1.0, "False": 0.0}
_ACTIVE = {"Active": 1.0, "Not Active": 0.0}
_WORDS: dict[Key, tuple[str, Mapping[str, float]]] = {
    ("ecc_mode_enabled",): ("ecc_mode/current_ecc", _YES),
    ("persistence_mode_enabled",): ("persistence_mode", _YES),
    ("remap_pending",): ("remapped_rows/remapped_row_pending", _YES),
    ("remap_failure",): ("remapped_rows/remapped_row_failure", _YES),
    ("compute_mode",): (
        "compute_mode",
        {"Default": 0, "Exclusive_Thread": 1, "Prohibited": 2, "Exclusive_Process": 3},
    ),
    ("recovery_action",): (
        "gpu_recovery_action",
        {"None": 0, "Reset": 1, "Reboot": 2, "Drain P2P": 3, "Drain and Reset": 4},
    ),
    ("fabric_state",): ("fabric/state", {"Not Started": 1, "In Progress": 2, "Completed": 3}),
    ("fabric_unhealthy", "degraded_bandwidth"): (
        "fabric/health/bandwidth",
        {"Full": 0, "Degraded": 1},
    ),
    ("fabric_unhealthy", "route_recovery"): ("fabric/health/route_recovery_in_progress", _YES),
    ("fabric_unhealthy", "route_unhealthy"): ("fabric/health/route_unhealthy", _YES),
    ("fabric_unhealthy", "access_timeout_recovery"): (
        "fabric/health/access_timeout_recovery",
        _YES,
    ),
    **{
        ("throttle_active", reason): (f"clocks_event_reasons/clocks_event_reason_{name}", _ACTIVE)
        for reason, name in (
            ("applications_clocks", "applications_clocks_setting"),
            ("sw_power_cap", "sw_power_cap"),
            ("hw_slowdown", "hw_slowdown"),
            ("sync_boost", "sync_boost"),
            ("sw_thermal", "sw_thermal_slowdown"),
            ("hw_thermal", "hw_thermal_slowdown"),
            ("hw_power_brake", "hw_power_brake_slowdown"),
        )
    },
}
# Uncorrectable ones in static memory have been told apart by how they were found since driver 550.
_ECC = {
    "corrected": ("sram_correctable", "dram_correctable"),
    "uncorrected": (
        *("sram_uncorrectable", "sram_uncorrectable_parity", "sram_uncorrectable_secded"),
        "dram_uncorrectable",
    ),
}
_INFO = {
    "name": "product_name",
    "vbios": "vbios_version",
    "pci_bus_id": "pci/pci_bus_id",
}


class SmiError(Exception):
    """nvidia-smi is not there, or does not say what it should."""


@dataclass(frozen=True, slots=True)
class Told:
    """What nvidia-smi says of one GPU.

    Attributes:
        info: Its texts, by the labels of llm_monitor_gpu_info.
        readings: Its numbers; None stands for N/A.
        instant_power: Watts that it draws right now; None for N/A.
    """

    info: dict[str, str]
    readings: Readings
    instant_power: float | None


@dataclass(frozen=True, slots=True)
class Smi:
    """Runs nvidia-smi.

    Attributes:
        program: Its name or path.
    """

    program: str

    def ask(self) -> dict[str, Told]:
        """Return what it says of each GPU, by UUID.

        Raises:
            SmiError: When it can't be run or understood.
        """
        try:
            # It is the driver's own program, which this machine's administrator has installed.
            root = ET.fromstring(self._run("-q", "-x"))  # noqa: S314
        except ET.ParseError as error:
            message = f"{self.program} -q -x prints no XML: {error}"
            raise SmiError(message) from error
        common = {
            "driver": root.findtext("driver_version", ""),
            "cuda": root.findtext("cuda_version", ""),
        }
        return {gpu.findtext("uuid", "").strip(): _told(gpu, common) for gpu in root.iter("gpu")}

    def ask_nvlink(self) -> dict[str, Readings]:
        """Return what it says of each GPU's NVLinks, by UUID; nothing of a GPU without."""
        told: dict[str, Readings] = {}
        for option, read in (("-s", _links), ("-gt", _traffic), ("-e", _errors)):
            arguments = ("nvlink", option, "d") if option == "-gt" else ("nvlink", option)
            try:
                text = self._run(*arguments)
            except SmiError:
                continue
            for uuid, section in _sections(text):
                told.setdefault(uuid, {}).update(read(section))
        return told

    def _run(self, *arguments: str) -> str:
        command = [self.program, *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            message = f"{' '.join(command)} can't be run: {error}"
            raise SmiError(message) from error
        if done.returncode:
            words = (done.stdout + done.stderr).strip()
            message = f"{' '.join(command)} failed with {done.returncode}: {words[:500]}"
            raise SmiError(message)
        return done.stdout


def _told(gpu: ET.Element, common: Mapping[str, str]) -> Told:
    readings: Readings = {
        key: _scaled(next(filter(None, (_number(gpu, path) for path in paths)), None), scale)
        for key, (scale, paths) in _NUMBERS.items()
    }
    readings |= {
        key: words.get(gpu.findtext(path, "").strip()) for key, (path, words) in _WORDS.items()
    }
    for counter in ("volatile", "aggregate"):
        for kind, names in _ECC.items():
            counts = [_number(gpu, f"ecc_errors/{counter}/{name}") for name in names]
            known = [float(count) for count in counts if count is not None]
            readings["ecc_errors_total", kind, counter] = sum(known) if known else None
    types = [one.findtext("type", "") for one in gpu.iter("process_info")]
    readings["processes",] = float(sum("C" in kind for kind in types))
    instant = _number(gpu, "gpu_power_readings/instant_power_draw")
    info = {label: gpu.findtext(path, "").strip() for label, path in _INFO.items()}
    return Told({**info, **common}, readings, _scaled(instant, 1))


def _number(gpu: ET.Element, path: str) -> str | None:
    """Return the number in an element, None where there is none."""
    found = _NUMBER.search(gpu.findtext(path, ""))
    return found and found.group()


def _scaled(text: str | None, scale: float) -> float | None:
    return None if text is None else float(text) * scale


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Return the lines about each GPU, with its UUID."""
    heads = list(_GPU.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=True):
        yield head["uuid"], text[head.end() : end]


def _links(section: str) -> Readings:
    return {("nvlink_links_active",): float(len(_SPEED.findall(section)))}


def _traffic(section: str) -> Readings:
    return _summed(
        section,
        _TRAFFIC,
        lambda found: (
            (f"nvlink_{'transmit' if found['way'] == 'Tx' else 'receive'}_bytes_total",),
            float(found["kibibytes"]) * 1024,
        ),
    )


def _errors(section: str) -> Readings:
    return _summed(
        section,
        _ERRORS,
        lambda found: (("nvlink_errors_total", found["kind"].lower()), float(found["count"])),
    )


def _summed(
    section: str,
    pattern: re.Pattern[str],
    read: Callable[[re.Match[str]], tuple[Key, float]],
) -> Readings:
    """Return the sums over all links of what `read` makes of each match."""
    sums: dict[Key, float] = {}
    for found in pattern.finditer(section):
        key, value = read(found)
        sums[key] = sums.get(key, 0.0) + value
    return dict(sums)
