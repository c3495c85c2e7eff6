# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is expected of GPUs, held against what the driver tells; each difference is one line with a hint.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import Gpu, Inventory

HOST, CONTAINER = "host", "container"
_UNTOLD = "not told"
_XID = "`dmesg | grep -i xid` tells why"


@dataclass(frozen=True)
class Check:
    """One thing that was expected, and what was found of it; `hint` says what to do when that is something else.

    `gpus` are the indexes of the GPUs that it is about; none when it is about all of a place.
    """

    check: str
    where: str
    expected: str
    found: str
    ok: bool
    gpus: tuple[int, ...] = ()
    hint: str | None = None


@dataclass(frozen=True)
class _Quality:
    """What each GPU must have: the words for what is wanted and found, the comparison, and what to do.

    In the hint, {ids} are the GPUs' indexes, {flag} is 1 or 0, and {verb} is enable or disable, as is wanted.
    """

    wanted: Callable[[Any], str]
    found: Callable[[Gpu], str]
    holds: Callable[[Gpu, Any], bool]
    hint: str


def _switch(is_on: bool | None) -> str:
    return "not supported" if is_on is None else "on" if is_on else "off"


def _bytes(count: int | None) -> str:
    return _UNTOLD if count is None else f"{count} bytes ({count / 1024**3:.1f} GiB)"


def _has_joined(gpu: Gpu) -> bool:
    return (
        gpu.fabric_state == "Completed"
        and gpu.fabric_status in (None, "Success")
        and gpu.fabric_health in (None, "Healthy")
    )


def _fabric(gpu: Gpu) -> str:
    told = [word for word in (gpu.fabric_state, gpu.fabric_status, gpu.fabric_health) if word]
    return ", ".join(told) or _UNTOLD


_OTHER_MODEL = "Another model is built in, or the expectation is wrong: `nvidia-smi -L` lists the models."
_QUALITIES = {
    "name": _Quality(
        lambda wanted: f"matches {wanted}",
        lambda gpu: gpu.name or _UNTOLD,
        lambda gpu, wanted: re.search(wanted, gpu.name or "") is not None,
        _OTHER_MODEL,
    ),
    "min_memory_bytes": _Quality(
        lambda wanted: f"at least {_bytes(wanted)}",
        lambda gpu: _bytes(gpu.memory_total_bytes),
        lambda gpu, wanted: (gpu.memory_total_bytes or 0) >= wanted,
        _OTHER_MODEL,
    ),
    "ecc": _Quality(
        _switch,
        lambda gpu: _switch(gpu.ecc_enabled),
        lambda gpu, wanted: bool(gpu.ecc_enabled) == wanted,
        "`nvidia-smi -i {ids} --ecc-config={flag}`, then reboot. Consumer cards have no ECC.",
    ),
    "mig": _Quality(
        _switch,
        lambda gpu: _switch(gpu.mig_enabled),
        lambda gpu, wanted: bool(gpu.mig_enabled) == wanted,
        "`nvidia-smi -i {ids} -mig {flag}` while nothing uses the GPU; on Ampere it takes effect with the next reset "
        "or reboot.",
    ),
    "persistence": _Quality(
        _switch,
        lambda gpu: _switch(gpu.persistence_enabled),
        lambda gpu, wanted: bool(gpu.persistence_enabled) == wanted,
        "`systemctl {verb} --now nvidia-persistenced`; where there is no such service, `nvidia-smi -pm {flag}`, which "
        "lasts until the next reboot.",
    ),
    "nvlinks": _Quality(
        lambda wanted: f"at least {wanted} active",
        lambda gpu: _UNTOLD if gpu.nvlinks_active is None else f"{gpu.nvlinks_active} active",
        lambda gpu, wanted: (gpu.nvlinks_active or 0) >= wanted,
        "`nvidia-smi nvlink -s -i {ids}` shows which links are down, `nvidia-smi nvlink -e -i {ids}` their errors. "
        "GPUs behind NVSwitches need `systemctl status nvidia-fabricmanager` to show it running.",
    ),
    "fabric": _Quality(
        lambda wanted: "Completed, Success" if wanted else "not joined",
        _fabric,
        lambda gpu, wanted: _has_joined(gpu) == wanted,
        "`systemctl status nvidia-fabricmanager`: it must run, and be of exactly the driver's version; "
        "`journalctl -u nvidia-fabricmanager` tells what it waits for. In Progress should end within minutes.",
    ),
}


# ---------------------------------------------------------------- checks


def checks_of(found: Inventory, expected: Mapping[str, Any], place: str, pci_gpus: int) -> list[Check]:
    """Return what was expected of a place's GPUs and what was found.

    `expected` may have `count`, `min_driver_version` and the names in _QUALITIES; None expects nothing. That the
    driver answers and that every GPU does is always expected, but of a place that shall have no GPU.
    """
    if expected.get("count") == 0 and not found.gpus:
        return [Check("count", place, "0", "0", True)]
    checks = [_driver(found, place)]
    if not found.gpus:
        return checks
    checks += _health(found, place)
    if expected.get("count") is not None:
        checks.append(_count(found, expected["count"], place, pci_gpus))
    if expected.get("min_driver_version") is not None:
        checks.append(_driver_version(found, expected["min_driver_version"], place))
    for name, quality in _QUALITIES.items():
        if expected.get(name) is not None and found.usable:
            checks += _of_each_gpu(name, quality, expected[name], found.usable, place)
    return checks


