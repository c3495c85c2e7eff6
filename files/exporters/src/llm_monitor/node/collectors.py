"""The node exporter's collectors: each turns one kind of fact into its families."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from llm_monitor.base.collection.collector import Collector, Deadline
from llm_monitor.base.collection.isolation import Crew, Isolation, Outcome
from llm_monitor.base.errors import SourceMissingError
from llm_monitor.base.logs import Once
from llm_monitor.base.metrics.family import Family, Sample
from llm_monitor.node import metrics
from llm_monitor.node.facts import Mount, Usage
from llm_monitor.node.mounts import choose
from llm_monitor.node.source import NodeSource

_once = Once(__name__)

_DEADLINE_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Choices:
    """What the settings leave out or add.

    Attributes:
        per_cpu: Whether each CPU's time is given too.
        mount_timeout: Seconds that a mount has to answer.
        types: Types of file systems to leave out.
        mountpoints: Mount points to leave out.
        disks: Block devices to leave out.
        networks: Network devices to leave out.
    """

    per_cpu: bool
    mount_timeout: float
    types: re.Pattern[str]
    mountpoints: re.Pattern[str]
    disks: re.Pattern[str]
    networks: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class NodeCollector:
    """Asks a source for one kind of fact.

    Attributes:
        name: The value of the label `collector`.
        families: What it gives.
        read: Asks the source.
        optional: Whether a host may do without; then nothing is given, and that is no failure.
    """

    name: str
    families: tuple[Family, ...]
    read: Callable[[], Iterable[Sample]]
    optional: bool = False

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        """Give what the source has."""
        try:
            yield from self.read()
        except SourceMissingError as error:
            if not self.optional:
                raise
            _once.info("not available on this host", self.name, reason=str(error))


class FilesystemCollector:
    """Asks each mount for itself, so that one that hangs takes only its own series with it."""

    name = "filesystem"
    families = (
        metrics.FILESYSTEM_SIZE,
        metrics.FILESYSTEM_AVAIL,
        metrics.FILESYSTEM_FILES,
        metrics.FILESYSTEM_FILES_FREE,
        metrics.FILESYSTEM_READONLY,
        metrics.FILESYSTEM_ERROR,
    )

    def __init__(self, source: NodeSource, choices: Choices, crew: Crew | None = None) -> None:
        """Ask `source` about the mounts that `choices` leave, in threads of `crew` or its own."""
        self._source = source
        self._choices = choices
        self._isolation: Isolation[Usage] = Isolation(crew or Crew("node-statvfs"))

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give the mounts that answer in time, and say which don't."""
        choices = self._choices
        mounts = choose(self._source.mounts(), choices.types, choices.mountpoints)
        calls = {one.mountpoint: partial(self._source.usage, one.mountpoint) for one in mounts}
        patience = min(choices.mount_timeout, deadline.remaining() * _DEADLINE_SHARE)
        outcomes = self._isolation.run(calls, Deadline.after(patience))
        for mount in mounts:
            yield from _filesystem(mount, outcomes.get(mount.mountpoint))


def _filesystem(mount: Mount, outcome: Outcome[Usage] | None) -> Iterator[Sample]:
    labels = mount.mountpoint, mount.fstype
    if outcome is not None and isinstance(outcome.error, SourceMissingError):
        reason = str(outcome.error)
        _once.info("file system left out", mount.mountpoint, reason=reason)
        return
    usage = outcome.value if outcome else None
    yield metrics.FILESYSTEM_ERROR(int(usage is None), *labels)
    yield metrics.FILESYSTEM_READONLY(int(mount.readonly), *labels)
    if usage is not None and usage.size:
        yield metrics.FILESYSTEM_SIZE(usage.size, *labels)
        yield metrics.FILESYSTEM_AVAIL(usage.available, *labels)
        if usage.files:
            yield metrics.FILESYSTEM_FILES(usage.files, *labels)
            yield metrics.FILESYSTEM_FILES_FREE(usage.files_free, *labels)


def read_stat(source: NodeSource, per_cpu: bool) -> Iterator[Sample]:
    """Give what the kernel counts since boot."""
    stat = source.stat()
    for mode, seconds in stat.modes.items():
        yield metrics.CPU_SECONDS(seconds, mode)
    if per_cpu:
        for cpu, modes in stat.cores.items():
            for mode, seconds in modes.items():
                yield metrics.CPU_CORE_SECONDS(seconds, cpu, mode)
    yield metrics.CPUS(len(stat.cores))
    yield metrics.BOOT_TIME(stat.boot_time)
    yield metrics.CONTEXT_SWITCHES(stat.context_switches)
    yield metrics.INTERRUPTS(stat.interrupts)


