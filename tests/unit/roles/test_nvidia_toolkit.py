"""What the role nvidia_toolkit makes of a host: what stands in the way, whether it installs, and what it configures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[3]
VARIABLES = [
    "roles/llm_monitor/defaults/main/settings.yml",
    "roles/llm_monitor/defaults/main/versions.yml",
    "roles/nvidia_toolkit/defaults/main.yml",
    "roles/nvidia_toolkit/vars/main.yml",
]
RUNTIME = {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}}
H200 = {"index": 0, "name": "NVIDIA H200", "persistence_enabled": True}
VLLM = {"name": "vllm", "id": "4f1c", "gpu": "device request for all GPUs"}


@dataclass
class Host:
    """A host with eight GPUs, a driver and an engine, but for what is said, and what the role must make of it."""

    problems: list[str] = field(default_factory=list)
    wanted: bool = True
    daemon: dict[str, Any] = field(default_factory=lambda: RUNTIME)
    gpus: int = 8
    pci_gpus: int = 8
    driver: str = "570.86.15"
    problem: str | None = None
    toolkit: str = ""
    engine: str | None = "26.1.5+dfsg1"
    users: list[dict[str, str]] = field(default_factory=list)
    manager: str = "systemd"
    family: str = "Debian"
    settings: dict[str, Any] = field(default_factory=dict)

    def variables(self) -> dict[str, Any]:
        engine = {"gpu_containers": self.users, **({"version": self.engine} if self.engine else {})}
        return {
            "__nvidia_toolkit_gpus": {
                "gpus": [H200] * self.gpus,
                "pci_gpus": self.pci_gpus,
                "driver_version": self.driver,
                "problem": self.problem,
            },
            "__nvidia_toolkit_ctk": {"stdout": f"NVIDIA Container Toolkit CLI version {self.toolkit}\ncommit: 09ceee5"}
            if self.toolkit
            else {"rc": 2, "msg": "No such file or directory: b'nvidia-ctk'"},
            "__nvidia_toolkit_engine": engine,
            "ansible_facts": {"service_mgr": self.manager, "os_family": self.family},
            **self.settings,
        }


CDI = {"llm_monitor_gpu_access": "cdi"}
KEPT = {"nvidia_toolkit_source": "none"}
HOSTS = {
    "bare": Host(),
    "current": Host(wanted=False, toolkit="1.20.1"),
    "newer": Host(wanted=False, toolkit="1.21.0"),
    "older": Host(toolkit="1.9.0"),
    "no-driver": Host(
        ["8 NVIDIA GPUs, but no driver that works: It is not loaded.", "nvidia_toolkit_driver_packages"],
        gpus=0,
        driver="",
        problem="It is not loaded.",
    ),
    "driver-asked-for": Host(gpus=0, settings={"nvidia_toolkit_driver_packages": ["nvidia-driver"]}),
    "old-driver": Host(["The driver is 470.256.02; it must be 535 or later"], driver="470.256.02"),
    "old-driver-asked": Host(
        ["The driver is 570.86.15; it must be 580 or later"], settings={"nvidia_toolkit_min_driver": "580"}
    ),
    "none-there": Host(["this host has no container toolkit (nvidia-ctk)"], wanted=False, settings=KEPT),
    "kept": Host(wanted=False, toolkit="1.17.8", settings=KEPT),
    "kept-too-old": Host(
        ["The container toolkit is 1.16.1; it must be 1.17.8 or later"], wanted=False, toolkit="1.16.1", settings=KEPT
    ),
    "cdi": Host(daemon={"features": {"cdi": True}}, settings=CDI),
    "cdi-by-itself": Host(daemon={}, engine="28.2.2", settings=CDI),
    "cdi-engine-to-come": Host(daemon={}, engine=None, settings=CDI),
    "cdi-too-early": Host(
        ["the Docker engine is 20.10.24+dfsg1, and CDI needs 25 or later"],
        daemon={"features": {"cdi": True}},
        engine="20.10.24+dfsg1",
        settings=CDI,
    ),
    "in-use": Host(
        [
            "The container toolkit 1.20.1 would be installed (1.17.8 is there)",
            "these are running: vllm (device request for all GPUs).",
            "llm_monitor_allow_docker_restart",
            "set nvidia_toolkit_source to none",
        ],
        toolkit="1.17.8",
        users=[VLLM],
    ),
    "in-use-bare": Host(["would be installed (there is none)"], users=[VLLM]),
    "in-use-allowed": Host(users=[VLLM], settings={"llm_monitor_allow_docker_restart": True}),
    "in-use-current": Host(wanted=False, toolkit="1.20.1", users=[VLLM]),
    "in-use-without-systemd": Host(users=[VLLM], manager="docker-init"),
    "red-hat": Host(family="RedHat"),
}


def told(host: Host, name: str) -> Any:
    """Return a variable that the role computes for a host."""
    loader = DataLoader()
    variables = {}
    for path in VARIABLES:
        variables.update(loader.load_from_file(str(ROOT / path), trusted_as_template=True))
    variables.update(host.variables())
    return Templar(loader, variables=variables).template(variables[name])


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_what_stands_in_the_way_is_told(host: Host) -> None:
    problems = told(host, "nvidia_toolkit_problems") or ""
    assert problems.count("- ") == bool(host.problems), problems
    words = " ".join(problems.split())
    assert [part for part in host.problems if part not in words] == [], words


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_toolkit_is_installed_where_it_is_missing_or_older(host: Host) -> None:
    assert told(host, "nvidia_toolkit_wanted") is host.wanted


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_engine_is_told_what_it_needs(host: Host) -> None:
    assert told(host, "nvidia_toolkit_daemon_settings") == host.daemon


def test_problems_are_told_together() -> None:
    host = Host(driver="470.256.02", engine="20.10.24", settings={**KEPT, **CDI})
    assert told(host, "nvidia_toolkit_problems").count("- ") == 3


def test_one_release_is_asked_for_in_one_version() -> None:
    assert told(HOSTS["bare"], "nvidia_toolkit_release") == [
        "nvidia-container-toolkit=1.20.1-1",
        "nvidia-container-toolkit-base=1.20.1-1",
        "libnvidia-container-tools=1.20.1-1",
        "libnvidia-container1=1.20.1-1",
    ]
    assert told(HOSTS["red-hat"], "nvidia_toolkit_release")[0] == "nvidia-container-toolkit-1.20.1-1"


@pytest.mark.parametrize(("gpus", "pci_gpus", "in_sight"), [(8, 8, 8), (0, 8, 8), (8, 0, 8), (7, 8, 8), (0, 0, 0)])
def test_gpu_is_in_sight_when_driver_or_bus_have_it(gpus: int, pci_gpus: int, in_sight: int) -> None:
    assert told(Host(gpus=gpus, pci_gpus=pci_gpus), "nvidia_toolkit_in_sight") == in_sight
