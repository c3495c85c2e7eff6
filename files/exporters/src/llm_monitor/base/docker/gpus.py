"""Which GPUs a container uses: what runs on them tells best, then what was asked for."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import structlog

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.client import RefusedError, ask
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.docker.transport import Peer
from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.base.files import Garbled

# Less than what a collection may last, so that a GPU exporter that hangs costs its own answer only.
_PATIENCE_SECONDS = 2.0
_REMEMBERED_SECONDS = 300.0
_PAUSE_SECONDS = 30.0
_PROCESSES = "/api/v1/processes"
_GPUS = "/api/v1/gpus"
_CDI_KIND = "nvidia.com/gpu="
# 3, or 3:1 for the first MIG device of GPU 3.
_INDEX = re.compile(r"([0-9]+)(?::[0-9]+)?")
_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z/-]+")

_log = structlog.get_logger(__name__)

T = TypeVar("T")

# By container's id and GPU's UUID.
Used = dict[str, dict[str, int]]
Method = Literal["processes", "device_requests", "environment", "none"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The GPUs of one container.

    Attributes:
        method: What tells them: the processes that run on them, device requests,
            NVIDIA_VISIBLE_DEVICES, or none of these.
        uuids: Their UUIDs, sorted; of a MIG device its GPU's.
        indexes: Their indexes, sorted. Only where the GPU exporter knows both are they complete.
    """

    method: Method
    uuids: tuple[str, ...] = ()
    indexes: tuple[int, ...] = ()


_NONE = Assignment("none")


class GpuUseSource(Protocol):
    """What tells which GPUs containers use; a simulated host answers the same."""

    def of(
        self, containers: Iterable[Container], deadline: Deadline, /
    ) -> Mapping[str, Assignment]:
        """Return by container's id which GPUs each uses."""
        ...

    def memory(self, container: str) -> Mapping[str, int]:
        """Return the bytes that a container used on each GPU, by UUID, at the last call of `of`."""
        ...


