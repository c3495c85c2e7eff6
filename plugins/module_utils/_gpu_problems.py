# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nvidia-smi means when it can't tell of GPUs: one sentence for the operator, and what to do next.

Facts: nvidia-smi ends with NVML's error code, https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html .

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

REPORT_END = "</nvidia_smi_log>"
_REPORT_START = "<nvidia_smi_log"
_PROLOGUE = re.compile(r"<[?!][^>]*>")
_SHOWN = 300
# The kind of problem, what nvidia-smi says then, the code that it ends with, and what that means.
_SIGNS = (
    (
        "mismatch",
        r"driver/library version mismatch",
        18,
        "The NVIDIA driver that the kernel runs is of another version than its programs and libraries",
    ),
    (
        "not_loaded",
        r"couldn't communicate with the nvidia driver|driver (is )?not loaded",
        9,
        "The NVIDIA driver is installed, but not loaded into the kernel",
    ),
    (
        "no_library",
        r"libnvidia-ml|nvml shared library not found",
        12,
        "The NVIDIA driver's library libnvidia-ml.so is missing",
    ),
    ("no_gpu", r"no devices were found", 6, "The NVIDIA driver is loaded, but finds no GPU"),
    ("forbidden", r"insufficient permissions", 4, "This user may not ask the NVIDIA driver"),
    (
        "lost",
        r"unable to determine the device handle|gpu is lost|fallen off the bus",
        15,
        "A GPU does not answer, and nvidia-smi tells nothing of the others",
    ),
    ("damaged", r"inforom is corrupted", 14, "A GPU's infoROM is damaged"),
    ("no_access", r"failed to initialize nvml", 999, "The NVIDIA driver can't be asked"),
)
_HINTS = {
    "no_driver": "Install the NVIDIA driver and reboot; on Debian and Ubuntu `ubuntu-drivers list --gpgpu` or "
    "`apt-cache search nvidia-driver` shows what there is.",
    "not_loaded": "`modprobe nvidia`, then `dmesg | grep -iE 'nvrm|nvidia'`. After an update of the kernel its module "
    "may be missing (`dkms status`); with Secure Boot it must be signed (`mokutil --sb-state`).",
    "mismatch": "The driver was updated without a reboot. Reboot the host, or unload the old modules when nothing "
    "uses a GPU; `cat /proc/driver/nvidia/version` shows the one that runs.",
    "no_library": "Install the package of the driver's libraries in the driver's own version (libnvidia-compute-…, "
    "libnvidia-ml1), then `ldconfig`.",
    "no_gpu": "`lspci -d 10de:` shows what the PCI bus has, `dmesg | grep -iE 'nvrm|xid'` why the driver does not "
    "take it.",
    "forbidden": "Run the task with become.",
    "lost": "`dmesg | grep -i xid`: after XID 79 the GPU fell off the bus, and only a reboot, or power off and on, "
    "brings it back.",
    "damaged": "`nvidia-smi -q | grep -i inforom`; report the GPU to its vendor.",
    "no_access": "`ls -l /dev/nvidia*` and `nvidia-smi` on the host. If a container lost its GPUs, start it again.",
    "timeout": "The driver or a GPU hangs: `dmesg | grep -iE 'xid|nvrm'`; as a rule only a reboot helps. Without "
    "persistence mode the first answer takes long: `systemctl enable --now nvidia-persistenced`.",
    "unreadable": "Run `nvidia-smi -q -x` on the host and look at what it prints.",
    "failed": "Run `nvidia-smi` on the host and look at what it says; `dmesg | grep -iE 'xid|nvrm'`.",
}


@dataclass(frozen=True)
class Problem:
    """Why GPUs can't be told of: its kind, and one sentence that says it.

    `advice` is what an operator does next where that is not the same for all problems of the kind.
    """

    kind: str
    text: str
    advice: str = ""

    @property
    def hint(self) -> str:
        """What an operator does next."""
        return self.advice or _HINTS[self.kind]

    @classmethod
    def no_gpu(cls) -> Problem:
        return cls("no_gpu", "The NVIDIA driver is loaded, but finds no GPU.")


def problem_of(exit_code: int, text: str) -> Problem | None:
    """Return what nvidia-smi complains of, or None when it ended well and complains of nothing that is known."""
    said = _around_report(text)
    ending = f"exit code {exit_code}: {shortened(said).rstrip('.')}" if said.strip() else f"exit code {exit_code}"
    for kind, sign, code, meaning in _SIGNS:
        if re.search(sign, said.lower()) or code == exit_code:
            return Problem(kind, f"{meaning} ({ending}).")
    return Problem("failed", f"nvidia-smi failed ({ending}).") if exit_code else None


def report_span(text: str) -> tuple[int, int]:
    """Return where the report starts and ends in what nvidia-smi printed; one that breaks off ends with the text."""
    start, end = text.find(_REPORT_START), text.rfind(REPORT_END)
    if start < 0:
        return 0, 0
    return start, len(text) if end < start else end + len(REPORT_END)


def _around_report(text: str) -> str:
    """Return what nvidia-smi printed without its report, in which any words can stand."""
    start, end = report_span(text)
    return _PROLOGUE.sub(" ", f"{text[:start]} {text[end:]}")


def shortened(text: str) -> str:
    """Return a text as one line that is not too long for a message, without control characters."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
