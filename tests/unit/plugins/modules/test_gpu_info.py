"""gpu_info with a real program that prints what nvidia-smi printed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _gpu_nvml, _gpu_source, _programs
from ansible_collections.llmops.monitoring.plugins.modules import gpu_info

Ask = Any
LOADED = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.44.01  Release Build  (dvs-builder@U22-I3)\n"


@pytest.fixture
def ask(run_module: Any, nvidia_smi: Any) -> Ask:
    """Return a function that runs the module with the played nvidia-smi, or with other options."""

    def run(*, check_mode: bool = False, **options: Any) -> Any:
        return run_module(gpu_info.main, {"nvidia_smi": nvidia_smi.path, **options}, check_mode=check_mode)

    return run


@pytest.mark.parametrize("check_mode", [False, True])
def test_it_tells_all_of_eight_h200(ask: Ask, nvidia_smi: Any, smi_text: Any, check_mode: bool) -> None:
    nvidia_smi.has_pci_gpus(8)
    nvidia_smi.says("-q -x", smi_text("h200_8.xml"))
    nvidia_smi.says("nvlink -s", smi_text("h200_8_nvlink.txt"))
    found = ask(check_mode=check_mode)
    assert (found["failed"], found["changed"], found["problem"]) == (False, False, None)
    assert (found["source"], found["driver_version"], found["cuda_version"]) == ("nvidia-smi", "590.48.01", "13.1")
    assert (found["pci_gpus"], len(found["gpus"])) == (8, 8)
    assert found["gpus"][5] == {
        "index": 5,
        "uuid": "GPU-d0288b4c-0c8c-8224-9790-92fc3f7ee377",
        "name": "NVIDIA H200",
        "memory_total_bytes": 150754820096,
        "pci_bus_id": "00000000:C3:00.0",
        "serial": "1650724010685",
        "vbios": "96.00.A5.00.03",
        "ecc_enabled": True,
        "mig_enabled": False,
        "mig_devices": [],
        "persistence_enabled": True,
        "power_limit_watts": 700.0,
        "pcie": {"generation": 5, "generation_max": 5, "width": 16, "width_max": 16},
        "nvlinks_active": 16,
        "fabric_state": "Completed",
        "fabric_status": "Success",
        "fabric_health": "Healthy",
        "error": None,
    }
    assert nvidia_smi.calls() == ["-q -x", "nvlink -s"]


def test_mig_devices_are_named(ask: Ask, nvidia_smi: Any, smi_text: Any) -> None:
    nvidia_smi.says("-q -x", smi_text("a100_mig.xml"))
    nvidia_smi.says("-L", smi_text("a100_mig_list.txt"))
    nvidia_smi.says("nvlink -s", err="NVML: not supported\n", code=3)
    found = ask()
    assert [part["profile"] for part in found["gpus"][0]["mig_devices"]] == ["3g.20gb", "2g.10gb", "2g.10gb"]
    assert found["gpus"][0]["mig_devices"][0]["gpu_instance"] == 2
    assert [gpu["nvlinks_active"] for gpu in found["gpus"]] == [None, None]
    assert found["problem"] is None


def test_a_driver_that_is_not_loaded_is_told_with_the_gpus_that_are_there(
    ask: Ask, nvidia_smi: Any, smi_text: Any
) -> None:
    nvidia_smi.has_pci_gpus(8)
    nvidia_smi.says("-q -x", smi_text("not_loaded.txt"), code=9)
    found = ask()
    assert (found["failed"], found["gpus"], found["pci_gpus"]) == (False, [], 8)
    assert found["problem"].startswith("The NVIDIA driver is installed, but not loaded into the kernel (exit code 9:")
    assert (found["source"], found["driver_version"]) == ("nvidia-smi", None)
    assert nvidia_smi.calls() == ["-q -x"]


def test_a_mismatch_is_told_with_the_version_that_runs(ask: Ask, nvidia_smi: Any, smi_text: Any) -> None:
    _gpu_source.KERNEL_DRIVER.write_text(LOADED)
    nvidia_smi.says("-q -x", err=smi_text("mismatch.txt"), code=18)
    found = ask()
    assert "of another version than its programs and libraries" in found["problem"]
    assert found["problem"].endswith("Driver/library version mismatch NVML library version: 590.48).")
    assert found["driver_version"] == "590.44.01"


@pytest.mark.parametrize(("hanging", "gpus"), [("-q -x", 0), ("nvlink -s", 8)])
def test_an_nvidia_smi_that_hangs_is_given_up(
    ask: Ask, nvidia_smi: Any, smi_text: Any, hanging: str, gpus: int
) -> None:
    nvidia_smi.says("-q -x", smi_text("h200_8.xml"))
    nvidia_smi.says(hanging, first="sleep 60")
    start = time.monotonic()
    found = ask(timeout=1)
    assert time.monotonic() - start < 10
    assert (found["failed"], len(found["gpus"])) == (False, gpus)
    assert found["problem"] == f"{nvidia_smi.path} {hanging} did not end within 1 s: the driver or a GPU hangs."


def test_output_without_end_is_given_up(ask: Ask, nvidia_smi: Any) -> None:
    nvidia_smi.says("-q -x", first="exec cat /dev/zero")
    found = ask()
    assert found["problem"].endswith("-q -x prints more than 8 MiB, which is no report of GPUs.")


def test_a_program_that_is_not_there_is_named(ask: Ask, tmp_path: Path) -> None:
    found = ask(nvidia_smi=str(tmp_path / "none"))
    assert (found["failed"], found["gpus"]) == (False, [])
    assert found["problem"] == f"{tmp_path}/none can't be run: No such file or directory."


def test_nvidia_smi_is_found_on_the_path(
    run_module: Any, nvidia_smi: Any, smi_text: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi.says("-q -x", smi_text("rtx4090.xml"))
    nvidia_smi.says("nvlink -s")
    monkeypatch.setenv("PATH", str(nvidia_smi.folder), prepend=":")
    found = run_module(gpu_info.main, {})
    assert [gpu["name"] for gpu in found["gpus"]] == ["NVIDIA GeForce RTX 4090"]


# ------------------------------------------------------------ hosts without a driver


@pytest.fixture
def bare(nvidia_smi: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a host without nvidia-smi and without Python's pynvml."""
    monkeypatch.setattr(_programs, "find", lambda _module, _name: None)
    monkeypatch.setattr(_gpu_nvml, "is_there", lambda: False)
    return nvidia_smi