class GpuUse:
    """Joins containers to GPUs through the GPU exporter, as far as it can be reached."""

    def __init__(self, address: str, token: str) -> None:
        """Ask the GPU exporter at `address`, such as http://gpu-exporter:9445, unless empty.

        `token` is its bearer token, empty when it wants none.
        """
        self._peer = Peer(address)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._memory: Used = {}
        self._indexes: dict[str, int] = {}
        self._parents: dict[str, str] = {}
        self._mapped_until = float("-inf")
        self._failing: set[str] = set()

    def of(self, containers: Iterable[Container], deadline: Deadline) -> dict[str, Assignment]:
        """Return by container's id which GPUs each uses; who asked for none in particular has none.

        A GPU exporter that does not answer costs what only it can tell.
        """
        patience = min(deadline.at, Deadline.after(_PATIENCE_SECONDS).at)
        used = self._processes(Deadline(patience)) if self._peer.address else {}
        found = {}
        for container in containers:
            if gpus := used.get(container.id):
                uuids, indexes = tuple(sorted(gpus)), tuple(sorted(set(gpus.values())))
                found[container.id] = Assignment("processes", uuids, indexes)
            else:
                found[container.id] = self._wanted(container, Deadline(patience))
        return found

    def memory(self, container: str) -> Mapping[str, int]:
        """Return the bytes that a container used on each GPU, by UUID, at the last call of `of`."""
        return self._memory.get(container, {})

    def _processes(self, deadline: Deadline) -> Used:
        nothing: tuple[Used, Used] = ({}, {})
        used, self._memory = self._learn(_PROCESSES, deadline, _used, nothing)
        return used

    def _wanted(self, container: Container, deadline: Deadline) -> Assignment:
        requested = [one for request in container.gpu_requests for one in request.devices]
        if assigned := self._named("device_requests", requested, deadline):
            return assigned
        visible = (container.visible_devices or "").split(",")
        return self._named("environment", visible, deadline) or _NONE

    def _named(
        self, method: Method, devices: Iterable[str], deadline: Deadline
    ) -> Assignment | None:
        """Return the GPUs that `devices` name; `all`, `void` and the like name none."""
        names = [device.strip().removeprefix(_CDI_KIND) for device in devices]
        indexes = {int(found[1]) for name in names if (found := _INDEX.fullmatch(name))}
        uuids = {name for name in names if _UUID.fullmatch(name)}
        if not indexes and not uuids:
            return None
        self._map(deadline)
        uuids = {self._parents.get(uuid, uuid) for uuid in uuids}
        known = {index: uuid for uuid, index in self._indexes.items()}
        both = uuids | {known[index] for index in indexes if index in known}
        indexes |= {self._indexes[uuid] for uuid in uuids if uuid in self._indexes}
        return Assignment(method, tuple(sorted(both)), tuple(sorted(indexes)))

    def _map(self, deadline: Deadline) -> None:
        """Learn which index has which UUID: it changes when a driver is loaded."""
        if not self._peer.address or time.monotonic() < self._mapped_until:
            return
        nothing: tuple[dict[str, int], dict[str, str]] = ({}, {})
        indexes, parents = self._learn(_GPUS, deadline, _mapped, nothing)
        if indexes:
            self._indexes, self._parents = indexes, parents
        pause = _REMEMBERED_SECONDS if indexes else _PAUSE_SECONDS
        self._mapped_until = time.monotonic() + pause

    def _learn(self, path: str, deadline: Deadline, read: Callable[[Any], T], nothing: T) -> T:
        """Return what `read` makes of the GPU exporter's answer, `nothing` when it can't be had.

        What goes wrong is logged once, until it goes well again.
        """
        try:
            answer = ask(self._peer, path, deadline, self._headers)
            with Garbled(f"{self._peer.address}{path}"):
                learnt = read(answer)
        except SourceError as error:
            if not self._failing:
                sentence = f"{self._peer.address}{path}: {_meaning(error)}"
                _log.warning("the GPU exporter does not tell who uses GPUs", error=sentence)
            self._failing.add(path)
            return nothing
        if path in self._failing:
            # Which index has which UUID is asked for only where processes don't tell.
            self._failing -= {path} if path == _GPUS else {path, _GPUS}
            if not self._failing:
                _log.info("the GPU exporter tells who uses GPUs again")
        return learnt


def _meaning(error: SourceError) -> str:
    """Return what an error means, without what was answered: that may hold the token."""
    cause = error.__cause__
    if isinstance(error, RefusedError):
        return f"status {error.status}"
    if isinstance(error, SourceMissingError):
        return "not found"
    if isinstance(cause, OSError):
        return cause.strerror or "no complete answer in time"
    return f"not as expected ({type(cause).__name__})"


def _used(processes: Iterable[Any]) -> tuple[Used, Used]:
    """Return by container's id and GPU's UUID the GPU's index, and the memory in bytes."""
    used: Used = {}
    memory: Used = {}
    for process in processes:
        container, uuid = process["container_id"], str(process["gpu_uuid"])
        if container is None:
            continue
        used.setdefault(str(container), {})[uuid] = int(process["gpu"])
        if (size := process["memory_used_bytes"]) is not None:
            by_gpu = memory.setdefault(str(container), {})
            by_gpu[uuid] = by_gpu.get(uuid, 0) + int(size)
    return used, memory


def _mapped(gpus: Iterable[Any]) -> tuple[dict[str, int], dict[str, str]]:
    """Return the indexes of GPUs by UUID, and the GPUs' UUIDs by those of their MIG devices."""
    indexes: dict[str, int] = {}
    parents: dict[str, str] = {}
    for gpu in gpus:
        indexes[str(gpu["uuid"])] = int(gpu["index"])
        # Only a GPU whose MIG mode has been read tells of its devices.
        devices = gpu.get("mig_devices", ())
        parents.update((str(device["uuid"]), str(gpu["uuid"])) for device in devices)
    return indexes, parents
