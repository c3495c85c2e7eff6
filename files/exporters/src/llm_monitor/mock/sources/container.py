"""The simulated server's containers, as the engine and the kernel would tell of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.docker.gpus import Assignment
from llm_monitor.base.errors import SourceMissingError
from llm_monitor.container.facts import (
    Cpu,
    Disk,
    Interface,
    Limits,
    Memory,
    Throttling,
    Traffic,
)
from llm_monitor.mock.sources.docker import SimulatedEngine, SimulatedGpuUse
from llm_monitor.mock.view import View
from llm_monitor.mock.world.step import State

NAME = "container"
# The kernel's usual period of a CPU limit, in microseconds.
_PERIOD = 100_000
# In a period in which the limit was reached, threads wait for the rest of it.
_HELD_SECONDS = 0.04
_IDLE_CACHE = 0.6
_PACKET = 1100
# vLLM's API server, its engine's core and a worker for each GPU; what others have.
_VLLM_PROCESSES = 2
_PROCESSES = 5
_PARTITION = re.compile(r"(nvme[0-9]+n[0-9]+|mmcblk[0-9]+)p[0-9]+|([a-z]+)[0-9]+")

Row = dict[str, Any]


class SimulatedContainers:
    """Answers as the containers of one simulated server."""

    def __init__(self, view: View, engine: SimulatedEngine, gpus: SimulatedGpuUse) -> None:
        """Tell of the containers of the server that `view` shows."""
        self._view = view
        self._engine = engine
        self._gpus = gpus
        self._known: tuple[State, dict[str, Row]] | None = None
        disk = view.plan.fleet.disks[0].device
        self._device = f"/dev/{_whole(disk)}"

    def containers(self, _: Deadline, /) -> list[Container]:
        """Return all containers, stopped ones too."""
        return list(self._engine.containers(self._view.asked(NAME)))

    def events(self) -> Mapping[tuple[str, str], int]:
        """Return how often each action came since the start of the simulation."""
        return self._engine.events(self._view.asked(NAME))

    def assignments(
        self, containers: Sequence[Container], deadline: Deadline
    ) -> Mapping[str, Assignment]:
        """Return the GPUs that containers use, by container's id."""
        return self._gpus.of(containers, deadline)

    def gpu_memory(self, container: Container) -> Mapping[str, int]:
        """Return the bytes that a container used on each GPU when last asked, by UUID."""
        return self._gpus.memory(container.id)

    def locate(self, containers: Collection[Container]) -> dict[str, str]:
        """Return the paths of control groups; of one that has ended, where it was."""
        return {one.id: f"/system.slice/docker-{one.id}.scope" for one in containers}

    def cpu(self, container: Container) -> Cpu:
        """Return a container's CPU time."""
        row = self._row(container)
        throttling = None
        if container.cpu_quota_cores is not None:
            throttled = row["throttled"]
            throttling = Throttling(row["periods"], throttled, throttled * _HELD_SECONDS)
        return Cpu(row["user"] + row["system"], row["user"], row["system"], throttling)

    def memory(self, container: Container) -> Memory:
        """Return a container's memory."""
        row = self._row(container)
        anonymous, cache = int(row["memory"]), int(row["cache"])
        return Memory(anonymous + cache, int(cache * _IDLE_CACHE), anonymous, cache, 0)

    def limits(self, container: Container) -> Limits:
        """Return what a container may use."""
        self._row(container)
        cores = container.cpu_quota_cores
        quota = None if cores is None else int(cores * _PERIOD)
        return Limits(quota, _PERIOD, container.memory_limit or None)

    def oom_kills(self, container: Container) -> int | None:
        """Return how many processes of its present run were killed for memory: that ends it."""
        self._row(container)
        return 0

    def disks(self, container: Container) -> list[Disk]:
        """Return what a container read and wrote, all of it on the first disk."""
        row = self._row(container)
        return [Disk(self._device, row["read"], row["written"])]

    def interfaces(self, container: Container) -> list[Interface]:
        """Return a container's network interfaces."""
        row = self._row(container)
        return [Interface("eth0", _traffic(row["received"]), _traffic(row["sent"]))]

    def processes(self, container: Container) -> int:
        """Return how many processes a container has."""
        self._row(container)
        gpus = sum(len(request.devices) for request in container.gpu_requests)
        return _VLLM_PROCESSES + gpus if gpus else _PROCESSES

    def _row(self, container: Container) -> Row:
        """Return what a container has used by now.

        Raises:
            SourceMissingError: When it does not run.
        """
        state = self._view.asked(NAME)
        known = self._known
        if known is None or known[0] is not state:
            known = self._known = state, self._rows(state)
        row = known[1][container.name]
        if not row["running"]:
            message = f"{container.name} has ended"
            raise SourceMissingError(message)
        return row

    def _rows(self, state: State) -> dict[str, Row]:
        crew, row = state.containers, self._view.row
        columns = [getattr(crew, name)[row].tolist() for name in _COLUMNS]
        names = self._view.plan.crew.names
        return {
            name: dict(zip(_COLUMNS, row, strict=True))
            for name, *row in zip(names, *columns, strict=True)
        }


_COLUMNS = (
    *("running", "user", "system", "periods", "throttled", "memory", "cache"),
    *("received", "sent", "read", "written"),
)


def _traffic(size: int) -> Traffic:
    return Traffic(size, size // _PACKET, 0, 0)


def _whole(device: str) -> str:
    """Return the disk of a partition, such as nvme0n1 for nvme0n1p2."""
    found = _PARTITION.fullmatch(device)
    return (found[1] or found[2]) if found else device
