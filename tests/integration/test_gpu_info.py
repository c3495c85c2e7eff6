# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""gpu_info on hosts without nvidia-smi: the real pynvml over a library that plays GPUs."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _gpu_source, _programs
from ansible_collections.llmops.monitoring.plugins.modules import gpu_info

BUILD = Path(__file__).parents[2] / "files/exporters/tests/fake_nvml/build.sh"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a libnvidia-ml.so.1 that plays what its file `state` says."""
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run([BUILD, folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def ask(run_module: Any, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs the module on a host with such GPUs."""
    monkeypatch.setattr(_programs, "find", lambda _module, _name: None)
    monkeypatch.setattr(_gpu_source, "PCI_DEVICES", tmp_path / "none")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    monkeypatch.setenv("FAKE_NVML_STATE", str(tmp_path / "state"))

    def run(*state: str, **options: Any) -> Any:
        (tmp_path / "state").write_text("".join(f"{line}\n" for line in state))
        return run_module(gpu_info.main, options)

    return run


def test_eight_h200_without_nvidia_smi(ask: Any) -> None:
    found = ask("model = h200", "count = 8")
    assert (found["source"], found["problem"], found["driver_version"]) == ("nvml", None, "590.48.01")
    assert (found["cuda_version"], len(found["gpus"])) == ("13.1", 8)
    assert found["gpus"][1] == {
        "index": 1,
        "uuid": "GPU-fa4e0000-0000-4000-8000-000000000001",
        "name": "NVIDIA H200",
        "memory_total_bytes": 150754820096,
        "pci_bus_id": "00000000:43:00.0",
        "serial": "1650023000001",
        "vbios": "96.00.A5.00.03",
        "ecc_enabled": True,
        "mig_enabled": False,
        "mig_devices": [],
        "persistence_enabled": True,
        "power_limit_watts": 700.0,
        "pcie": {"generation": 5, "generation_max": 5, "width": 16, "width_max": 16},
        "nvlinks_active": 18,
        "fabric_state": "Completed",
        "fabric_status": "Success",
        "fabric_health": None,
        "error": None,
    }


def test_a_split_gpu(ask: Any) -> None:
    part = ["mig.0.profile = 3g.71gb", "mig.0.gpu_instance = 2", "mig.0.memory_total = 71424MiB"]
    (gpu,) = ask("model = h200", "count = 1", "gpu.0.mig_mode = 1", *(f"gpu.0.{line}" for line in part))["gpus"]
    assert gpu["mig_enabled"]
    assert gpu["mig_devices"] == [
        {
            "index": 0,
            "uuid": "MIG-fa4e0000-0000-4000-8000-000000000000",
            "profile": "3g.71gb",
            "gpu_instance": 2,
            "memory_total_bytes": 71424 * 1024**2,
        }
    ]


def test_a_lost_gpu_does_not_hide_the_others(ask: Any) -> None:
    found = ask("model = h200", "count = 3", "gpu.1.error = GPU_IS_LOST")
    assert [gpu["error"] for gpu in found["gpus"]] == [None, "GPU is lost", None]
    assert [gpu["name"] for gpu in found["gpus"]] == ["NVIDIA H200", None, "NVIDIA H200"]
    assert found["problem"] is None


def test_what_a_gpu_does_not_support_is_left_out(ask: Any) -> None:
    calls = (
        "DeviceGetEccMode",
        "DeviceGetMigMode",
        "DeviceGetNvLinkState",
        "DeviceGetSerial",
        "DeviceGetGpuFabricInfo",
    )
    (gpu,) = ask("model = h200", "count = 1", *(f"call.nvml{name}.error = NOT_SUPPORTED" for name in calls))["gpus"]
    untold = ("ecc_enabled", "mig_enabled", "nvlinks_active", "serial", "fabric_state", "error")
    assert [gpu[name] for name in untold] == [None] * 6
    assert gpu["memory_total_bytes"] == 150754820096


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("DRIVER_NOT_LOADED", "The NVIDIA driver is installed, but not loaded into the kernel (exit code 9:"),
        ("LIB_RM_VERSION_MISMATCH", "of another version than its programs and libraries (exit code 18:"),
    ],
)
def test_a_driver_that_does_not_answer(ask: Any, error: str, problem: str) -> None:
    found = ask("model = h200", f"call.nvmlInitWithFlags.error = {error}")
    assert (found["failed"], found["source"], found["gpus"]) == (False, "nvml", [])
    assert problem in found["problem"]


def test_a_driver_that_hangs_is_given_up(ask: Any) -> None:
    start = time.monotonic()
    found = ask("model = h200", "call.nvmlDeviceGetName.hang = 60", timeout=2)
    assert time.monotonic() - start < 15
    assert found["problem"] == "NVML did not answer within 2 s: the driver or a GPU hangs."
