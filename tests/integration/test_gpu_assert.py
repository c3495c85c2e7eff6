# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""gpu_assert on a real engine: containers with a played nvidia-smi, and how an engine without GPUs refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _gpu_probe, _gpu_source
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import RUN_LABELS, DockerClient
from ansible_collections.llmops.monitoring.plugins.modules import gpu_assert
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

RECORDED = Path(__file__).parents[1] / "unit/plugins/fixtures/nvidia_smi"
PROGRAMS = ("sh", "cat", "sleep")
CLOCK = "\t\t\t\t<supported_graphics_clock>1980 MHz</supported_graphics_clock>\n"
# As many lines as eight GPUs print that tell all clocks that they support.
REPORT = (RECORDED / "h200_8.xml").read_text().replace("\t</gpu>\n", f"{CLOCK * 500}\t</gpu>\n")
PLAYED = """#!/bin/sh
case "$*" in
  "-q -x") cat /report ;;
  "nvlink -s") cat /nvlinks ;;
esac
test -z "$HANG" || sleep 60
"""
INSIDE_ONLY = """#!/bin/sh
test "$NVIDIA_VISIBLE_DEVICES $NVIDIA_DRIVER_CAPABILITIES" = "all utility" || exit 9
test "$(cat /proc/net/dev | while read line; do case "$line" in *eth0*) echo eth0 ;; esac; done)" = "" || exit 9
(echo >/x) 2>/dev/null && exit 9
"""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Return an image with a shell and an nvidia-smi that prints eight H200, and remove it in the end."""
    played = INSIDE_ONLY + PLAYED.partition("\n")[2]
    files = {
        "bin/nvidia-smi": played,
        "report": REPORT,
        "nvlinks": (RECORDED / "h200_8_nvlink.txt").read_text(),
        # A mount point must be there, for the root is read-only.
        "tmp/.keep": "",
    }
    with imported("nvidia-smi", PROGRAMS, files) as reference:
        yield reference


@pytest.fixture(autouse=True)
def nothing_is_left(client: DockerClient) -> Iterator[None]:
    """Whatever a test does, no container of ours may be left behind."""
    filters = {"label": [f"{name}={value}" for name, value in RUN_LABELS.items()]}
    before = {one["Id"] for one in client.containers(include_stopped=True, filters=filters)}
    yield
    assert {one["Id"] for one in client.containers(include_stopped=True, filters=filters)} <= before


@pytest.fixture
def check(run_module: Any, client: DockerClient, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs the module for a container, on a host that plays eight H200."""
    host = tmp_path / "nvidia-smi"
    host.write_text(PLAYED.replace("/report", str(RECORDED / "h200_8.xml")).replace("/nvlinks", "/dev/null"))
    host.chmod(0o755)
    monkeypatch.setattr(_gpu_source, "PCI_DEVICES", tmp_path / "none")

    def run(**options: Any) -> Any:
        given = {"where": "container", "image": image, "nvidia_smi": str(host), "socket_path": client.socket_path}
        return run_module(gpu_assert.main, {**given, **options})

    return run


@pytest.fixture
def without_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let containers start on an engine that has no toolkit; all else stays as it is."""
    monkeypatch.setitem(_gpu_probe._HOST_CONFIGS, "runtime", {"Runtime": "runc"})


@pytest.mark.usefixtures("without_toolkit")
def test_a_container_tells_all_of_eight_gpus(check: Any) -> None:
    assert REPORT.count("\n") > 4000
    result = check(count=8, name="H200", ecc=True, nvlinks=16)
    assert not result["failed"], result.get("msg")
    assert [gpu["nvlinks_active"] for gpu in result["gpus"]] == [18, 18, 18, 18, 18, 16, 18, 18]
    assert result["checks"][-1]["found"] == "8"


@pytest.mark.usefixtures("without_toolkit")
def test_a_container_that_hangs_is_removed(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = [*_gpu_probe._ENVIRONMENTS["runtime"], "HANG=1"]
    monkeypatch.setitem(_gpu_probe._ENVIRONMENTS, "runtime", environment)
    result = check(timeout=2)
    assert "nvidia-smi -q -x in a container did not end within 2 s." in result["msg"]


@pytest.mark.usefixtures("without_toolkit")
def test_an_image_without_the_driver_is_told(check: Any) -> None:
    with imported("bare", PROGRAMS, {"tmp/.keep": ""}) as reference:
        result = check(image=reference)
    assert "The driver's programs, such as nvidia-smi, did not get into the container" in result["msg"]


@pytest.mark.parametrize(
    ("access", "host_config", "meaning"),
    [
        ("runtime", {"Runtime": "none-of-nvidia"}, "The Docker engine does not know the runtime nvidia"),
        (
            "device_request",
            {"DeviceRequests": [{"Driver": "none-of-nvidia", "Count": -1, "Capabilities": [["gpu"]]}]},
            "The Docker engine finds no container toolkit",
        ),
        (
            "cdi",
            {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=none"]}]},
            "The Docker engine knows no CDI|No CDI specification names the GPUs",
        ),
    ],
)
def test_an_engine_that_can_not_give_gpus_says_what_it_lacks(
    check: Any, monkeypatch: pytest.MonkeyPatch, access: str, host_config: dict[str, Any], meaning: str
) -> None:
    # Names that no engine knows, so that this holds on a machine with GPUs too.
    monkeypatch.setitem(_gpu_probe._HOST_CONFIGS, access, host_config)
    result = check(gpu_access=access)
    assert result["failed"]
    assert re.search(rf"driver +container +answers +({meaning}) \(", result["msg"]), result["msg"]
