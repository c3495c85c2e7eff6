"""The only code of the container exporter that touches the world: the engine and the kernel."""

import re
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.docker.gpus import Assignment, GpuUse
from llm_monitor.base.docker.inventory import Inventory
from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.base.files import Garbled, printable, read_text
from llm_monitor.container import network
from llm_monitor.container.cgroup import v1, v2
from llm_monitor.container.cgroup.hierarchy import Hierarchy, hierarchies, processes
from llm_monitor.container.facts import Cpu, Disk, Interface, Limits, Memory

_REFRESH_SECONDS = 60.0


class ContainerSource(Protocol):
    """What the collectors ask of a host; a simulated host answers the same.

    Every method that reads something of a container raises SourceMissingError for what is not
    there, such as when the container has ended, and SourceError for what can't be understood.
    """

    def containers(self, deadline: Deadline, /) -> list[Container]:
        """Return all containers, stopped ones too."""
        ...

    def events(self) -> Mapping[tuple[str, str], int]:
        """Return how often each action came since the start, by container's name and action."""
        ...

    def assignments(
        self, containers: Sequence[Container], deadline: Deadline
    ) -> Mapping[str, Assignment]:
        """Return the GPUs that containers use, by container's id."""
        ...

    def gpu_memory(self, container: Container) -> Mapping[str, int]:
        """Return the bytes that a container used on each GPU when last asked, by UUID."""
        ...

    def locate(self, containers: Collection[Container]) -> dict[str, str]:
        """Return the paths of the control groups of those that have one, by container's id."""
        ...

    def cpu(self, container: Container) -> Cpu:
        """Return a container's CPU time."""
        ...

    def memory(self, container: Container) -> Memory:
        """Return a container's memory."""
        ...

    def limits(self, container: Container) -> Limits:
        """Return what a container may use."""
        ...

    def oom_kills(self, container: Container) -> int | None:
        """Return how many processes of its present run were killed for memory, None if unknown."""
        ...

    def disks(self, container: Container) -> list[Disk]:
        """Return what a container read and wrote."""
        ...

    def interfaces(self, container: Container) -> list[Interface]:
        """Return a container's network interfaces."""
        ...

    def processes(self, container: Container) -> int:
        """Return how many processes a container has."""
        ...