@pytest.mark.parametrize(
    ("gpus", "sentence"),
    [
        (0, "There is no NVIDIA GPU on the PCI bus, and no driver: "),
        (8, "The PCI bus has NVIDIA GPUs (8), but no driver is installed: "),
    ],
)
def test_no_gpu_is_told_from_no_driver(run_module: Any, bare: Any, gpus: int, sentence: str) -> None:
    bare.has_pci_gpus(gpus)
    found = run_module(gpu_info.main, {})
    assert (found["failed"], found["source"], found["gpus"]) == (False, "none", [])
    assert (found["pci_gpus"], found["driver_version"], found["cuda_version"]) == (gpus, None, None)
    assert found["problem"] == f"{sentence}the host has neither nvidia-smi nor the library of NVML."


def test_a_host_without_pci_bus_has_no_gpus_on_it(
    run_module: Any, bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gpu_source, "PCI_DEVICES", tmp_path / "none")
    assert run_module(gpu_info.main, {})["pci_gpus"] == 0


def test_only_whole_nvidia_gpus_are_counted(run_module: Any, bare: Any) -> None:
    bare.has_pci_gpus(2, kind="0x030200")
    bare.has_pci_gpus(1, kind="0x030000")
    bare.has_pci_gpus(4, kind="0x068000")  # NVSwitches
    bare.has_pci_gpus(1, kind="0x040300")  # a card's sound
    bare.has_pci_gpus(1, kind="0x030000", vendor="0x1a03")
    virtual, removed = bare.pci_devices / "0000:1b:00.4", bare.pci_devices / "0000:1b:00.5"
    for function in (virtual, removed):
        function.mkdir()
    (virtual / "vendor").write_text("0x10de\n")
    (virtual / "class").write_text("0x030200\n")
    (virtual / "physfn").symlink_to(bare.pci_devices / "0000:00:00.0")
    assert run_module(gpu_info.main, {})["pci_gpus"] == 3