def read_load(source: NodeSource) -> Iterator[Sample]:
    """Give the load averages."""
    one, five, fifteen = source.load()
    yield metrics.LOAD1(one)
    yield metrics.LOAD5(five)
    yield metrics.LOAD15(fifteen)


_MEMORY = {
    "MemTotal": metrics.MEMORY_TOTAL,
    "MemAvailable": metrics.MEMORY_AVAILABLE,
    "MemFree": metrics.MEMORY_FREE,
    "Buffers": metrics.MEMORY_BUFFERS,
    "Cached": metrics.MEMORY_CACHED,
    "Slab": metrics.MEMORY_SLAB,
    "SwapTotal": metrics.SWAP_TOTAL,
}


def read_memory(source: NodeSource) -> Iterator[Sample]:
    """Give memory and swap."""
    memory = source.memory()
    for name, family in _MEMORY.items():
        if name in memory:
            yield family(memory[name])
    if "SwapTotal" in memory and "SwapFree" in memory:
        yield metrics.SWAP_USED(memory["SwapTotal"] - memory["SwapFree"])


def read_shm(source: NodeSource) -> Iterator[Sample]:
    """Give the shared memory."""
    usage = source.usage("/dev/shm")
    yield metrics.SHM_SIZE(usage.size)
    yield metrics.SHM_USED(usage.size - usage.free)


def read_oom_kills(source: NodeSource) -> Iterator[Sample]:
    """Give the number of OOM kills."""
    yield metrics.OOM_KILLS(source.oom_kills())


def read_numa(source: NodeSource) -> Iterator[Sample]:
    """Give the memory of each NUMA node."""
    for node in source.numa():
        yield metrics.NUMA_MEMORY_TOTAL(node.total, node.node)
        yield metrics.NUMA_MEMORY_FREE(node.free, node.node)


def read_disks(source: NodeSource, exclude: re.Pattern[str]) -> Iterator[Sample]:
    """Give what the block devices did."""
    for disk in source.disks():
        if exclude.search(disk.device):
            continue
        yield metrics.DISK_READ_BYTES(disk.read_bytes, disk.device)
        yield metrics.DISK_WRITTEN_BYTES(disk.written_bytes, disk.device)
        yield metrics.DISK_READS(disk.reads, disk.device)
        yield metrics.DISK_WRITES(disk.writes, disk.device)
        yield metrics.DISK_IO_TIME(disk.io_time, disk.device)
        yield metrics.DISK_READ_TIME(disk.read_time, disk.device)
        yield metrics.DISK_WRITE_TIME(disk.write_time, disk.device)


def read_networks(source: NodeSource, exclude: re.Pattern[str]) -> Iterator[Sample]:
    """Give what the network devices carried."""
    for network in source.networks(exclude):
        device = network.device
        yield metrics.NETWORK_RECEIVE_BYTES(network.received.bytes, device)
        yield metrics.NETWORK_RECEIVE_PACKETS(network.received.packets, device)
        yield metrics.NETWORK_RECEIVE_ERRORS(network.received.errors, device)
        yield metrics.NETWORK_RECEIVE_DROPS(network.received.drops, device)
        yield metrics.NETWORK_TRANSMIT_BYTES(network.transmitted.bytes, device)
        yield metrics.NETWORK_TRANSMIT_PACKETS(network.transmitted.packets, device)
        yield metrics.NETWORK_TRANSMIT_ERRORS(network.transmitted.errors, device)
        yield metrics.NETWORK_TRANSMIT_DROPS(network.transmitted.drops, device)
        if network.up is not None:
            yield metrics.NETWORK_UP(int(network.up), device)
        if network.speed is not None:
            yield metrics.NETWORK_SPEED(network.speed, device)


def read_pressure(source: NodeSource) -> Iterator[Sample]:
    """Give the time lost to each resource."""
    for resource, pressure in source.pressure().items():
        if pressure.waiting is not None:
            yield metrics.PRESSURE_WAITING(pressure.waiting, resource)
        if pressure.stalled is not None:
            yield metrics.PRESSURE_STALLED(pressure.stalled, resource)


