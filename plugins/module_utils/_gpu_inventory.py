# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the NVIDIA driver tells of a machine's GPUs, read from the text that nvidia-smi prints.

Pure functions over text; _gpu_source.py runs the commands. Facts: `nvidia-smi -q -x` of drivers 535 to 610 (document
types nvsmi_device_v12.dtd and v13.dtd), `nvidia-smi -L`, `nvidia-smi nvlink -s`. What it is told is never trusted:
a container's image could bring an nvidia-smi of its own.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any
from xml.etree import ElementTree

from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_problems import (
    REPORT_END,
    Problem,
    problem_of,
    report_span,
    shortened,
)

# What stands in place of a value that the GPU, the driver or the user's rights don't give.
_NO_VALUE = ("", "n/a", "none", "not supported", "unknown", "unknown error", "insufficient permissions")
_NO_VALUE_STARTS = ("requested functionality", "gpu is lost", "gpu requires reset", "gpu is inaccessible")
_LOST = ("gpu is lost", "gpu requires reset", "gpu is inaccessible")
# Other values of gpu_recovery_action leave a GPU usable for the time being.
_RECOVERY = {"Reset": "The driver asks for a reset of this GPU", "Reboot": "The driver asks for a reboot of the host"}
# More than any machine has; what claims to have more is no report.
_MOST_GPUS = 256
_BUS_ID = r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]"
_NO_HANDLE = re.compile(
    r"Unable to determine the device handle for gpu *(?:(?P<index>\d{1,3})(?=:\s))?:? *"
    rf"(?P<bus_id>{_BUS_ID})?:? *(?P<reason>[^\r\n<]+)",
    re.IGNORECASE,
)
_LISTED_GPU = re.compile(r"GPU (?P<index>\d+): .*?\(UUID: (?P<uuid>[^)\s]+)\)")
_LISTED_MIG = re.compile(r"\s+MIG (?P<profile>\S+)\s+Device\s+(?P<index>\d+):\s+\(UUID: (?P<uuid>[^)\s]+)\)")
_GPU_LINE = re.compile(r"GPU (?P<index>\d+):(?:.*?\(UUID: (?P<uuid>[^)\s]+)\))?")
_LINK = re.compile(r"Link \d+: (?P<state>\S+)")
_LINK_SPEED = re.compile(r"\d+(\.\d+)?")
_FABRIC_FINE = ("full", "false", "none", "healthy")


class Unreadable(Exception):
    """What should be nvidia-smi's report is none; the text says why."""


@dataclass(frozen=True)
class MigDevice:
    """A part of a GPU that is split by MIG; memory in bytes."""

    index: int
    uuid: str | None
    profile: str | None
    gpu_instance: int | None
    memory_total_bytes: int | None


@dataclass(frozen=True)
class Pcie:
    """A GPU's PCIe link as it runs now and as it could run; the width is a number of lanes."""

    generation: int | None = None
    generation_max: int | None = None
    width: int | None = None
    width_max: int | None = None


@dataclass(frozen=True)
class Gpu:
    """One GPU; None stands for what it doesn't have or tell. `error` says why it can't be used."""

    index: int
    uuid: str | None = None
    name: str | None = None
    memory_total_bytes: int | None = None
    pci_bus_id: str | None = None
    serial: str | None = None
    vbios: str | None = None
    ecc_enabled: bool | None = None
    mig_enabled: bool | None = None
    mig_devices: tuple[MigDevice, ...] = ()
    persistence_enabled: bool | None = None
    power_limit_watts: float | None = None
    pcie: Pcie = Pcie()
    nvlinks_active: int | None = None
    fabric_state: str | None = None
    fabric_status: str | None = None
    fabric_health: str | None = None
    error: str | None = None

    @property
    def words(self) -> str:
        """Its index and what tells it from others."""
        return f"GPU {self.index} ({self.uuid or self.pci_bus_id or 'without UUID'})"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Gpu:
        """Return the GPU that `asdict` made a dictionary of."""
        parts = tuple(MigDevice(**device) for device in values["mig_devices"])
        return cls(**{**values, "mig_devices": parts, "pcie": Pcie(**values["pcie"])})


@dataclass(frozen=True)
class Inventory:
    """All that was told of GPUs; `source` is `nvidia-smi`, `nvml` or `none`."""

    source: str = "nvidia-smi"
    driver_version: str | None = None
    cuda_version: str | None = None
    gpus: tuple[Gpu, ...] = ()
    problem: Problem | None = None

    @property
    def usable(self) -> tuple[Gpu, ...]:
        """The GPUs that answer."""
        return tuple(gpu for gpu in self.gpus if gpu.error is None)

    def facts(self) -> dict[str, Any]:
        """Return it as a module's result."""
        return {
            "source": self.source,
            "driver_version": self.driver_version,
            "cuda_version": self.cuda_version,
            "gpus": [asdict(gpu) for gpu in self.gpus],
            "problem": self.problem and self.problem.text,
        }


