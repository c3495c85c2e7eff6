"""Every way in which a container can get a GPU, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_containers import gpu_containers, gpu_use


def inspection(*, env: list[str] | None = None, mounts: list[dict[str, Any]] | None = None, **host: Any) -> Any:
    return {"Id": "4f1c" * 16, "Name": "/vllm", "Config": {"Env": env}, "Mounts": mounts, "HostConfig": host}


@pytest.mark.parametrize(
    ("container", "use"),
    [
        pytest.param(
            inspection(DeviceRequests=[{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]),
            "device request for all GPUs",
            id="docker run --gpus all",
        ),
        pytest.param(
            inspection(DeviceRequests=[{"Driver": "nvidia", "Count": 2, "DeviceIDs": None, "Capabilities": None}]),
            "device request for 2 GPUs",
            id="driver nvidia with a count",
        ),
        pytest.param(
            inspection(DeviceRequests=[{"Driver": "nvidia", "Count": 0, "DeviceIDs": ["0", "3"], "Capabilities": []}]),
            "device request for 0, 3",
            id="driver nvidia with device ids",
        ),
        pytest.param(
            inspection(
                DeviceRequests=[{"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=0"], "Capabilities": None}]
            ),
            "device request for nvidia.com/gpu=0",
            id="docker run --device nvidia.com/gpu=0",
        ),
        pytest.param(
            inspection(Runtime="nvidia", env=["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=GPU-1f"]),
            "runtime nvidia with NVIDIA_VISIBLE_DEVICES=GPU-1f",
            id="nvidia runtime with visible devices",
        ),
        pytest.param(
            inspection(Runtime="nvidia-cdi", env=["NVIDIA_VISIBLE_DEVICES=all"]),
            "runtime nvidia-cdi with NVIDIA_VISIBLE_DEVICES=all",
            id="another of the toolkit's runtimes",
        ),
        pytest.param(
            inspection(Runtime="nvidia", mounts=[{"Destination": "/var/run/nvidia-container-devices/all"}]),
            "runtime nvidia with a mount below /var/run/nvidia-container-devices/",
            id="devices named by a mount",
        ),
        pytest.param(
            inspection(Devices=[{"PathOnHost": "/dev/fuse"}, {"PathOnHost": "/dev/nvidia0"}]),
            "device /dev/nvidia0",
            id="docker run --device /dev/nvidia0",
        ),
        pytest.param(
            inspection(Binds=["/dev/nvidiactl:/dev/nvidiactl"]), "device /dev/nvidiactl", id="a bind of a device"
        ),
        pytest.param(
            inspection(Mounts=[{"Type": "bind", "Source": "/dev/nvidia-uvm"}]),
            "device /dev/nvidia-uvm",
            id="a mount of a device",
        ),
        pytest.param(
            inspection(Devices=[{"PathOnHost": "nvidia.com/gpu=all"}]),
            "device nvidia.com/gpu=all",
            id="a CDI name among the devices",
        ),
        pytest.param(
            inspection(Annotations={"cdi.k8s.io/x": "nvidia.com/gpu=1"}),
            "annotation cdi.k8s.io/x=nvidia.com/gpu=1",
            id="a CDI annotation",
        ),
        pytest.param(inspection(), None, id="a plain container"),
        pytest.param({"Id": "a"}, None, id="an inspection with nothing in it"),
        pytest.param(
            inspection(Runtime="nvidia", env=["PATH=/bin"]), None, id="nvidia runtime without visible devices"
        ),
        pytest.param(inspection(Runtime="nvidia", env=["NVIDIA_VISIBLE_DEVICES=void"]), None, id="void"),
        pytest.param(inspection(Runtime="nvidia", env=["NVIDIA_VISIBLE_DEVICES=none"]), None, id="none"),
        pytest.param(inspection(Runtime="nvidia", env=["NVIDIA_VISIBLE_DEVICES="]), None, id="empty"),
        pytest.param(inspection(Runtime="runc", env=["NVIDIA_VISIBLE_DEVICES=all"]), None, id="a CUDA image on runc"),
        pytest.param(inspection(Devices=[{"PathOnHost": "/dev/dri/card0"}]), None, id="another device"),
        pytest.param(
            inspection(DeviceRequests=[{"Driver": "cdi", "DeviceIDs": ["intel.com/npu=0"]}]),
            None,
            id="another CDI kind",
        ),
        pytest.param(
            inspection(Privileged=True, Binds=["/dev:/dev"]), None, id="a privileged container proves nothing"
        ),
        pytest.param(inspection(Annotations={"cdi.k8s.io/x": "intel.com/npu=1"}), None, id="another annotation"),
    ],
)
def test_gpu_use_is_told_from_the_inspection(container: Any, use: str | None) -> None:
    assert gpu_use(container) == use


@pytest.mark.parametrize(("value", "counts"), [("true", False), ("false", True)])
def test_container_that_may_lose_its_gpus_does_not_count(value: str, counts: bool) -> None:
    container = inspection(Runtime="nvidia", env=["NVIDIA_VISIBLE_DEVICES=all"])
    container["Config"]["Labels"] = {"llm-monitor.may-lose-gpus": value}
    assert bool(gpu_containers([container])) is counts


def test_gpu_containers_are_named_and_sorted() -> None:
    gpu = {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}
    found = gpu_containers(
        [
            {"Id": "b" * 64, "Name": "/vllm-b", "HostConfig": gpu},
            {"Id": "c" * 64, "Name": "/proxy", "HostConfig": {}},
            {"Id": "a" * 64, "Name": "/vllm-a", "HostConfig": gpu},
        ]
    )
    assert [(container["name"], container["id"][0]) for container in found] == [("vllm-a", "a"), ("vllm-b", "b")]
    assert {container["gpu"] for container in found} == {"device request for all GPUs"}
