"""What is expected of GPUs: each difference is one line, with what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_expectations import (
    CONTAINER,
    HOST,
    Check,
    checks_of,
    same_gpus,
    table,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import (
    Inventory,
    inventory,
    with_nvlinks,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_problems import Problem


@pytest.fixture
def h200(smi_text: Any) -> Inventory:
    return with_nvlinks(inventory(0, smi_text("h200_8.xml")), smi_text("h200_8_nvlink.txt"))


@pytest.fixture
def a100(smi_text: Any) -> Inventory:
    return inventory(0, smi_text("a100_mig.xml"))


@pytest.fixture
def card(smi_text: Any) -> Inventory:
    return inventory(0, smi_text("rtx4090.xml"))


def failed(found: Inventory, place: str = HOST, pci_gpus: int = 8, **expected: Any) -> list[Check]:
    return [check for check in checks_of(found, expected, place, pci_gpus) if not check.ok]


def test_what_is_as_expected_is_told_too(h200: Inventory) -> None:
    expected = {
        "count": 8,
        "name": "H200$",
        "min_memory_bytes": 143771 * 1024**2,
        "min_driver_version": "570.86",
        "ecc": True,
        "mig": False,
        "persistence": True,
        "nvlinks": 16,
        "fabric": True,
    }
    checks = checks_of(h200, expected, HOST, 8)
    assert [check.hint for check in checks if check.ok] == [None] * 11
    assert [(check.check, check.where, check.expected, check.found) for check in checks] == [
        ("driver", "host", "answers", "answers, 590.48.01"),
        ("health", "host, all 8 GPUs", "usable", "usable"),
        ("count", "host", "8", "8"),
        ("min_driver_version", "host", "570.86 or later", "590.48.01"),
        ("name", "host, all 8 GPUs", "matches H200$", "NVIDIA H200"),
        (
            "min_memory_bytes",
            "host, all 8 GPUs",
            "at least 150754820096 bytes (140.4 GiB)",
            "150754820096 bytes (140.4 GiB)",
        ),
        ("ecc", "host, all 8 GPUs", "on", "on"),
        ("mig", "host, all 8 GPUs", "off", "off"),
        ("persistence", "host, all 8 GPUs", "on", "on"),
        ("nvlinks", "host, all 8 GPUs", "at least 16 active", "16 active, 18 active"),
        ("fabric", "host, all 8 GPUs", "Completed, Success", "Completed, Success, Healthy"),
    ]
    assert checks[4].gpus == tuple(range(8))


def test_nothing_is_expected_but_a_driver_and_gpus_that_answer(card: Inventory) -> None:
    assert [check.check for check in checks_of(card, {}, HOST, 1)] == ["driver", "health"]


# ------------------------------------------------------------ the number of GPUs


@pytest.mark.parametrize(
    ("pci_gpus", "count", "place", "hint"),
    [
        (8, 8, HOST, "The PCI bus shows 8 NVIDIA GPUs, so the driver lacks some: `dmesg | grep -i xid` tells why"),
        (7, 8, HOST, "The PCI bus shows 7 NVIDIA GPUs (`lspci -d 10de:`): the others are broken, without power"),
        (1, 8, HOST, "The PCI bus shows 1 NVIDIA GPU (`lspci"),
        (8, 4, HOST, "There are more GPUs than expected"),
        (8, 8, CONTAINER, "`nvidia-smi -L` on the host shows whether the host has them"),
    ],
)
def test_seven_of_eight(smi_text: Any, pci_gpus: int, count: int, place: str, hint: str) -> None:
    found = inventory(0, smi_text("h200_8.xml", without=[3]))
    (check,) = failed(found, place, pci_gpus, count=count, name="H200")
    assert (check.check, check.where, check.expected, check.found) == ("count", place, str(count), "7")
    assert (check.hint or "").startswith(hint)


def test_a_lost_gpu_does_not_count(smi_text: Any) -> None:
    found = inventory(15, smi_text("h200_lost.xml"))
    health, count = failed(found, count=3, ecc=True)
    assert (health.check, health.found, health.gpus) == ("health", "GPU is lost", (1,))
    assert health.where == f"host, GPU 1 ({found.gpus[1].uuid})"
    assert "XID 79" in (health.hint or "")
    assert (count.check, count.expected, count.found) == ("count", "3", "2")


def test_no_gpu_can_be_what_is_expected() -> None:
    none = Inventory(source="none", problem=Problem("no_driver", "There is no driver."))
    assert checks_of(none, {"count": 0, "ecc": True}, HOST, 0) == [Check("count", HOST, "0", "0", True)]


def test_without_a_driver_that_is_all_that_is_said() -> None:
    none = Inventory(source="none", problem=Problem("no_driver", "There is no driver."))
    (check,) = checks_of(none, {"count": 8, "name": "H200", "min_driver_version": "550"}, HOST, 8)
    assert (check.check, check.found, check.ok) == ("driver", "There is no driver.", False)
    assert (check.hint or "").startswith("Install the NVIDIA driver and reboot")


def test_a_problem_beside_gpus_does_not_hide_them(h200: Inventory) -> None:
    found = replace(h200, problem=Problem("damaged", "A GPU's infoROM is damaged."))
    assert [check.check for check in failed(found, count=7, ecc=True)] == ["driver", "count"]


def test_where_every_gpu_is_lost_nothing_more_is_asked_of_them() -> None:
    text = "Unable to determine the device handle for GPU0: 0000:1B:00.0: Unknown Error\n"
    assert [check.check for check in failed(inventory(255, text), count=1, ecc=True)] == ["driver", "health", "count"]


# ------------------------------------------------------------ the driver and each GPU


@pytest.mark.parametrize(
    ("wanted", "ok"),
    [("590", True), ("590.48", True), ("590.48.01", True), ("590.48.02", False), ("600", False), ("99.1", True)],
)
def test_versions_are_compared_as_numbers(h200: Inventory, wanted: str, ok: bool) -> None:
    off = failed(h200, min_driver_version=wanted)
    assert [check.found for check in off] == ([] if ok else ["590.48.01"])
    assert all("Upgrade the driver while nothing uses a GPU" in (check.hint or "") for check in off)


def test_a_driver_without_version_is_not_new_enough(h200: Inventory) -> None:
    (check,) = failed(replace(h200, driver_version=None), min_driver_version="1")
    assert check.found == "not told"


@pytest.mark.parametrize(
    ("expected", "words", "found", "hint"),
    [
        ({"name": "^NVIDIA B200$"}, "matches ^NVIDIA B200$", "NVIDIA GeForce RTX 4090", "`nvidia-smi -L` lists"),
        (
            {"min_memory_bytes": 25757220865},
            "at least 25757220865 bytes (24.0 GiB)",
            "25757220864 bytes (24.0 GiB)",
            "Another model is built in",
        ),
        ({"ecc": True}, "on", "not supported", "`nvidia-smi -i 0 --ecc-config=1`, then reboot. Consumer cards have no"),
        ({"mig": True}, "on", "not supported", "`nvidia-smi -i 0 -mig 1` while nothing uses the GPU"),
        ({"persistence": True}, "on", "off", "`systemctl enable --now nvidia-persistenced`"),
        ({"nvlinks": 1}, "at least 1 active", "not told", "`nvidia-smi nvlink -s -i 0` shows which links are down"),
        ({"fabric": True}, "Completed, Success", "not told", "`systemctl status nvidia-fabricmanager`"),
    ],
)
def test_what_a_consumer_card_lacks(
    card: Inventory, expected: dict[str, Any], words: str, found: str, hint: str
) -> None:
    (check,) = failed(card, **expected)
    assert (check.check, check.expected, check.found) == (next(iter(expected)), words, found)
    assert check.where == f"host, {card.gpus[0].words}"
    assert hint in (check.hint or "")


@pytest.mark.parametrize("expected", [{"ecc": False}, {"mig": False}, {"fabric": False}, {"persistence": False}])
def test_what_a_gpu_does_not_have_is_off(card: Inventory, expected: dict[str, Any]) -> None:
    assert failed(card, **expected) == []


@pytest.mark.parametrize(
    ("expected", "hint"),
    [
        ({"ecc": False}, "`nvidia-smi -i 0,1,2,3,4,5,6,7 --ecc-config=0`"),
        ({"persistence": False}, "`systemctl disable --now nvidia-persistenced`"),
        ({"fabric": False}, "`systemctl status"),
    ],
)
def test_what_should_be_off_is_told_alike(h200: Inventory, expected: dict[str, Any], hint: str) -> None:
    (check,) = failed(h200, **expected)
    assert check.where == "host, all 8 GPUs"
    assert (check.hint or "").startswith(hint)


def test_gpus_that_differ_get_a_line_each(a100: Inventory) -> None:
    (check,) = failed(a100, mig=False)
    assert (check.gpus, check.where, check.found) == ((0,), f"host, {a100.gpus[0].words}", "on")
    assert "`nvidia-smi -i 0 -mig 0`" in (check.hint or "")


def test_gpus_that_are_wrong_in_other_ways_get_a_line_each(h200: Inventory) -> None:
    off = failed(h200, nvlinks=20)
    assert [check.found for check in off] == ["18 active"] * 5 + ["16 active"] + ["18 active"] * 2
    assert [check.gpus for check in off] == [(index,) for index in range(8)]
    assert len({check.hint for check in off}) == 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"fabric_state": "In Progress"}, "In Progress, Success, Healthy"),
        ({"fabric_status": "Unknown Error"}, "Completed, Unknown Error, Healthy"),
        ({"fabric_health": "Unhealthy (bandwidth: Degraded)"}, "Completed, Success, Unhealthy (bandwidth: Degraded)"),
        ({"fabric_state": "Not Started", "fabric_status": None, "fabric_health": None}, "Not Started"),
    ],
)
def test_a_fabric_that_is_not_whole(h200: Inventory, change: dict[str, Any], found: str) -> None:
    gpus = [*h200.gpus[:5], replace(h200.gpus[5], **change), *h200.gpus[6:]]
    (check,) = failed(replace(h200, gpus=tuple(gpus)), fabric=True)
    assert (check.where, check.found) == (f"host, {h200.gpus[5].words}", found)


# ------------------------------------------------------------ a container beside its host


def test_a_container_that_sees_what_the_host_sees(h200: Inventory) -> None:
    check = same_gpus(h200, h200, "Look.")
    assert (check.ok, check.expected, check.found, check.hint) == (True, "the host's 8", "8", None)


def test_what_a_container_lacks_is_named(h200: Inventory) -> None:
    check = same_gpus(h200, replace(h200, gpus=h200.gpus[:6]), "Look.")
    assert (check.ok, check.hint) == (False, "Look.")
    assert check.found == f"6, without {h200.gpus[6].words}, {h200.gpus[7].words}"


def test_what_only_a_container_sees_is_named(h200: Inventory, card: Inventory) -> None:
    check = same_gpus(replace(h200, gpus=h200.gpus[:1]), replace(h200, gpus=(h200.gpus[0], *card.gpus)), "Look.")
    assert not check.ok
    assert check.found == f"2, with {card.gpus[0].words}, which the host does not show"


def test_a_gpu_that_is_lost_on_the_host_is_not_missed_in_a_container(smi_text: Any) -> None:
    host = inventory(15, smi_text("h200_lost.xml"))
    assert same_gpus(host, replace(host, gpus=host.usable), "Look.").ok


# ------------------------------------------------------------ the message


def test_the_table_has_a_line_for_each_failure_and_each_hint_once() -> None:
    checks = [
        Check("driver", "host", "answers", "answers, 590.48.01", True),
        Check("count", "host", "8", "7", False, hint="Look at the bus."),
        Check("persistence", "host, GPU 3 (GPU-3)", "on", "off", False, (3,), "Start the daemon."),
        Check("persistence", "host, GPU 5 (GPU-5)", "on", "not supported", False, (5,), "Start the daemon."),
    ]
    assert table(checks).splitlines() == [
        "  CHECK        WHERE                EXPECTED  FOUND",
        "  count        host                 8         7",
        "  persistence  host, GPU 3 (GPU-3)  on        off",
        "  persistence  host, GPU 5 (GPU-5)  on        not supported",
        "What to do:",
        "- count: Look at the bus.",
        "- persistence: Start the daemon.",
    ]
