"""Which container a process belongs to.

The id comes from the process' control groups, the name from the Docker API.
"""

import threading
import time
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import structlog

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew, Isolation
from llm_monitor.base.docker.cgroups import container_ids
from llm_monitor.base.docker.client import DockerApi
from llm_monitor.base.errors import SourceError
from llm_monitor.base.files import Garbled, printable, read_text

_SHORT = 12
_REFRESH_SECONDS = 60.0
_PAUSE_SECONDS = 5.0
_PATIENCE_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Container(NamedTuple):
    """A container.

    Attributes:
        name: Its name; the id's first 12 characters where the Docker API can't be asked.
        id: Its id.
    """

    name: str
    id: str


class Owners(Protocol):
    """Tells whose a process is; a simulated host answers the same."""

    def of(self, pids: Iterable[int]) -> dict[int, Container]:
        """Return the container of each process that runs in one."""
        ...

    def program(self, pid: int) -> str:
        """Return the name of a process' program, without its arguments; empty when it has ended."""
        ...


class Containers:
    """The containers of this host."""

    def __init__(self, proc: str, docker: str) -> None:
        """See processes at `proc`, and ask `docker`, a socket or URL, for names unless empty."""
        self._proc = proc
        self._docker = docker
        self._names: dict[str, str] = {}
        self._asked = float("-inf")
        self._named = float("-inf")
        self._failing = False
        self._asking: Isolation[None] = Isolation(Crew("docker-names"))
        self._lock = threading.Lock()

    def of(self, pids: Iterable[int]) -> dict[int, Container]:
        """Return the container of each process that runs in one."""
        paths = {pid: path for pid in pids if (path := self._ids(pid))}
        with self._lock:
            self._refresh({identifier for path in paths.values() for identifier in path})
            names = self._names
        found = {}
        for pid, path in paths.items():
            # In a host within a container, the engine here knows the outer one of them.
            identifier = next((one for one in path if one in names), path[0])
            found[pid] = Container(names.get(identifier, identifier[:_SHORT]), identifier)
        return found

    def program(self, pid: int) -> str:
        """Return the name of a process' program, without its arguments; empty when it has ended.

        Bytes that are no UTF-8 become escapes: the kernel cuts names after 15 bytes.
        """
        try:
            name = read_text(f"{self._proc}/{pid}/comm").rstrip("\n")
        except SourceError:
            return ""
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def _ids(self, pid: int) -> list[str]:
        """Return the ids in the paths of a process' control groups, the outermost first."""
        try:
            return container_ids(read_text(f"{self._proc}/{pid}/cgroup"))
        except SourceError:
            # Most likely it has ended since it was listed.
            return []

    def _refresh(self, wanted: set[str]) -> None:
        """Ask for the names again when some are unknown or all are old."""
        now = time.monotonic()
        fresh = wanted <= self._names.keys() and now - self._named < _REFRESH_SECONDS
        if not self._docker or not wanted or fresh or now - self._asked < _PAUSE_SECONDS:
            return
        self._asked = now
        # Nobody waits for a slow answer. What comes late serves next time.
        asked = self._asking.run({"names": self._ask}, Deadline.after(_PATIENCE_SECONDS))
        outcome = asked.get("names")
        failing = outcome is None or outcome.running or outcome.error is not None
        if failing and not self._failing:
            error = repr(outcome.error) if outcome and outcome.error else "it has not answered yet"
            _log.warning("the Docker API does not tell names", docker=self._docker, error=error)
        self._failing = failing

    def _ask(self) -> None:
        self._names = _list(DockerApi(self._docker))
        self._named = time.monotonic()


def _list(docker: DockerApi) -> dict[str, str]:
    """Return the names of the running containers by id (Engine API, GET /containers/json)."""
    listed = docker.get("/containers/json", Deadline.after(_TIMEOUT_SECONDS))
    with Garbled("/containers/json"):
        pairs = [(one["Id"], one["Names"]) for one in listed]
        return {one: printable(str(names[0])).lstrip("/") for one, names in pairs if names}
