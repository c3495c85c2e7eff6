"""The JSON API: the GPUs and the processes on them, as of the last seconds."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from llm_monitor.base.web.answers import UNAVAILABLE, Told, add_json
from llm_monitor.base.web.desk import Desk
from llm_monitor.gpu.containers import Owners
from llm_monitor.gpu.facts import (
    Activity,
    Gpu,
    Health,
    Identity,
    Load,
    Mig,
    NvLink,
    Power,
    Thermal,
)
from llm_monitor.gpu.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable

_TAG = "gpu"


def create_router(fleet: Fleet, containers: Owners) -> APIRouter:
    """Return the routes that tell of `fleet`; each asks at most once in a few seconds."""
    router = APIRouter(prefix="/api/v1", tags=[_TAG])

    desk = Desk("gpu-api", "the driver")

    # Plain functions, so that the framework calls them in threads: what they ask takes its time.
    def gpus() -> JSONResponse:
        return desk.answer("gpus", lambda: _gpus(fleet))

    def processes() -> JSONResponse:
        return desk.answer("processes", lambda: _processes(fleet, containers))

    for path, route, summary in (
        ("/gpus", gpus, "Each GPU: what it is, its state, and what it does not support."),
        ("/processes", processes, "Each process on a GPU: its program, memory and container."),
    ):
        add_json(router, path, route, summary, {UNAVAILABLE: "The driver can't be asked"})
    return router


def _gpus(fleet: Fleet) -> list[dict[str, Any]]:
    source = fleet.source
    told: dict[Gpu, Told] = {gpu: {"index": gpu.index, "uuid": gpu.uuid} for gpu in fleet.gpus()}
    chapters: list[tuple[str, Callable[[Gpu], Any], Callable[[Any], Told]]] = [
        ("identity", source.identity, _identity),
        ("load", source.load, _load),
        ("power", source.power, _power),
        ("thermal", source.thermal, _thermal),
        ("nvlink", source.nvlink, _nvlink),
        ("health", source.health, _health),
        ("activity", source.activity, _activity),
        ("mig", source.mig, _mig),
    ]
    for question, read, tell in chapters:
        for gpu, reading in fleet.recent(question, read):
            if gpu in told:
                told[gpu] |= tell(reading)
    for gpu, known in told.items():
        known |= {"trouble": dict(fleet.trouble(gpu)), "unsupported": source.unsupported(gpu)}
    return list(told.values())


def _processes(fleet: Fleet, containers: Owners) -> list[dict[str, Any]]:
    answers = fleet.recent("process", fleet.source.processes)
    found = [(gpu, one) for gpu, reading in answers for one in reading.processes or ()]
    owners = containers.of(process.pid for _, process in found)
    return [
        {
            "pid": process.pid,
            "name": containers.program(process.pid),
            "memory_used_bytes": process.memory,
            "utilization_ratio": process.utilization,
            "container": owners[process.pid].name if process.pid in owners else None,
            "container_id": owners[process.pid].id if process.pid in owners else None,
            "gpu": gpu.index,
            "gpu_uuid": gpu.uuid,
        }
        for gpu, process in found
    ]


def _identity(known: Identity) -> Told:
    return {
        "name": known.name,
        "driver": known.driver,
        "cuda": known.cuda,
        "vbios": known.vbios,
        "pci_bus_id": known.pci_bus_id,
    }


def _load(load: Load) -> Told:
    return {
        "utilization_ratio": load.utilization,
        "memory_controller_utilization_ratio": load.memory_controller,
        "memory_bytes": load.memory and load.memory._asdict(),
    }


def _power(power: Power) -> Told:
    return {
        "power_watts": power.watts,
        "power_limit_watts": power.limit,
        "energy_joules": power.energy,
    }


def _thermal(thermal: Thermal) -> Told:
    return {
        "temperature_celsius": thermal.temperatures,
        "clock_hertz": thermal.clocks,
        "throttled_by": [reason for reason, now in thermal.throttle_active.items() if now],
    }


def _nvlink(nvlink: NvLink) -> Told:
    return {"nvlink_links_active": nvlink.active}


def _health(health: Health) -> Told:
    return {
        "ecc_enabled": health.ecc_enabled,
        "recovery_action": health.recovery_action,
        "fabric_state": health.fabric_state,
        "fabric_faults": [aspect for aspect, fault in health.fabric_faults.items() if fault],
        "persistence_enabled": health.persistence,
    }


def _activity(activity: Activity) -> Told:
    return {"active_ratio": activity.ratios}


def _mig(mig: Mig) -> Told:
    return {
        "mig_devices": [
            {
                "uuid": one.uuid,
                "profile": one.profile,
                "gpu_instance": one.gpu_instance,
                "memory_bytes": one.memory and one.memory._asdict(),
                "utilization_ratio": one.utilization,
            }
            for one in mig.devices
        ]
    }