class HostSource:
    """This host's containers."""

    def __init__(
        self, inventory: Inventory, gpus: GpuUse, proc: str, cgroup: str, exclude: re.Pattern[str]
    ) -> None:
        """Read below `proc` and `cgroup`; leave out interfaces whose names `exclude` fits."""
        self._inventory = inventory
        self._gpus = gpus
        self._proc = proc
        self._cgroup = cgroup
        self._exclude = exclude
        self._trees: dict[str, Hierarchy] = {}
        self._limits: dict[str, tuple[Container, Limits]] = {}
        self._devices: dict[str, str] = {}
        self._devices_read = float("-inf")

    def containers(self, deadline: Deadline) -> list[Container]:
        """Return all containers (GET /containers/json, GET /containers/ID/json)."""
        return self._inventory.containers(deadline)

    def events(self) -> Mapping[tuple[str, str], int]:
        """Return how often each action came (GET /events)."""
        return self._inventory.events()

    def assignments(
        self, containers: Sequence[Container], deadline: Deadline
    ) -> Mapping[str, Assignment]:
        """Return the GPUs that containers use (the GPU exporter; device requests; environment)."""
        return self._gpus.of(containers, deadline)

    def gpu_memory(self, container: Container) -> Mapping[str, int]:
        """Return the bytes that a container used on each GPU (the GPU exporter)."""
        return self._gpus.memory(container.id)

    def locate(self, containers: Collection[Container]) -> dict[str, str]:
        """Return the paths of containers' control groups, of one that has ended as it was."""
        if not self._trees:
            self._trees = hierarchies(self._cgroup)
        known = {container.id for container in containers}
        running = {container.id: container.pid for container in containers if container.pid}
        for tree in dict.fromkeys(self._trees.values()):
            tree.locate(known, running)
        # A copy, as collectors that overran may still add to it.
        self._limits = {one: kept for one, kept in list(self._limits.items()) if one in running}
        found: dict[str, str] = {}
        for tree in reversed(self._trees.values()):
            found |= tree.paths
        return found

    def cpu(self, container: Container) -> Cpu:
        """Return a container's CPU time (cpu.stat; cpuacct.usage, cpuacct.stat)."""
        tree = self._tree("cpuacct")
        folder = tree.folder(container.id)
        limited = self.limits(container).quota is not None
        if tree.unified:
            return v2.cpu(folder, limited=limited)
        return v1.cpu(folder, self._tree("cpu").folder(container.id) if limited else None)

    def memory(self, container: Container) -> Memory:
        """Return a container's memory (memory.stat and others)."""
        tree = self._tree("memory")
        read = v2.memory if tree.unified else v1.memory
        return read(tree.folder(container.id))

    def limits(self, container: Container) -> Limits:
        """Return what a container may use (cpu.max, memory.max; cpu.cfs_quota_us and others).

        It is kept until the engine tells the container anew: at its events, or after a minute.
        """
        kept = self._limits.get(container.id)
        if kept is not None and kept[0] is container:
            return kept[1]
        memory, cpu = self._tree("memory"), self._tree("cpu")
        memory_limit = v2.memory_limit if memory.unified else v1.memory_limit
        cpu_limit = v2.cpu_limit if cpu.unified else v1.cpu_limit
        quota, period = cpu_limit(cpu.folder(container.id))
        limits = Limits(quota, period, memory_limit(memory.folder(container.id)))
        self._limits[container.id] = container, limits
        return limits

    def oom_kills(self, container: Container) -> int | None:
        """Return how many processes were killed for memory (memory.events; memory.oom_control)."""
        tree = self._tree("memory")
        read = v2.oom_kills if tree.unified else v1.oom_kills
        return read(tree.folder(container.id))

    def disks(self, container: Container) -> list[Disk]:
        """Return what a container read and wrote (io.stat; blkio.throttle.io_service_bytes)."""
        tree = self._trees.get("io")
        if tree is None:
            message = f"{self._cgroup}: no control groups of io"
            raise SourceMissingError(message)
        read = v2.transfers if tree.unified else v1.transfers
        return [
            Disk(self._device(device), bytes_read, written)
            for device, (bytes_read, written) in read(tree.folder(container.id)).items()
        ]

    def interfaces(self, container: Container) -> list[Interface]:
        """Return a container's network interfaces (/proc/PID/net/dev)."""
        return network.interfaces(self._proc, container.pid, container.id, self._exclude)

    def processes(self, container: Container) -> int:
        """Return how many processes a container has (cgroup.procs).

        To a reader in another process namespace version 1 shows none.
        """
        tree = next(iter(self._trees.values()))
        return processes(tree.folder(container.id))

    def _tree(self, controller: str) -> Hierarchy:
        try:
            return self._trees[controller]
        except KeyError:
            message = f"{self._cgroup}: no control groups of {controller}"
            raise SourceError(message) from None

    def _device(self, number: str) -> str:
        """Return a block device's file (/proc/partitions, kept for a minute)."""
        age = time.monotonic() - self._devices_read
        if number not in self._devices or age > _REFRESH_SECONDS:
            named = _devices(f"{self._proc}/partitions")
            self._devices = {**self._devices, number: number, **named}
            self._devices_read = time.monotonic()
        return self._devices[number]


def _devices(path: str) -> dict[str, str]:
    """Return the files of block devices by their `major:minor`."""
    try:
        text = read_text(path)
        with Garbled(path):
            rows = [line.split() for line in text.splitlines()[2:]]
            return {f"{row[0]}:{row[1]}": f"/dev/{printable(row[3])}" for row in rows}
    except SourceError:
        # Their numbers will do.
        return {}