def read_processes(source: NodeSource) -> Iterator[Sample]:
    """Give the number of processes by state."""
    for state, count in source.processes().items():
        yield metrics.PROCESSES(count, state)


def read_open_files(source: NodeSource) -> Iterator[Sample]:
    """Give the number of open files."""
    yield metrics.OPEN_FILES(source.open_files())


def read_temperatures(source: NodeSource) -> Iterator[Sample]:
    """Give what the temperature sensors read."""
    for one in source.temperatures():
        yield metrics.HWMON_TEMPERATURE(one.celsius, one.chip, one.sensor)


def read_clock(source: NodeSource) -> Iterator[Sample]:
    """Give the time and how well it is kept."""
    clock = source.clock()
    yield metrics.TIME(clock.time)
    if clock.synchronized is not None:
        yield metrics.CLOCK_SYNCHRONIZED(int(clock.synchronized))
    if clock.offset is not None:
        yield metrics.CLOCK_OFFSET(clock.offset)


def read_system(source: NodeSource) -> Iterator[Sample]:
    """Give what runs on the host."""
    yield metrics.INFO(1, *source.system())


def collectors(source: NodeSource, choices: Choices, crew: Crew | None = None) -> list[Collector]:
    """Return the collectors of a host, in the order in which they run."""
    m = metrics
    stat = partial(read_stat, source, choices.per_cpu)
    disks = partial(read_disks, source, choices.disks)
    networks = partial(read_networks, source, choices.networks)
    return [
        NodeCollector("stat", _STAT, stat),
        NodeCollector("load", (m.LOAD1, m.LOAD5, m.LOAD15), partial(read_load, source)),
        NodeCollector("memory", (*_MEMORY.values(), m.SWAP_USED), partial(read_memory, source)),
        NodeCollector("shm", (m.SHM_SIZE, m.SHM_USED), partial(read_shm, source), optional=True),
        NodeCollector("oom", (m.OOM_KILLS,), partial(read_oom_kills, source), optional=True),
        NodeCollector("numa", _NUMA, partial(read_numa, source), optional=True),
        NodeCollector("disk", _DISK, disks),
        NodeCollector("network", _NETWORK, networks),
        NodeCollector("pressure", _PRESSURE, partial(read_pressure, source), optional=True),
        NodeCollector("process", (m.PROCESSES,), partial(read_processes, source)),
        NodeCollector("file", (m.OPEN_FILES,), partial(read_open_files, source)),
        NodeCollector("hwmon", _HWMON, partial(read_temperatures, source), optional=True),
        NodeCollector("clock", _CLOCK, partial(read_clock, source)),
        NodeCollector("system", (m.INFO,), partial(read_system, source)),
        FilesystemCollector(source, choices, crew),
    ]


_STAT = (
    metrics.CPU_SECONDS,
    metrics.CPU_CORE_SECONDS,
    metrics.CPUS,
    metrics.BOOT_TIME,
    metrics.CONTEXT_SWITCHES,
    metrics.INTERRUPTS,
)
_NUMA = (metrics.NUMA_MEMORY_TOTAL, metrics.NUMA_MEMORY_FREE)
_DISK = (
    metrics.DISK_READ_BYTES,
    metrics.DISK_WRITTEN_BYTES,
    metrics.DISK_READS,
    metrics.DISK_WRITES,
    metrics.DISK_IO_TIME,
    metrics.DISK_READ_TIME,
    metrics.DISK_WRITE_TIME,
)
_NETWORK = (
    metrics.NETWORK_RECEIVE_BYTES,
    metrics.NETWORK_RECEIVE_PACKETS,
    metrics.NETWORK_RECEIVE_ERRORS,
    metrics.NETWORK_RECEIVE_DROPS,
    metrics.NETWORK_TRANSMIT_BYTES,
    metrics.NETWORK_TRANSMIT_PACKETS,
    metrics.NETWORK_TRANSMIT_ERRORS,
    metrics.NETWORK_TRANSMIT_DROPS,
    metrics.NETWORK_UP,
    metrics.NETWORK_SPEED,
)
_PRESSURE = (metrics.PRESSURE_WAITING, metrics.PRESSURE_STALLED)
_HWMON = (metrics.HWMON_TEMPERATURE,)
_CLOCK = (metrics.TIME, metrics.CLOCK_SYNCHRONIZED, metrics.CLOCK_OFFSET)
