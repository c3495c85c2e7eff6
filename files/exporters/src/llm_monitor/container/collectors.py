"""The container exporter's collectors: each asks of all containers one kind of thing."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from llm_monitor.base.collection.collector import Collector, Deadline
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.base.metrics.family import Family, Sample
from llm_monitor.container import metrics
from llm_monitor.container.facts import Cpu, Disk, Interface, Limits, Memory
from llm_monitor.container.roster import Labels, Roster

# What one container may take of a family's series: it can make interfaces as it likes.
_MOST = 16

Read = Callable[[Container], Any]
Give = Callable[[Labels, Any], Iterator[Sample]]


@dataclass(frozen=True, slots=True)
class GroupCollector:
    """Asks the kernel one kind of thing of each running container.

    Attributes:
        name: The value of the label `collector`.
        families: What it gives.
        roster: The containers.
        read: Asks about one container.
        give: Turns the answer into samples.
    """

    name: str
    families: tuple[Family, ...]
    roster: Roster
    read: Read
    give: Give

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give what can be read; a container that has just ended is left out.

        Raises:
            SourceError: When no container's files can be understood.
        """
        failed: SourceError | None = None
        answered = False
        for container, labels in self.roster.seats(deadline):
            problem = ""
            try:
                reading = self.read(container)
            except SourceMissingError:
                continue
            except SourceError as error:
                failed, problem = error, str(error)
            self.roster.note(container, self.name, problem)
            if not problem:
                answered = True
                yield from self.give(labels, reading)
        if failed is not None and not answered:
            raise failed


class PresenceCollector:
    """Says which containers there are, and how they are."""

    name = "presence"
    families = (
        metrics.INFO,
        metrics.STATE,
        metrics.HEALTH,
        metrics.RESTARTS,
        metrics.EXIT_CODE,
        metrics.OOM_KILLED,
        metrics.READABLE,
        metrics.STARTED,
    )

    def __init__(self, roster: Roster) -> None:
        """Tell of the containers in `roster`."""
        self._roster = roster

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give what the engine tells of each container."""
        for container in self._roster.all(deadline):
            name = container.name
            yield metrics.INFO(1, name, *identity(container))
            for state in metrics.STATES:
                yield metrics.STATE(int(state == container.state), name, state)
            if container.health is not None:
                for status in metrics.HEALTHS:
                    yield metrics.HEALTH(int(status == container.health), name, status)
            yield metrics.RESTARTS(container.restarts, name)
            if container.exit_code is not None:
                yield metrics.EXIT_CODE(container.exit_code, name)
            yield metrics.OOM_KILLED(int(container.oom_killed), name)
            yield metrics.READABLE(int(not self._roster.troubled(container)), name)
            if container.started is not None:
                yield metrics.STARTED(container.started, name)


class EventCollector:
    """Gives what the watcher of events has counted."""

    name = "events"
    families = (metrics.EVENTS,)

    def __init__(self, roster: Roster) -> None:
        """Tell of the containers in `roster`."""
        self._roster = roster

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give each container's events, 0 for what has not happened."""
        names = {container.name for container in self._roster.all(deadline)}
        counts = self._roster.source.events()
        for name in names:
            for action in metrics.ACTIONS:
                yield metrics.EVENTS(counts.get((name, action), 0), name, action)


class OomCollector:
    """Gives how often memory ran out.

    No source sees all: a group's count ends with the container's run, often because of what it
    counts; events are missed while the engine can't be reached, and OOMKilled is no count.
    """

    name = "oom"
    families = (metrics.OOM_EVENTS,)

    def __init__(self, roster: Roster) -> None:
        """Tell of the containers in `roster`."""
        self._roster = roster
        self._events: dict[str, int] = {}
        self._told: Counter[str] = Counter()
        self._most: dict[str, int] = {}

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give the most that any source tells, which never falls."""
        source = self._roster.source
        seats = self._roster.seats(deadline, ended=True)
        events = {
            name: count for (name, action), count in source.events().items() if action == "oom"
        }
        told: Counter[str] = Counter()
        most = {}
        for container, labels in seats:
            # Events go by names, which pass on: those since the last time are the present owner's.
            name, one = container.name, container.id
            fresh = events.get(name, 0) - self._events.get(name, 0)
            told[one] = self._told[one] + max(0, fresh)
            kills = self._kills(container) if container.pid else 0
            known = self._most.get(one, 0)
            most[one] = max(known, told[one], kills, int(container.oom_killed))
            yield metrics.OOM_EVENTS(most[one], *labels)
        self._events, self._told, self._most = events, told, most

    def _kills(self, container: Container) -> int:
        try:
            kills = self._roster.source.oom_kills(container)
        except SourceMissingError:
            return 0
        except SourceError as error:
            self._roster.note(container, self.name, str(error))
            return 0
        self._roster.note(container, self.name, "")
        return kills or 0


class GpuCollector:
    """Says which GPUs containers use."""

    name = "gpu"
    families = (metrics.GPU_ASSIGNED,)

    def __init__(self, roster: Roster) -> None:
        """Tell of the containers in `roster`."""
        self._roster = roster

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give the GPUs of each running container."""
        running = [container for container in self._roster.all(deadline) if container.pid]
        assigned = self._roster.source.assignments(running, deadline)
        for container in running:
            if container.id in assigned:
                for uuid in assigned[container.id].uuids:
                    yield metrics.GPU_ASSIGNED(1, container.name, uuid)


