"""NVML by a played pynvml: what it tells, lacks and loses, asked in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _gpu_nvml
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import Gpu, Inventory, MigDevice, Pcie
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_source import by_nvml

# Answers by function and handle: a GPU's handle is its index, that of its MIG device "mig0". What has no answer is not
# supported; an integer below zero is an error.
BINDING = """
import ctypes, time
from types import SimpleNamespace

class NVMLError(Exception):
    def __init__(self, value):
        super().__init__({15: "GPU is lost", 12: "NVML Shared Library Not Found"}.get(value, "no"))
        self.value = value

NVML_NVLINK_MAX_LINKS = 4
ANSWERS = %r

class c_nvmlGpuFabricInfo_t(ctypes.Structure):
    _fields_ = [("status", ctypes.c_uint), ("state", ctypes.c_ubyte)]

def give(name, *arguments):
    answer = ANSWERS.get((name, *arguments), -3)
    if isinstance(answer, int) and answer < 0:
        raise NVMLError(-answer)
    return SimpleNamespace(**answer) if isinstance(answer, dict) else answer

def nvmlDeviceGetGpuFabricInfo(handle, info):
    info._obj.status, info._obj.state = give("DeviceGetGpuFabricInfo", handle)
    return 0

def nvmlInit():
    time.sleep(ANSWERS.get("hang", 0))
    give("Init")

def __getattr__(name):
    if not name.startswith("nvml") or name == "nvmlDeviceGetMaxPcieLinkWidth":
        raise AttributeError(name)
    return lambda *arguments: give(name[4:], *arguments)
"""
DRIVER: dict[Any, Any] = {
    ("Init",): 0,
    ("SystemGetDriverVersion",): b"590.48.01",
    ("SystemGetCudaDriverVersion_v2",): 13010,
}
H200: dict[Any, Any] = {
    ("DeviceGetHandleByIndex", 0): 0,
    ("DeviceGetPciInfo", 0): {"busId": b"00000000:1B:00.0"},
    ("DeviceGetUUID", 0): b"GPU-0",
    ("DeviceGetName", 0): "NVIDIA H200",
    ("DeviceGetMemoryInfo", 0): {"total": 150754820096},
    ("DeviceGetSerial", 0): "1650724010000",
    ("DeviceGetVbiosVersion", 0): "96.00.A5.00.03",
    ("DeviceGetEccMode", 0): [1, 1],
    ("DeviceGetPersistenceMode", 0): 1,
    ("DeviceGetEnforcedPowerLimit", 0): 700000,
    ("DeviceGetCurrPcieLinkGeneration", 0): 5,
    ("DeviceGetMaxPcieLinkGeneration", 0): 5,
    ("DeviceGetCurrPcieLinkWidth", 0): 16,
    ("DeviceGetMigMode", 0): [0, 0],
    ("DeviceGetNvLinkState", 0, 0): 1,
    ("DeviceGetNvLinkState", 0, 1): 0,
    ("DeviceGetNvLinkState", 0, 2): 1,
    ("DeviceGetGpuFabricInfo", 0): (0, 3),
}
ALL_OF_H200 = Gpu(
    index=0,
    uuid="GPU-0",
    name="NVIDIA H200",
    memory_total_bytes=150754820096,
    pci_bus_id="00000000:1B:00.0",
    serial="1650724010000",
    vbios="96.00.A5.00.03",
    ecc_enabled=True,
    mig_enabled=False,
    persistence_enabled=True,
    power_limit_watts=700.0,
    pcie=Pcie(5, 5, 16, None),
    nvlinks_active=2,
    fabric_state="Completed",
    fabric_status="Success",
)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that asks a binding which gives these answers."""

    def run(answers: dict[Any, Any], timeout: float = 30) -> Inventory:
        (tmp_path / "pynvml.py").write_text(BINDING % (answers,))
        monkeypatch.syspath_prepend(str(tmp_path))
        return by_nvml(timeout)

    return run


def test_all_that_is_known_of_a_gpu_is_told(ask: Any) -> None:
    found = ask({**DRIVER, ("DeviceGetCount",): 1, **H200})
    assert found == Inventory("nvml", "590.48.01", "13.1", (ALL_OF_H200,))


def test_what_is_not_supported_is_left_out(ask: Any) -> None:
    found = ask(
        {**DRIVER, ("DeviceGetCount",): 1, ("DeviceGetHandleByIndex", 0): 0, ("DeviceGetGpuFabricInfo", 0): (3, 0)}
    )
    assert found.gpus == (Gpu(index=0),)
    assert found.problem is None


def test_mig_devices_are_told(ask: Any) -> None:
    mig = {
        ("DeviceGetMigMode", 0): [1, 1],
        ("DeviceGetMaxMigDeviceCount", 0): 7,
        ("DeviceGetMigDeviceHandleByIndex", 0, 2): "mig0",
        ("DeviceGetUUID", "mig0"): "MIG-0",
        ("DeviceGetName", "mig0"): "NVIDIA H200 MIG 3g.71gb",
        ("DeviceGetGpuInstanceId", "mig0"): 2,
        ("DeviceGetMemoryInfo", "mig0"): {"total": 74088185856},
    }
    (gpu,) = ask({**DRIVER, ("DeviceGetCount",): 1, **H200, **mig}).gpus
    assert (gpu.mig_enabled, gpu.mig_devices) == (True, (MigDevice(2, "MIG-0", "3g.71gb", 2, 74088185856),))


@pytest.mark.parametrize(
    ("lost", "name"),
    [
        ({("DeviceGetHandleByIndex", 1): -15}, None),
        ({("DeviceGetHandleByIndex", 1): 1, ("DeviceGetMemoryInfo", 1): -15}, "A"),
    ],
)
def test_a_lost_gpu_has_an_error_and_the_others_are_told(ask: Any, lost: dict[Any, Any], name: str | None) -> None:
    found = ask({**DRIVER, ("DeviceGetCount",): 2, **H200, ("DeviceGetName", 1): b"A", **lost})
    assert found.gpus == (ALL_OF_H200, Gpu(index=1, name=name, error="GPU is lost"))


@pytest.mark.parametrize(
    ("answers", "source", "kind"),
    [
        ({("Init",): -9}, "nvml", "not_loaded"),
        ({("Init",): -12}, "none", "no_driver"),
        ({("Init",): -77}, "nvml", "failed"),
        ({**DRIVER, ("DeviceGetCount",): 0}, "nvml", "no_gpu"),
        (5, "nvml", "failed"),
    ],
)
def test_an_nvml_that_can_not_be_asked_is_a_problem(ask: Any, answers: Any, source: str, kind: str) -> None:
    found = ask(answers)
    assert (found.gpus, found.source, found.problem.kind) == ((), source, kind)
    assert "\n" not in found.problem.text


def test_an_nvml_that_hangs_is_given_up(ask: Any) -> None:
    start = time.monotonic()
    found = ask({"hang": 60, **DRIVER}, timeout=1)
    assert time.monotonic() - start < 10
    assert found.problem.text == "NVML did not answer within 1 s: the driver or a GPU hangs."


def test_the_binding_is_looked_for_and_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pynvml.py").write_text("raise SystemExit('opened')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _gpu_nvml.is_there()