# ---------------------------------------------------------------- nvidia-smi -q -x


def inventory(exit_code: int, text: str) -> Inventory:
    """Return what `nvidia-smi -q -x` said, given its exit code and both of its outputs.

    A GPU that it only complains of is among the GPUs, with an error. That the report is missing or can't be read
    is a problem; so is another exit code than 0 that no GPU's error explains.
    """
    lost = [_lost_gpu(match) for match in islice(_NO_HANDLE.finditer(text), _MOST_GPUS)]
    try:
        report = _report(text)
    except Unreadable as error:
        problem = problem_of(exit_code, text) or Problem("unreadable", f"nvidia-smi -q -x is not understood: {error}.")
        return Inventory(gpus=_joined([], lost), problem=problem)
    gpus = _joined([_gpu(index, element) for index, element in enumerate(report.findall("gpu"))], lost)
    is_explained = exit_code == 0 or any(gpu.error for gpu in gpus)
    return Inventory(
        driver_version=_text(report, "driver_version") or _text(report, "kmd_version"),
        cuda_version=_text(report, "cuda_version") or _text(report, "cuda_umd_version"),
        gpus=gpus,
        problem=None if gpus and is_explained else problem_of(exit_code, text) or Problem.no_gpu(),
    )


def _report(text: str) -> ElementTree.Element:
    """Return the report's root element.

    The parser never sees what comes before it, such as the document type: so there are no entities to expand.
    """
    start, end = report_span(text)
    if start == end:
        raise Unreadable(f"it printed no report but {shortened(text)!r}" if text.strip() else "it printed nothing")
    if not text[start:end].endswith(REPORT_END):
        raise Unreadable("its report breaks off")
    try:
        report = ElementTree.fromstring(text[start:end])
    except ElementTree.ParseError as error:
        raise Unreadable(f"its report is no XML, {error}") from error
    if len(report.findall("gpu")) > _MOST_GPUS:
        raise Unreadable(f"it tells of {len(report.findall('gpu'))} GPUs")
    return report


def _gpu(index: int, element: ElementTree.Element) -> Gpu:
    link = "pci/pci_gpu_link_info"
    return Gpu(
        index=index,
        uuid=_text(element, "uuid"),
        name=_text(element, "product_name"),
        memory_total_bytes=_mebibytes(element, "fb_memory_usage/total"),
        pci_bus_id=full_bus_id(_text(element, "pci/pci_bus_id") or _word(element.get("id"))),
        serial=_text(element, "serial"),
        vbios=_text(element, "vbios_version"),
        ecc_enabled=_flag(element, "ecc_mode/current_ecc"),
        mig_enabled=_flag(element, "mig_mode/current_mig"),
        mig_devices=tuple(_mig_device(part) for part in element.findall("mig_devices/mig_device")),
        persistence_enabled=_flag(element, "persistence_mode"),
        power_limit_watts=_power_limit(element),
        pcie=Pcie(
            generation=_integer(element, f"{link}/pcie_gen/current_link_gen"),
            generation_max=_integer(element, f"{link}/pcie_gen/max_link_gen"),
            width=_integer(element, f"{link}/link_widths/current_link_width"),
            width_max=_integer(element, f"{link}/link_widths/max_link_width"),
        ),
        fabric_state=_text(element, "fabric/state"),
        fabric_status=_text(element, "fabric/status"),
        fabric_health=_fabric_health(element.find("fabric/health")),
        error=_error(element),
    )


def _mig_device(element: ElementTree.Element) -> MigDevice:
    return MigDevice(
        index=_integer(element, "index") or 0,
        uuid=_text(element, "uuid"),
        profile=None,
        gpu_instance=_integer(element, "gpu_instance_id"),
        memory_total_bytes=_mebibytes(element, "fb_memory_usage/total"),
    )


def _power_limit(element: ElementTree.Element) -> float | None:
    # Drivers before 530 have no gpu_power_readings.
    for path in ("gpu_power_readings/current_power_limit", "power_readings/enforced_power_limit"):
        number = _number(element, path)
        if number is not None:
            return float(number)
    return None


def _fabric_health(element: ElementTree.Element | None) -> str | None:
    """Return the driver's summary of the fabric's health, or one made of its parts; None when it tells nothing."""
    if element is None:
        return None
    told = {part.tag: word for part in element if (word := _word(part.text)) is not None}
    bad = [f"{tag}: {word}" for tag, word in told.items() if word.lower() not in _FABRIC_FINE and tag != "summary"]
    if bad:
        return f"Unhealthy ({', '.join(bad)})"
    return told.get("summary") or ("Healthy" if told else None)


def _error(element: ElementTree.Element) -> str | None:
    """Return why a GPU can't be used; one value that can't be read is no reason, but memory is."""
    # Users give processes their names.
    told = (part for child in element if "processes" not in child.tag for part in child.iter())
    for part in told:
        text = (part.text or "").strip()
        if text.lower().startswith(_LOST):
            return shortened(text)
    for path in ("fb_memory_usage/total", "uuid"):
        text = (element.findtext(path) or "").strip()
        if text.lower() == "unknown error":
            return f"Unknown Error at {path}"
    return _RECOVERY.get((element.findtext("gpu_recovery_action") or "").strip())