def collectors(roster: Roster) -> list[Collector]:
    """Return all collectors over the containers in `roster`."""
    source = roster.source

    def interfaces(container: Container) -> list[Interface]:
        # The host's network is the node exporter's; one that is shared counts for its owner.
        shared = container.host_network or container.network_of
        return [] if shared else source.interfaces(container)

    def process(container: Container) -> tuple[int, float | None, float]:
        return source.processes(container), container.started, roster.now()

    def ask(name: str, families: tuple[Family, ...], read: Read, give: Give) -> Collector:
        return GroupCollector(name, families, roster, read, give)

    return [
        PresenceCollector(roster),
        EventCollector(roster),
        ask("cpu", _CPU, source.cpu, _cpu),
        ask("memory", _MEMORY, source.memory, _memory),
        ask("limits", _LIMITS, source.limits, _limits),
        OomCollector(roster),
        ask("network", (*_RECEIVED, *_TRANSMITTED), interfaces, _network),
        ask("disk", _DISK, source.disks, _disk),
        ask("process", _PROCESS, process, _process),
        GpuCollector(roster),
    ]


_CPU = (
    metrics.CPU_USAGE,
    metrics.CPU_USER,
    metrics.CPU_SYSTEM,
    metrics.CFS_PERIODS,
    metrics.CFS_THROTTLED_PERIODS,
    metrics.CFS_THROTTLED,
)


def _cpu(labels: Labels, cpu: Cpu) -> Iterator[Sample]:
    yield metrics.CPU_USAGE(cpu.usage, *labels)
    yield metrics.CPU_USER(cpu.user, *labels)
    yield metrics.CPU_SYSTEM(cpu.system, *labels)
    if cpu.throttling is not None:
        yield metrics.CFS_PERIODS(cpu.throttling.periods, *labels)
        yield metrics.CFS_THROTTLED_PERIODS(cpu.throttling.throttled_periods, *labels)
        yield metrics.CFS_THROTTLED(cpu.throttling.seconds, *labels)


_MEMORY = (
    metrics.MEMORY_USAGE,
    metrics.MEMORY_WORKING_SET,
    metrics.MEMORY_RSS,
    metrics.MEMORY_CACHE,
    metrics.MEMORY_SWAP,
    metrics.CADVISOR_RSS,
    metrics.CADVISOR_CACHE,
    metrics.CADVISOR_SWAP,
)


def _memory(labels: Labels, memory: Memory) -> Iterator[Sample]:
    yield metrics.MEMORY_USAGE(memory.usage, *labels)
    # The two are not read at one moment.
    yield metrics.MEMORY_WORKING_SET(max(0, memory.usage - memory.inactive_file), *labels)
    for family in (metrics.MEMORY_RSS, metrics.CADVISOR_RSS):
        yield family(memory.rss, *labels)
    for family in (metrics.MEMORY_CACHE, metrics.CADVISOR_CACHE):
        yield family(memory.cache, *labels)
    if memory.swap is not None:
        for family in (metrics.MEMORY_SWAP, metrics.CADVISOR_SWAP):
            yield family(memory.swap, *labels)


_LIMITS = (metrics.CPU_QUOTA, metrics.CPU_PERIOD, metrics.MEMORY_LIMIT)


def _limits(labels: Labels, limits: Limits) -> Iterator[Sample]:
    for family, value in zip(_LIMITS, limits, strict=True):
        if value is not None:
            yield family(value, *labels)


# In the order of Traffic.
_RECEIVED = (
    metrics.NETWORK_RECEIVE_BYTES,
    metrics.NETWORK_RECEIVE_PACKETS,
    metrics.NETWORK_RECEIVE_ERRORS,
    metrics.NETWORK_RECEIVE_DROPPED,
)
_TRANSMITTED = (
    metrics.NETWORK_TRANSMIT_BYTES,
    metrics.NETWORK_TRANSMIT_PACKETS,
    metrics.NETWORK_TRANSMIT_ERRORS,
    metrics.NETWORK_TRANSMIT_DROPPED,
)


def _network(labels: Labels, interfaces: list[Interface]) -> Iterator[Sample]:
    for name, received, transmitted in interfaces[:_MOST]:
        for family, value in zip(_RECEIVED, received, strict=True):
            yield family(value, *labels, name)
        for family, value in zip(_TRANSMITTED, transmitted, strict=True):
            yield family(value, *labels, name)


_DISK = (metrics.FS_READS, metrics.FS_WRITES)


def _disk(labels: Labels, disks: list[Disk]) -> Iterator[Sample]:
    for device, read, written in disks[:_MOST]:
        yield metrics.FS_READS(read, *labels, device)
        yield metrics.FS_WRITES(written, *labels, device)


_PROCESS = (metrics.PROCESSES, metrics.START_TIME, metrics.LAST_SEEN)


def _process(labels: Labels, process: tuple[int, float | None, float]) -> Iterator[Sample]:
    count, started, now = process
    # A container that runs has one: 0 says that this process may not see them.
    if count:
        yield metrics.PROCESSES(count, *labels)
    if started is not None:
        yield metrics.START_TIME(started, *labels)
    yield metrics.LAST_SEEN(now, *labels)


_PROJECTS = ("com.docker.compose.project", "io.podman.compose.project")
_SERVICES = ("com.docker.compose.service", "io.podman.compose.service")


def identity(container: Container) -> tuple[str, str, str, str, str]:
    """Return a container's id, image, image's id, and Compose's names of project and service."""
    labels = container.labels
    project, service = (
        next((labels[key] for key in keys if key in labels), "") for keys in (_PROJECTS, _SERVICES)
    )
    return container.id, container.image, container.image_id, project, service
