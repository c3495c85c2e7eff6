"""The GPU exporter's collectors: each asks all GPUs one kind of question."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from llm_monitor.base.collection.collector import Collector, Deadline
from llm_monitor.base.metrics.family import Family, Sample
from llm_monitor.gpu import metrics
from llm_monitor.gpu.containers import Owners
from llm_monitor.gpu.facts import (
    Activity,
    Gpu,
    Health,
    Identity,
    Load,
    Mig,
    NvLink,
    Pcie,
    Power,
    Processes,
    Thermal,
)
from llm_monitor.gpu.fleet import Fleet
from llm_monitor.gpu.rising import Rising
from llm_monitor.gpu.xids import Xids

Labels = tuple[str, str]
Read = Callable[[Gpu], Any]
Give = Callable[[Labels, Any], Iterator[Sample]]


@dataclass(frozen=True, slots=True)
class GpuCollector:
    """Asks all GPUs one kind of question.

    Attributes:
        name: The value of the label `collector`.
        families: What it gives.
        fleet: The GPUs.
        read: Asks one GPU.
        give: Turns its answer into samples.
    """

    name: str
    families: tuple[Family, ...]
    fleet: Fleet
    read: Read
    give: Give

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give what each GPU answers."""
        for gpu, reading in self.fleet.ask(self.name, self.read, deadline):
            yield from self.give((str(gpu.index), gpu.uuid), reading)


class PresenceCollector:
    """Says which GPUs there are, and whether all that was asked of each has been answered."""

    name = "presence"
    families = (metrics.GPUS, metrics.GPUS_EXPECTED, metrics.RESPONDING)

    def __init__(self, fleet: Fleet, expected: int) -> None:
        """Expect so many GPUs; 0 expects the most that have been seen."""
        self._fleet = fleet
        self._expected = expected

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        """Give how many GPUs there are and should be."""
        gpus = self._fleet.left()
        yield metrics.GPUS(len(gpus))
        yield metrics.GPUS_EXPECTED(self._expected or self._fleet.most)
        for gpu in gpus:
            yield metrics.RESPONDING(int(not self._fleet.trouble(gpu)), str(gpu.index), gpu.uuid)


class XidCollector:
    """Gives what the watcher of XIDs has counted."""

    name = "xid"
    families = (metrics.XID_ERRORS, metrics.XID_LAST)

    def __init__(self, fleet: Fleet, xids: Xids) -> None:
        """Give what `xids` counts, and 0 for hardware errors that none of `fleet` had."""
        self._fleet = fleet
        self._xids = xids

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        """Give each GPU's errors, those of a GPU that is lost by now as well."""
        for (gpu, xid), (count, last) in self._xids.counted(self._fleet.left()).items():
            labels = str(gpu.index), gpu.uuid, str(xid)
            yield metrics.XID_ERRORS(count, *labels)
            if last is not None:
                yield metrics.XID_LAST(last, *labels)


def give_identity(serial: bool, labels: Labels, known: Identity) -> Iterator[Sample]:
    """Give what a GPU is and what its limits are."""
    number = known.serial if serial else ""
    yield metrics.INFO(
        1, *labels, known.name, known.driver, known.cuda, known.vbios, known.pci_bus_id, number
    )
    for domain, hertz in known.clocks_max.items():
        yield metrics.CLOCK_MAX(hertz, *labels, domain)
    for threshold, celsius in known.temperature_limits.items():
        yield metrics.TEMPERATURE_LIMIT(celsius, *labels, threshold)


def give_load(labels: Labels, load: Load) -> Iterator[Sample]:
    """Give how busy and how full a GPU is."""
    yield from _given(labels, (metrics.UTILIZATION, load.utilization))
    yield from _given(labels, (metrics.MEMORY_CONTROLLER_UTILIZATION, load.memory_controller))
    if load.memory is not None:
        yield metrics.MEMORY_TOTAL(load.memory.total, *labels)
        yield metrics.MEMORY_USED(load.memory.used, *labels)
        yield metrics.MEMORY_FREE(load.memory.free, *labels)
        yield metrics.MEMORY_RESERVED(load.memory.reserved, *labels)


def give_power(rising: Rising, labels: Labels, power: Power) -> Iterator[Sample]:
    """Give what a GPU draws and has drawn."""
    if power.energy is not None:
        yield _counted(rising, metrics.ENERGY, power.energy, *labels)
    yield from _given(
        labels,
        (metrics.POWER, power.watts),
        (metrics.MEMORY_POWER, power.memory_watts),
        (metrics.POWER_LIMIT, power.limit),
    )


