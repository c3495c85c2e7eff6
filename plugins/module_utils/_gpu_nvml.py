# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks NVML by Python's pynvml and prints what it tells as JSON: for hosts without nvidia-smi.

It is run as a program, `python -m`, for a call into a hung driver does not return and can't be taken back.
Facts: https://docs.nvidia.com/deploy/nvml-api/ . A function that the driver, the GPU or the binding lacks gives None.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import Gpu, Inventory, MigDevice, Pcie
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_problems import problem_of

_BINDING = "pynvml"
_LOST = (15, 16)
_FABRIC_STATES = {1: "Not Started", 2: "In Progress", 3: "Completed"}
_NO_FABRIC = 0


class Nvml:
    """NVML's functions by their names without the prefix."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return what a function tells, bytes as text; None when it can't. Raises when the GPU is lost."""
        function = getattr(self.library, f"nvml{name}", None)
        if function is None:
            return None
        try:
            answer = function(*arguments)
        except self.library.NVMLError as error:
            if error.value in _LOST:
                raise
            return None
        return answer.decode("utf-8", errors="replace") if isinstance(answer, bytes) else answer

    def flag(self, name: str, *arguments: Any) -> bool | None:
        """Return whether a feature is on; of a pair, the first is the current state."""
        answer = self.ask(name, *arguments)
        if isinstance(answer, (list, tuple)):
            answer = answer[0]
        return None if answer is None else bool(answer)


def is_there() -> bool:
    """Tell whether this Python has the binding; the driver's library may still be missing."""
    return importlib.util.find_spec(_BINDING) is not None


def read(library: Any) -> Inventory:
    """Return what NVML tells; a problem when it can't be opened."""
    nvml = Nvml(library)
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        return Inventory("nvml", problem=problem_of(error.value, f"NVML: {error}"))
    cuda = nvml.ask("SystemGetCudaDriverVersion_v2")
    gpus = tuple(_gpu(nvml, index) for index in range(nvml.ask("DeviceGetCount") or 0))
    return Inventory(
        "nvml",
        driver_version=nvml.ask("SystemGetDriverVersion"),
        cuda_version=cuda and f"{cuda // 1000}.{cuda % 1000 // 10}",
        gpus=gpus,
        problem=None if gpus else problem_of(6, ""),
    )


def _gpu(nvml: Nvml, index: int) -> Gpu:
    gpu = Gpu(index=index)
    try:
        handle = nvml.library.nvmlDeviceGetHandleByIndex(index)
        for part in _parts(nvml, handle):
            gpu = replace(gpu, **part)
    except nvml.library.NVMLError as error:
        return replace(gpu, error=str(error))
    return gpu


def _parts(nvml: Nvml, handle: Any) -> Iterator[dict[str, Any]]:
    """Yield what is known of a GPU bit by bit, so that one that gets lost keeps its name."""
    pci = nvml.ask("DeviceGetPciInfo", handle)
    bus_id = pci and pci.busId
    yield {"pci_bus_id": bus_id.decode() if isinstance(bus_id, bytes) else bus_id}
    yield {"uuid": nvml.ask("DeviceGetUUID", handle), "name": nvml.ask("DeviceGetName", handle)}
    memory, limit = nvml.ask("DeviceGetMemoryInfo", handle), nvml.ask("DeviceGetEnforcedPowerLimit", handle)
    yield {
        "memory_total_bytes": memory and memory.total,
        "serial": nvml.ask("DeviceGetSerial", handle),
        "vbios": nvml.ask("DeviceGetVbiosVersion", handle),
        "ecc_enabled": nvml.flag("DeviceGetEccMode", handle),
        "persistence_enabled": nvml.flag("DeviceGetPersistenceMode", handle),
        "power_limit_watts": limit and limit / 1000,
        "pcie": Pcie(
            generation=nvml.ask("DeviceGetCurrPcieLinkGeneration", handle),
            generation_max=nvml.ask("DeviceGetMaxPcieLinkGeneration", handle),
            width=nvml.ask("DeviceGetCurrPcieLinkWidth", handle),
            width_max=nvml.ask("DeviceGetMaxPcieLinkWidth", handle),
        ),
    }
    mig = nvml.flag("DeviceGetMigMode", handle)
    yield {"mig_enabled": mig, "mig_devices": tuple(_mig_devices(nvml, handle)) if mig else ()}
    yield {"nvlinks_active": _nvlinks(nvml, handle), **_fabric(nvml, handle)}


def _mig_devices(nvml: Nvml, handle: Any) -> Iterator[MigDevice]:
    for index in range(nvml.ask("DeviceGetMaxMigDeviceCount", handle) or 0):
        device = nvml.ask("DeviceGetMigDeviceHandleByIndex", handle, index)
        if device is None:
            continue
        memory = nvml.ask("DeviceGetMemoryInfo", device)
        # "NVIDIA A100-SXM4-40GB MIG 3g.20gb"
        profile = (nvml.ask("DeviceGetName", device) or "").partition(" MIG ")[2]
        yield MigDevice(
            index=index,
            uuid=nvml.ask("DeviceGetUUID", device),
            profile=profile or None,
            gpu_instance=nvml.ask("DeviceGetGpuInstanceId", device),
            memory_total_bytes=memory and memory.total,
        )


def _nvlinks(nvml: Nvml, handle: Any) -> int | None:
    most = getattr(nvml.library, "NVML_NVLINK_MAX_LINKS", 18)
    states = [nvml.ask("DeviceGetNvLinkState", handle, link) for link in range(most)]
    known = [state for state in states if state is not None]
    return sum(known) if known else None


def _fabric(nvml: Nvml, handle: Any) -> dict[str, str | None]:
    kind = getattr(nvml.library, "c_nvmlGpuFabricInfo_t", None)
    if kind is None:
        return {}
    info = kind()
    if nvml.ask("DeviceGetGpuFabricInfo", handle, ctypes.byref(info)) is None or info.state == _NO_FABRIC:
        return {}
    status = "Success" if info.status == 0 else str(nvml.ask("ErrorString", info.status))
    return {"fabric_state": _FABRIC_STATES.get(info.state), "fabric_status": status}


def main() -> None:
    """Print the inventory."""
    json.dump(asdict(read(importlib.import_module(_BINDING))), sys.stdout)


if __name__ == "__main__":
    main()