# ---------------------------------------------------------------- GPUs without a handle


def _lost_gpu(match: re.Match[str]) -> Gpu:
    index = -1 if match["index"] is None else int(match["index"])
    return Gpu(index=index, pci_bus_id=full_bus_id(match["bus_id"]), error=shortened(match["reason"]))


def _joined(gpus: Sequence[Gpu], lost: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Return the reported GPUs and the lost ones in the driver's order, which is that of the PCI addresses."""
    known = {gpu.pci_bus_id: place for place, gpu in enumerate(gpus) if gpu.pci_bus_id}
    joined = list(gpus)
    for gpu in lost:
        if gpu.pci_bus_id in known:
            place = known[gpu.pci_bus_id]
            joined[place] = replace(joined[place], error=joined[place].error or gpu.error)
            continue
        joined.insert(gpu.index if gpu.index >= 0 else _place(joined, gpu.pci_bus_id), gpu)
        known = {other.pci_bus_id: place for place, other in enumerate(joined) if other.pci_bus_id}
    return tuple(replace(gpu, index=index) for index, gpu in enumerate(joined))


def _place(gpus: Sequence[Gpu], bus_id: str | None) -> int:
    later = [place for place, gpu in enumerate(gpus) if bus_id and gpu.pci_bus_id and gpu.pci_bus_id > bus_id]
    return later[0] if later else len(gpus)


def full_bus_id(bus_id: str | None) -> str | None:
    """Return a PCI address with a domain of eight digits, in upper case, as NVML and nvidia-smi show it."""
    if bus_id is None or not re.fullmatch(_BUS_ID, bus_id, re.IGNORECASE):
        return None
    return bus_id.rjust(len("00000000:00:00.0"), "0").upper()


# ---------------------------------------------------------------- nvidia-smi -L, nvidia-smi nvlink -s


def with_mig_names(found: Inventory, listing: str) -> Inventory:
    """Return the inventory with UUID and profile of MIG devices, which only `nvidia-smi -L` tells."""
    names: dict[tuple[str, int], re.Match[str]] = {}
    uuid = ""
    for line in listing.splitlines():
        gpu, part = _LISTED_GPU.match(line), _LISTED_MIG.match(line)
        if gpu:
            uuid = gpu["uuid"]
        elif part:
            names[uuid, int(part["index"])] = part
    return replace(found, gpus=tuple(_named(gpu, names) for gpu in found.gpus))


def _named(gpu: Gpu, names: Mapping[tuple[str, int], re.Match[str]]) -> Gpu:
    devices = []
    for device in gpu.mig_devices:
        name = names.get((gpu.uuid or "", device.index))
        devices.append(replace(device, uuid=name["uuid"], profile=name["profile"]) if name else device)
    return replace(gpu, mig_devices=tuple(devices))


def with_nvlinks(found: Inventory, status: str) -> Inventory:
    """Return the inventory with the number of active links, as `nvidia-smi nvlink -s` shows them.

    A link is active when it has a speed. A GPU of which nothing is told has None.
    """
    counts: dict[str, int] = {}
    key = ""
    for line in status.splitlines():
        gpu, link = _GPU_LINE.match(line.strip()), _LINK.match(line.strip())
        if gpu:
            key = gpu["uuid"] or gpu["index"]
        if link:
            counts[key] = counts.get(key, 0) + bool(_LINK_SPEED.fullmatch(link["state"]))
        elif "all links are inactive" in line.lower():
            counts[key] = 0
    linked = [replace(gpu, nvlinks_active=counts.get(gpu.uuid or "", counts.get(str(gpu.index)))) for gpu in found.gpus]
    return replace(found, gpus=tuple(linked))


# ---------------------------------------------------------------- values


def _word(text: str | None) -> str | None:
    word = (text or "").strip().strip("[]")
    is_value = word.lower() not in _NO_VALUE and not word.lower().startswith(_NO_VALUE_STARTS)
    return word if is_value else None


def _text(element: ElementTree.Element, path: str) -> str | None:
    return _word(element.findtext(path))


def _flag(element: ElementTree.Element, path: str) -> bool | None:
    return {"enabled": True, "disabled": False}.get((_text(element, path) or "").lower())


def _number(element: ElementTree.Element, path: str) -> str | None:
    match = re.match(r"\d{1,15}(\.\d{1,15})?", _text(element, path) or "", re.ASCII)
    return match[0] if match else None


def _integer(element: ElementTree.Element, path: str) -> int | None:
    number = _number(element, path)
    return None if number is None else int(float(number))


def _mebibytes(element: ElementTree.Element, path: str) -> int | None:
    number = _integer(element, path)
    return None if number is None else number * 1024**2
