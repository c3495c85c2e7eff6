"""Which container a process belongs to.

The id comes from the process' control groups, the name from the Docker API.
"""

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew, Isolation
from llm_monitor.base.errors import SourceError
from llm_monitor.base.files import printable, read_text

# Docker, containerd and Podman number containers with 64 hexadecimal digits, which stand in the
# path of the control group whatever its driver (/docker/ID, docker-ID.scope) and version.
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_PROXY = re.compile(r"http://[^/:@?#]+:([0-9]{1,5})")
_LAST_PORT = 65535
_SHORT = 12
_REFRESH_SECONDS = 60.0
_PAUSE_SECONDS = 5.0
_PATIENCE_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0
_LARGEST_ANSWER = 8 << 20

_log = structlog.get_logger(__name__)


class Container(NamedTuple):
    """A container.

    Attributes:
        name: Its name; the id's first 12 characters where the Docker API can't be asked.
        id: Its id.
    """

    name: str
    id: str


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
            return _ID.findall(read_text(f"{self._proc}/{pid}/cgroup"))
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
        # It may be slow in a way that no socket's timeout sees. What comes late serves next time.
        asked = self._asking.run({"names": self._ask}, Deadline.after(_PATIENCE_SECONDS))
        outcome = asked.get("names")
        failing = outcome is None or outcome.running or outcome.error is not None
        if failing and not self._failing:
            error = repr(outcome.error) if outcome and outcome.error else "it has not answered yet"
            _log.warning("the Docker API does not tell names", docker=self._docker, error=error)
        self._failing = failing

    def _ask(self) -> None:
        self._names = _list(self._docker)
        self._named = time.monotonic()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._path)


def _list(docker: str) -> dict[str, str]:
    """Return the names of the running containers by id (Engine API, GET /containers/json)."""
    connection = _connection(docker)
    try:
        connection.request("GET", "/containers/json")
        response = connection.getresponse()
        body = response.read(_LARGEST_ANSWER)
        if response.status != http.client.OK:
            message = f"status {response.status}"
            raise ValueError(message)
        listed = ((one["Id"], one["Names"]) for one in json.loads(body))
        return {
            identifier: printable(names[0]).lstrip("/") for identifier, names in listed if names
        }
    finally:
        connection.close()


def _connection(docker: str) -> http.client.HTTPConnection:
    if docker.startswith("/"):
        return _UnixConnection(docker)
    url = urlsplit(docker)
    return http.client.HTTPConnection(url.hostname or "", url.port, timeout=_TIMEOUT_SECONDS)


def docker_address(text: object) -> str:
    """Return `text` if it is a socket's path, an http URL with a host and port, or empty.

    Raises:
        ValueError: When it is none of them.
    """
    address = str(text)
    proxy = _PROXY.fullmatch(address)
    if address and not address.startswith("/") and not (proxy and int(proxy[1]) <= _LAST_PORT):
        message = "neither a socket's path nor http://host:port"
        raise ValueError(message)
    return address