def _driver(found: Inventory, place: str) -> Check:
    if found.problem is None:
        return Check("driver", place, "answers", f"answers, {found.driver_version or 'version ' + _UNTOLD}", True)
    return Check("driver", place, "answers", found.problem.text, False, hint=found.problem.hint)


def _health(found: Inventory, place: str) -> list[Check]:
    hint = (
        f"{_XID}; after XID 79 the GPU fell off the bus. Move its work away and reboot the host, or power it off and "
        "on; if it comes again, the GPU, its power or its slot is broken."
    )
    lost = [gpu for gpu in found.gpus if gpu.error]
    if not lost:
        return [Check("health", _where(place, found.gpus), "usable", "usable", True, _indexes(found.gpus))]
    return [Check("health", _where(place, [gpu]), "usable", str(gpu.error), False, (gpu.index,), hint) for gpu in lost]


def _count(found: Inventory, wanted: int, place: str, pci_gpus: int) -> Check:
    count = len(found.usable)
    if count == wanted:
        return Check("count", place, str(wanted), str(count), True)
    bus = f"The PCI bus shows {pci_gpus} NVIDIA {'GPU' if pci_gpus == 1 else 'GPUs'}"
    if count > wanted:
        hint = "There are more GPUs than expected: `nvidia-smi -L`. Correct the expectation."
    elif place == CONTAINER:
        hint = "`nvidia-smi -L` on the host shows whether the host has them, and the check same_gpus what is missing."
    elif pci_gpus > count:
        hint = f"{bus}, so the driver lacks some: {_XID}, and `lspci -d 10de:` lists what is there."
    else:
        hint = f"{bus} (`lspci -d 10de:`): the others are broken, without power, not seated, or not passed through."
    return Check("count", place, str(wanted), str(count), False, hint=hint)


def _driver_version(found: Inventory, wanted: str, place: str) -> Check:
    version = found.driver_version
    is_new = version is not None and _numbers(version) >= _numbers(wanted)
    hint = "Upgrade the driver while nothing uses a GPU, then reboot: the old one stays in the kernel until then."
    return Check(
        "min_driver_version", place, f"{wanted} or later", version or _UNTOLD, is_new, hint=None if is_new else hint
    )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _of_each_gpu(name: str, quality: _Quality, wanted: Any, gpus: Sequence[Gpu], place: str) -> list[Check]:
    """Return one check of all GPUs when they are alike, and else one for each that is not as wanted."""
    expected = quality.wanted(wanted)
    off = [gpu for gpu in gpus if not quality.holds(gpu, wanted)]
    if not off:
        found = ", ".join(sorted({quality.found(gpu) for gpu in gpus}))
        return [Check(name, _where(place, gpus), expected, found, True, _indexes(gpus))]
    ids = ",".join(str(gpu.index) for gpu in off)
    hint = quality.hint.format(ids=ids, flag=int(bool(wanted)), verb="enable" if wanted else "disable")
    words = {quality.found(gpu) for gpu in off}
    groups = [off] if len(off) == len(gpus) and len(words) == 1 else [[gpu] for gpu in off]
    return [
        Check(name, _where(place, group), expected, quality.found(group[0]), False, _indexes(group), hint)
        for group in groups
    ]


def same_gpus(host: Inventory, container: Inventory, hint: str) -> Check:
    """Return whether a container sees the GPUs that its host sees; fewer and other ones are wrong."""
    outside = {gpu.uuid or gpu.pci_bus_id: gpu for gpu in host.usable}
    inside = {gpu.uuid or gpu.pci_bus_id: gpu for gpu in container.usable}
    missing = [gpu.words for key, gpu in outside.items() if key not in inside]
    foreign = [gpu.words for key, gpu in inside.items() if key not in outside]
    found = str(len(container.usable))
    if missing:
        found += f", without {', '.join(missing)}"
    if foreign:
        found += f", with {', '.join(foreign)}, which the host does not show"
    ok = not missing and not foreign
    return Check("same_gpus", CONTAINER, f"the host's {len(host.usable)}", found, ok, hint=None if ok else hint)


def _indexes(gpus: Iterable[Gpu]) -> tuple[int, ...]:
    return tuple(gpu.index for gpu in gpus)


def _where(place: str, gpus: Sequence[Gpu]) -> str:
    return f"{place}, {gpus[0].words if len(gpus) == 1 else f'all {len(gpus)} GPUs'}"


# ---------------------------------------------------------------- the message


def table(checks: Sequence[Check]) -> str:
    """Return the failed checks as a table, one line each, and below it each different hint once."""
    failed = [check for check in checks if not check.ok]
    rows = [("CHECK", "WHERE", "EXPECTED", "FOUND")]
    rows += [(check.check, check.where, check.expected, check.found) for check in failed]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]) for row in rows]
    hints = {f"- {check.check}: {check.hint}": True for check in failed}
    return "\n".join([*(f"  {line}" for line in lines), "What to do:", *hints])