def give_thermal(rising: Rising, labels: Labels, thermal: Thermal) -> Iterator[Sample]:
    """Give how warm a GPU is and how fast it runs."""
    for sensor, celsius in thermal.temperatures.items():
        yield metrics.TEMPERATURE(celsius, *labels, sensor)
    for domain, hertz in thermal.clocks.items():
        yield metrics.CLOCK(hertz, *labels, domain)
    for reason, seconds in thermal.throttle_seconds.items():
        yield _counted(rising, metrics.THROTTLE_SECONDS, seconds, *labels, reason)
    for reason, active in thermal.throttle_active.items():
        yield metrics.THROTTLE_ACTIVE(int(active), *labels, reason)
    yield from _given(
        labels,
        (metrics.TEMPERATURE_MARGIN, thermal.margin),
        (metrics.PERFORMANCE_STATE, thermal.performance_state),
    )


def give_pcie(rising: Rising, labels: Labels, pcie: Pcie) -> Iterator[Sample]:
    """Give how a GPU is connected to the host."""
    for kind, generation, width in (
        ("current", pcie.generation, pcie.width),
        ("max", pcie.generation_max, pcie.width_max),
    ):
        if generation is not None:
            yield metrics.PCIE_LINK_GENERATION(generation, *labels, kind)
        if width is not None:
            yield metrics.PCIE_LINK_WIDTH(width, *labels, kind)
    if pcie.replays is not None:
        yield _counted(rising, metrics.PCIE_REPLAYS, pcie.replays, *labels)


def give_nvlink(rising: Rising, labels: Labels, nvlink: NvLink) -> Iterator[Sample]:
    """Give how a GPU is connected to others."""
    yield from _given(labels, (metrics.NVLINK_LINKS_ACTIVE, nvlink.active))
    for link, count in nvlink.transmitted.items():
        yield _counted(rising, metrics.NVLINK_TRANSMIT, count, *labels, link)
    for link, count in nvlink.received.items():
        yield _counted(rising, metrics.NVLINK_RECEIVE, count, *labels, link)
    for kind, count in nvlink.errors.items():
        yield _counted(rising, metrics.NVLINK_ERRORS, count, *labels, kind)


def give_health(rising: Rising, labels: Labels, health: Health) -> Iterator[Sample]:
    """Give what tells of failing hardware, and the modes that an operator sets."""
    for (kind, counter), count in health.ecc_errors.items():
        yield _counted(rising, metrics.ECC_ERRORS, count, *labels, kind, counter)
    for cause, rows in health.remapped.items():
        yield metrics.REMAPPED_ROWS(rows, *labels, cause)
    for aspect, fault in health.fabric_faults.items():
        yield metrics.FABRIC_UNHEALTHY(int(fault), *labels, aspect)
    yield from _given(
        labels,
        (metrics.ECC_MODE, health.ecc_enabled),
        (metrics.REMAP_PENDING, health.remap_pending),
        (metrics.REMAP_FAILURE, health.remap_failure),
        (metrics.RECOVERY_ACTION, health.recovery_action),
        (metrics.FABRIC_STATE, health.fabric_state),
        (metrics.PERSISTENCE_MODE, health.persistence),
        (metrics.COMPUTE_MODE, health.compute_mode),
    )


_ACTIVITY = {
    "sm": metrics.SM_ACTIVE,
    "occupancy": metrics.SM_OCCUPANCY,
    "tensor": metrics.TENSOR_ACTIVE,
    "dram": metrics.DRAM_ACTIVE,
    "fp16": metrics.FP16_ACTIVE,
    "fp32": metrics.FP32_ACTIVE,
    "fp64": metrics.FP64_ACTIVE,
}


def give_activity(labels: Labels, activity: Activity) -> Iterator[Sample]:
    """Give what a GPU's units did."""
    for unit, ratio in activity.ratios.items():
        yield _ACTIVITY[unit](ratio, *labels)
    yield from _given(
        labels,
        (metrics.PCIE_TRANSMIT, activity.pcie_transmitted),
        (metrics.PCIE_RECEIVE, activity.pcie_received),
    )


def give_processes(containers: Owners, labels: Labels, reading: Processes) -> Iterator[Sample]:
    """Give how many processes compute on a GPU, and what each container has of it."""
    if reading.processes is None:
        return
    yield metrics.PROCESSES(len(reading.processes), *labels)
    owners = containers.of(process.pid for process in reading.processes)
    memory: dict[str, int] = {}
    busy: dict[str, float] = {}
    for process in reading.processes:
        if process.pid not in owners:
            continue
        name = owners[process.pid].name
        if process.memory is not None:
            memory[name] = memory.get(name, 0) + process.memory
        if process.utilization is not None:
            busy[name] = busy.get(name, 0.0) + process.utilization
    for name, used in memory.items():
        yield metrics.CONTAINER_MEMORY(used, *labels, name)
    for name, share in busy.items():
        yield metrics.CONTAINER_UTILIZATION(share, *labels, name)


