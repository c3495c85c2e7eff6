"""What the JSON API tells of the servers, made of one survey."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_monitor.base.docker.gpus import Assignment
from llm_monitor.vllm.facts import Reading
from llm_monitor.vllm.sharing import Gpu, shares

Told = dict[str, Any]
Uses = Mapping[str, Assignment]
Memory = Mapping[str, Mapping[str, int]]

_BYTES_PER_GB = 1e9
_NONE = Assignment("none")


def containers(
    readings: Iterable[Reading], uses: Uses, memory: Memory, *, now: float
) -> list[Told]:
    """Return each server as it is `now`, Unix time.

    GPU memory is in units of 10^9 bytes, None where nothing tells it.
    """
    return [_container(one, uses, memory, now) for one in readings]


def models(readings: Iterable[Reading]) -> list[Told]:
    """Return each model that a server serves, adapters included, and who serves it."""
    told: dict[str, Told] = {}
    for reading in readings:
        served = {one.name: one for one in reading.models}
        for name in dict.fromkeys([*reading.metered, *served]):
            model = served.get(name)
            one = told.setdefault(
                name,
                {
                    "model_name": name,
                    "parent": (model and model.parent) or None,
                    "max_model_length": model and model.max_length,
                    "containers": [],
                },
            )
            one["containers"].append({"container_name": reading.server.name, "up": reading.up})
    return [told[name] for name in sorted(told)]


def gpu_map(readings: Iterable[Reading], uses: Uses, memory: Memory) -> list[Told]:
    """Return each GPU that a server uses, with the models on it; by its index if that is known."""
    told: dict[Gpu, Told] = {}
    for share in shares(readings, uses):
        gpu = told.setdefault(
            share.gpu,
            {"gpu_uuid": share.gpu.uuid or None, "gpu_index": share.gpu.index, "models": []},
        )
        used = memory.get(share.container_id, {}).get(share.gpu.uuid)
        gpu["models"].append(
            {
                "model_name": share.model or None,
                "container_name": share.container,
                "ratio": share.ratio,
                "memory_used_gb": _gigabytes(used),
                "method": uses[share.container_id].method,
            }
        )
    return list(told.values())


def _container(reading: Reading, uses: Uses, memory: Memory, now: float) -> Told:
    container = reading.server.container
    use = uses.get(container.id, _NONE) if container and reading.server.running else _NONE
    used = memory.get(container.id, {}) if container else {}
    return {
        "container_name": reading.server.name,
        "container_id": container.id if container else None,
        "image": container.image if container else None,
        "version": reading.version or None,
        "model_name": reading.metered[0] if reading.metered else None,
        "models": [one.name for one in reading.models] or list(reading.metered),
        "gpu_indices": list(use.indexes),
        "gpu_method": use.method,
        "gpu_memory_used_gb": _gigabytes(sum(used.values()) if used else None),
        "status": reading.status,
        "uptime_seconds": _uptime(reading, now),
    }


def _uptime(reading: Reading, now: float) -> float | None:
    if not reading.server.running:
        return None
    container = reading.server.container
    started = reading.started or (container.started if container else None)
    return None if started is None else round(max(0.0, now - started), 3)


def _gigabytes(size: int | None) -> float | None:
    return None if size is None else round(size / _BYTES_PER_GB, 3)
