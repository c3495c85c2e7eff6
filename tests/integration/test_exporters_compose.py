# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""How the exporters' container that looks at GPUs gets at them, as Compose itself reads what the role has written."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Place = Callable[..., Any]
SOCKET = "/var/run/docker.sock"
SIMULATED = "/srv/fake-nvml"


@pytest.fixture
def gpu_exporter(place: Place) -> Callable[..., dict[str, Any]]:
    """Return a function that gives the service as it is with the given variables."""

    def run(**variables: Any) -> dict[str, Any]:
        placed = place("exporters", **variables)
        command = ["docker", "compose", "--project-name=test", "--file=compose.yaml", "config", "--format=json"]
        done = subprocess.run(command, cwd=placed.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        service: dict[str, Any] = json.loads(done.stdout)["services"]["gpu-exporter"]
        return service

    return run


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {volume["target"]: (volume["source"], volume.get("read_only", False)) for volume in service["volumes"]}


def test_simulated_gpus_need_no_access_to_real_ones(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(llm_monitor_gpu_library=SIMULATED)
    assert not {"runtime", "deploy", "devices", "group_add"} & set(service)
    assert mounts(service)["/opt/simulated-gpus"] == (SIMULATED, True)
    assert service["environment"]["LD_LIBRARY_PATH"] == "/opt/simulated-gpus"
    assert not [name for name in service["environment"] if name.startswith("NVIDIA")]


def test_nvidias_runtime_gives_access(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(llm_monitor_gpu_library="")
    assert service["runtime"] == "nvidia"
    assert service["environment"]["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert service["environment"]["NVIDIA_DRIVER_CAPABILITIES"] == "utility"
    assert "LD_LIBRARY_PATH" not in service["environment"]
    assert set(mounts(service)) == {"/etc/llm-monitor", "/run/secrets"}
    assert "deploy" not in service


def test_cdi_gives_access(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(llm_monitor_gpu_library="", llm_monitor_gpu_access="cdi")
    (request,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (request["driver"], request["device_ids"]) == ("cdi", ["nvidia.com/gpu=all"])
    # Compose's own limits are not lost by what is reserved.
    assert (service["mem_limit"], service["cpus"]) == ("134217728", 0.5)
    assert "runtime" not in service
    assert not [name for name in service["environment"] if name.startswith("NVIDIA")]


def test_docker_is_asked_for_names_only_if_its_socket_is_given(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    service = gpu_exporter(exporters_docker_socket=SOCKET, exporters_gpu_expected=8)
    assert mounts(service)["/run/docker.sock"] == (SOCKET, True)
    assert service["group_add"] == [str(os.stat(SOCKET).st_gid)]
    assert service["environment"]["LLM_MONITOR_GPU__DOCKER"] == "/run/docker.sock"


def test_socket_that_is_not_there_is_refused(gpu_exporter: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(AssertionError, match=r"exporters_docker_socket is /nowhere\.sock: no socket is there"):
        gpu_exporter(exporters_docker_socket="/nowhere.sock")