def give_mig(labels: Labels, mig: Mig) -> Iterator[Sample]:
    """Give the MIG devices of a GPU."""
    for one in mig.devices:
        yield metrics.MIG_INFO(1, *labels, one.uuid, one.profile, str(one.gpu_instance))
        if one.memory is not None:
            yield metrics.MIG_MEMORY_TOTAL(one.memory.total, *labels, one.uuid)
            yield metrics.MIG_MEMORY_USED(one.memory.used, *labels, one.uuid)
            yield metrics.MIG_MEMORY_FREE(one.memory.free, *labels, one.uuid)
        if one.utilization is not None:
            yield metrics.MIG_UTILIZATION(one.utilization, *labels, one.uuid)


def collectors(
    fleet: Fleet, containers: Owners, xids: Xids, expected: int, serial: bool
) -> list[Collector]:
    """Return the collectors of all GPUs, in the order in which they run."""
    source, rising = fleet.source, Rising()

    def gpu(name: str, families: tuple[Family, ...], read: Read, give: Give) -> GpuCollector:
        return GpuCollector(name, families, fleet, read, give)

    processes = partial(give_processes, containers)
    return [
        gpu("identity", _IDENTITY, source.identity, partial(give_identity, serial)),
        gpu("load", _LOAD, source.load, give_load),
        gpu("power", _POWER, source.power, partial(give_power, rising)),
        gpu("thermal", _THERMAL, source.thermal, partial(give_thermal, rising)),
        gpu("pcie", _PCIE, source.pcie, partial(give_pcie, rising)),
        gpu("nvlink", _NVLINK, source.nvlink, partial(give_nvlink, rising)),
        gpu("health", _HEALTH, source.health, partial(give_health, rising)),
        gpu("activity", _GPM, source.activity, give_activity),
        gpu("process", _PROCESS, source.processes, processes),
        gpu("mig", _MIG, source.mig, give_mig),
        XidCollector(fleet, xids),
        # Last, so that it tells of what the others met.
        PresenceCollector(fleet, expected),
    ]


def _given(labels: Labels, *values: tuple[Family, float | None]) -> Iterator[Sample]:
    """Give what is there."""
    for family, value in values:
        if value is not None:
            yield family(+value, *labels)


def _counted(rising: Rising, family: Family, raw: float, *labels: str) -> Sample:
    return family(rising((family, *labels), raw), *labels)


_IDENTITY = (metrics.INFO, metrics.CLOCK_MAX, metrics.TEMPERATURE_LIMIT)
_LOAD = (
    metrics.UTILIZATION,
    metrics.MEMORY_CONTROLLER_UTILIZATION,
    metrics.MEMORY_TOTAL,
    metrics.MEMORY_USED,
    metrics.MEMORY_FREE,
    metrics.MEMORY_RESERVED,
)
_POWER = (metrics.ENERGY, metrics.POWER, metrics.MEMORY_POWER, metrics.POWER_LIMIT)
_THERMAL = (
    metrics.TEMPERATURE,
    metrics.TEMPERATURE_MARGIN,
    metrics.CLOCK,
    metrics.THROTTLE_SECONDS,
    metrics.THROTTLE_ACTIVE,
    metrics.PERFORMANCE_STATE,
)
_PCIE = (metrics.PCIE_LINK_GENERATION, metrics.PCIE_LINK_WIDTH, metrics.PCIE_REPLAYS)
_NVLINK = (
    metrics.NVLINK_TRANSMIT,
    metrics.NVLINK_RECEIVE,
    metrics.NVLINK_ERRORS,
    metrics.NVLINK_LINKS_ACTIVE,
)
_HEALTH = (
    metrics.ECC_MODE,
    metrics.ECC_ERRORS,
    metrics.REMAPPED_ROWS,
    metrics.REMAP_PENDING,
    metrics.REMAP_FAILURE,
    metrics.RECOVERY_ACTION,
    metrics.FABRIC_STATE,
    metrics.FABRIC_UNHEALTHY,
    metrics.PERSISTENCE_MODE,
    metrics.COMPUTE_MODE,
)
_GPM = (*_ACTIVITY.values(), metrics.PCIE_TRANSMIT, metrics.PCIE_RECEIVE)
_PROCESS = (metrics.PROCESSES, metrics.CONTAINER_MEMORY, metrics.CONTAINER_UTILIZATION)
_MIG = (
    metrics.MIG_INFO,
    metrics.MIG_MEMORY_TOTAL,
    metrics.MIG_MEMORY_USED,
    metrics.MIG_MEMORY_FREE,
    metrics.MIG_UTILIZATION,
)
