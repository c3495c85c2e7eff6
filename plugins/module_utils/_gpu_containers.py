# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells from a container's inspection whether it uses a GPU, and by which way it got it.

There are several ways, because the NVIDIA container toolkit grew them one after the other:
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/ . A privileged container
sees every device and so proves nothing: it does not count.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_CDI_KIND = "nvidia.com/gpu"
_DEVICE_PREFIX = "/dev/nvidia"
_VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
# A mount below this folder names a GPU where the environment may not (accept-nvidia-visible-devices-as-volume-mounts).
_DEVICE_LIST_MOUNTS = "/var/run/nvidia-container-devices/"
# What only looks at GPUs, as our own exporter does, stands in nobody's way: it may lose them and starts again.
_MAY_LOSE_GPUS = "llm-monitor.may-lose-gpus"


def gpu_use(inspection: Mapping[str, Any]) -> str | None:
    """Return in a few words how a container got its GPUs, or None when it uses none.

    `inspection` is the Engine API's answer to `GET /containers/{id}/json`.
    """
    host: Mapping[str, Any] = inspection.get("HostConfig") or {}
    return (
        _by_device_request(host.get("DeviceRequests") or ())
        or _by_runtime(str(host.get("Runtime") or ""), inspection)
        or _by_device(host)
        or _by_annotation(host.get("Annotations") or {})
    )


def gpu_containers(inspections: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return name, id and the way of using it for each container that uses a GPU and must not lose it, by name."""
    found = []
    for inspection in inspections:
        use = gpu_use(inspection)
        labels: Mapping[str, str] = (inspection.get("Config") or {}).get("Labels") or {}
        if use is not None and labels.get(_MAY_LOSE_GPUS) != "true":
            name = str(inspection.get("Name") or inspection["Id"][:12]).lstrip("/")
            found.append({"name": name, "id": str(inspection["Id"]), "gpu": use})
    return sorted(found, key=lambda container: container["name"])


def _by_device_request(requests: Iterable[Mapping[str, Any]]) -> str | None:
    for request in requests:
        ids = [str(device) for device in request.get("DeviceIDs") or ()]
        capabilities = {name for group in request.get("Capabilities") or () for name in group}
        if request.get("Driver") == "nvidia" or "gpu" in capabilities:
            return f"device request for {', '.join(ids) or _count(request.get('Count'))}"
        cdi = [device for device in ids if device.startswith(_CDI_KIND)]
        if cdi:
            return f"device request for {', '.join(cdi)}"
    return None


def _count(count: Any) -> str:
    return f"{count} GPUs" if isinstance(count, int) and count > 0 else "all GPUs"


def _by_runtime(runtime: str, inspection: Mapping[str, Any]) -> str | None:
    if not runtime.startswith("nvidia"):
        return None
    environment: Iterable[str] = (inspection.get("Config") or {}).get("Env") or ()
    for entry in environment:
        name, _sign, value = entry.partition("=")
        if name == _VISIBLE_DEVICES and value not in ("", "void", "none"):
            return f"runtime {runtime} with {_VISIBLE_DEVICES}={value}"
    for mount in inspection.get("Mounts") or ():
        if str(mount.get("Destination") or "").startswith(_DEVICE_LIST_MOUNTS):
            return f"runtime {runtime} with a mount below {_DEVICE_LIST_MOUNTS}"
    return None


def _by_device(host: Mapping[str, Any]) -> str | None:
    devices = [str(device.get("PathOnHost") or "") for device in host.get("Devices") or ()]
    binds = [str(bind).partition(":")[0] for bind in host.get("Binds") or ()]
    mounts = [str(mount.get("Source") or "") for mount in host.get("Mounts") or ()]
    for path in [*devices, *binds, *mounts]:
        if path.startswith((_DEVICE_PREFIX, _CDI_KIND)):
            return f"device {path}"
    return None


def _by_annotation(annotations: Mapping[str, str]) -> str | None:
    for name, value in annotations.items():
        if name.startswith("cdi.k8s.io/") and _CDI_KIND in value:
            return f"annotation {name}={value}"
    return None
