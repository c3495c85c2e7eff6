"""HTTP requests that have been answered by a deadline, over TCP or a Unix socket.

A socket's own timeout sees silence only: a peer that sends one byte a second never meets it.
"""

import http.client
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew
from llm_monitor.base.errors import SourceError

_HTTP_PORT = 80
# A peer that is gone without a word is noticed within half a minute.
_KEEP_ALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}

# What socket.getaddrinfo gives.
Places = list[tuple[Any, ...]]


class TooLateError(SourceError):
    """No whole answer has come by the deadline."""


class DeadlineSocket(socket.socket):
    """A socket on which no call lasts beyond a deadline that all of them share.

    Attributes:
        deadline: When a call ends with TimeoutError.
    """

    deadline: Deadline

    def recv_into(self, *arguments: object) -> int:
        """Receive by the deadline."""
        self.arm()
        return super().recv_into(*arguments)  # type: ignore[arg-type]

    def arm(self) -> None:
        """Let the next call end at the deadline.

        Raises:
            TimeoutError: When it has passed.
        """
        seconds = self.deadline.remaining()
        if not seconds:
            message = "timed out"
            raise TimeoutError(message)
        self.settimeout(seconds)

    def watch_peer(self) -> None:
        """Let calls fail once the other side is gone, however long nothing has to be said."""
        if self.family == socket.AF_UNIX:
            return
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE.items():
            self.setsockopt(socket.IPPROTO_TCP, option, value)


class Peer:
    """Who is asked, at a Unix socket's path or an http URL.

    Its name is looked up in a daemon thread, once at a time: nothing cuts the resolver off, and
    Docker's own does not answer while the engine hangs.

    Attributes:
        address: Where it answers.
    """

    def __init__(self, address: str) -> None:
        """Ask at `address`."""
        self.address = address
        self._crew = Crew("docker-resolve")
        self._lock = threading.Lock()
        self._asked: Future[Places] | None = None

    def connect(self, deadline: Deadline) -> DeadlineSocket:
        """Return a connection.

        Raises:
            OSError: When there is none by `deadline`.
            ValueError: When the address has no port or a name that can't be written.
        """
        if self.address.startswith("/"):
            return _open(socket.AF_UNIX, self.address, deadline)
        failure = OSError("no address")
        for family, _, _, _, place in self._places(deadline):
            try:
                return _open(family, place, deadline)
            except OSError as error:
                failure = error
        raise failure

    def _places(self, deadline: Deadline) -> Places:
        with self._lock:
            asked = self._asked
            if asked is None:
                asked = Future()
                self._submit(asked)
                self._asked = asked
        return asked.result(deadline.remaining())

    def _submit(self, asked: "Future[Places]") -> None:
        try:
            self._crew.submit(lambda: self._look_up(asked))
        except RuntimeError as error:
            # There are as many threads as there may be.
            raise OSError(str(error)) from error

    def _look_up(self, asked: "Future[Places]") -> None:
        found: Places = []
        problem = None
        try:
            url = urlsplit(self.address)
            port = url.port or _HTTP_PORT
            found = [*socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)]
        except Exception as error:
            # Names that can't be written in ASCII raise UnicodeError. Who waits is told.
            problem = error
        # Before they are: whoever asks after that wants to know anew.
        with self._lock:
            self._asked = None
        if problem:
            asked.set_exception(problem)
        else:
            asked.set_result(found)


class Answering:
    """Turns what goes wrong with `address` into a SourceError that names it."""

    __slots__ = ("_address",)

    def __init__(self, address: str) -> None:
        """Name `address` in the error."""
        self._address = address

    def __enter__(self) -> None:
        """Begin to ask."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise SourceError for errors of the operating system, of HTTP and of JSON."""
        if isinstance(error, TimeoutError):
            message = f"{self._address}: no complete answer in time"
            raise TooLateError(message) from error
        if isinstance(error, OSError):
            message = f"{self._address}: {error.strerror or error}"
        elif isinstance(error, http.client.HTTPException | ValueError | TypeError | RecursionError):
            message = f"{self._address}: not as expected: {type(error).__name__}: {error!s:.200}"
        else:
            return
        raise SourceError(message) from error


class Exchange:
    """One GET request and its answer, on a connection of its own.

    Attributes:
        socket: The connection.
        response: The answer, of which the headers have come.
    """

    def __init__(
        self, peer: Peer, path: str, deadline: Deadline, headers: Mapping[str, str] | None = None
    ) -> None:
        """Ask `peer` for `path`.

        Raises:
            OSError, http.client.HTTPException: When it does not answer with HTTP by `deadline`.
        """
        self.socket = peer.connect(deadline)
        self.response = http.client.HTTPResponse(self.socket, method="GET")
        try:
            host = urlsplit(peer.address).netloc or "docker"
            fields = {"Host": host, "Accept": "application/json", **(headers or {})}
            lines = [f"GET {path} HTTP/1.1", *(f"{one}: {text}" for one, text in fields.items())]
            self.socket.arm()
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
            self.response.begin()
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the connection."""
        self._close()

    def body(self, largest: int) -> bytes:
        """Return the whole body.

        Raises:
            OSError, http.client.HTTPException: When it has not come by the deadline.
            ValueError: When it is larger than `largest` bytes.
        """
        body = self.response.read(largest + 1)
        if len(body) > largest:
            message = f"more than {largest} bytes"
            raise ValueError(message)
        return body

    def _close(self) -> None:
        self.response.close()
        self.socket.close()


def _open(
    family: int,
    place: str | tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
    deadline: Deadline,
) -> DeadlineSocket:
    opened = DeadlineSocket(family, socket.SOCK_STREAM)
    try:
        opened.deadline = deadline
        opened.arm()
        opened.connect(place)
    except BaseException:
        opened.close()
        raise
    return opened
