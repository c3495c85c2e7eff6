# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the NVIDIA driver for its GPUs: by nvidia-smi, on the host or wherever else one can be run, or by NVML.

Every command has a limit of time, since a hung driver hangs whoever asks it.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import _commands, _gpu_nvml, _programs
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import (
    Gpu,
    Inventory,
    inventory,
    with_mig_names,
    with_nvlinks,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_problems import Problem, shortened

PCI_DEVICES = Path("/sys/bus/pci/devices")
KERNEL_DRIVER = Path("/proc/driver/nvidia/version")
OPTIONS: dict[str, Any] = {"nvidia_smi": {"type": "path"}, "timeout": {"type": "int", "default": 60}}
# Eight GPUs take less than one mebibyte.
_MAX_BYTES = 8 * 1024**2
_NVIDIA = "0x10de"
_GPU_CLASSES = ("0x0300", "0x0302")

Ask = Callable[[Sequence[str]], tuple[int, str]]
"""Runs nvidia-smi with some arguments and returns its exit code and all that it printed; or raises NoAnswer."""


class NoAnswer(Exception):
    """The driver could not be asked at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


# ---------------------------------------------------------------- the host


def host_inventory(module: AnsibleModule) -> Inventory:
    """Return what the host's driver sees, by the module's options OPTIONS; never fails."""
    timeout = float(module.params["timeout"])
    program = module.params["nvidia_smi"] or _programs.find(module, "nvidia-smi")
    if program is not None:
        found = by_nvidia_smi(lambda arguments: ask_program(program, arguments, timeout))
    elif _gpu_nvml.is_there():
        found = by_nvml(timeout)
    else:
        found = _without_driver()
    return found if found.driver_version else replace(found, driver_version=_kernel_driver())


def ask_program(program: str, arguments: Sequence[str], timeout: float) -> tuple[int, str]:
    """Run the host's nvidia-smi; its errors come behind its output."""
    command = [program, *arguments]
    words = shortened(" ".join(command))
    try:
        code, out, err = _commands.run(command, timeout, _MAX_BYTES, {"LC_ALL": "C"})
    except _commands.CommandTimeout:
        text = f"{words} did not end within {timeout:g} s: the driver or a GPU hangs."
        raise NoAnswer(Problem("timeout", text)) from None
    except _commands.TooMuchOutput:
        text = f"{words} prints more than {_MAX_BYTES // 1024**2} MiB, which is no report of GPUs."
        raise NoAnswer(Problem("unreadable", text)) from None
    except OSError as error:
        raise NoAnswer(Problem("no_driver", f"{program} can't be run: {error.strerror or error}.")) from None
    return code, f"{out}\n{err}"


def pci_gpus() -> int:
    """Return how many NVIDIA GPUs the PCI bus has, whether a driver takes them or not; virtual functions don't count.

    Source: vendor and class in /sys/bus/pci/devices.
    """
    folders = PCI_DEVICES.iterdir() if PCI_DEVICES.is_dir() else ()
    return sum(_is_gpu(folder) for folder in folders)


def _is_gpu(folder: Path) -> bool:
    try:
        vendor, kind = (Path(folder, name).read_text(encoding="ascii").strip() for name in ("vendor", "class"))
    except (OSError, UnicodeDecodeError):
        return False
    return vendor == _NVIDIA and kind.startswith(_GPU_CLASSES) and not Path(folder, "physfn").exists()


def _kernel_driver() -> str | None:
    """Return the version of the driver that runs in the kernel, which is known even when nobody can ask it."""
    try:
        text = KERNEL_DRIVER.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"NVRM version: .*?\s(\d+\.\d+(\.\d+)?)\s", text)
    return match[1] if match else None


def _without_driver() -> Inventory:
    count = pci_gpus()
    missing = "the host has neither nvidia-smi nor the library of NVML"
    text = f"There is no NVIDIA GPU on the PCI bus, and no driver: {missing}."
    if count:
        text = f"The PCI bus has NVIDIA GPUs ({count}), but no driver is installed: {missing}."
    return Inventory(source="none", problem=Problem("no_driver", text))


# ---------------------------------------------------------------- the ways of asking


def by_nvidia_smi(ask: Ask, nvlinks: bool = True) -> Inventory:
    """Return what nvidia-smi tells, wherever `ask` runs it; `nvlinks` asks for NVLinks too."""
    try:
        found = inventory(*ask(["-q", "-x"]))
    except NoAnswer as error:
        return Inventory(problem=error.problem)
    try:
        if any(gpu.mig_devices for gpu in found.gpus):
            found = with_mig_names(found, ask(["-L"])[1])
        if nvlinks and found.gpus:
            found = with_nvlinks(found, ask(["nvlink", "-s"])[1])
    except NoAnswer as error:
        return replace(found, problem=error.problem)
    return found


def by_nvml(timeout: float) -> Inventory:
    """Return what NVML tells through Python's pynvml, in a process of its own, which can be ended when it hangs."""
    command = [sys.executable, "-m", _gpu_nvml.__name__]
    try:
        code, out, err = _commands.run(command, timeout, _MAX_BYTES, {"PYTHONPATH": os.pathsep.join(sys.path)})
    except _commands.CommandTimeout:
        text = f"NVML did not answer within {timeout:g} s: the driver or a GPU hangs."
        return Inventory(source="nvml", problem=Problem("timeout", text))
    try:
        told = json.loads(out)
    except ValueError:
        problem = Problem("failed", f"NVML can't be asked (exit code {code}: {shortened(err[-300:])}).")
        return Inventory(source="nvml", problem=problem)
    problem = told["problem"] and Problem(**told["problem"])
    if problem and problem.kind == "no_library":
        return _without_driver()
    gpus = tuple(Gpu.from_dict(gpu) for gpu in told["gpus"])
    return Inventory("nvml", told["driver_version"], told["cuda_version"], gpus, problem)
