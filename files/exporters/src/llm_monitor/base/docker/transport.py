"""HTTP requests that have been answered by a deadline, over TCP or a Unix socket.

A socket's own timeout sees silence only: a peer that sends one byte a second never meets it.
"""

import http.client
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.errors import SourceError

_HTTP_PORT = 80


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
        self, address: str, path: str, deadline: Deadline, headers: Mapping[str, str] | None = None
    ) -> None:
        """Ask `address`, a Unix socket's path or an http URL, for `path`.

        Looking up a host's name is the one thing that the deadline doesn't cut off.

        Raises:
            OSError, http.client.HTTPException: When it does not answer with HTTP by `deadline`.
        """
        self.socket = _connect(address, deadline)
        self.response = http.client.HTTPResponse(self.socket, method="GET")
        try:
            host = "docker" if address.startswith("/") else urlsplit(address).netloc
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


def _connect(address: str, deadline: Deadline) -> DeadlineSocket:
    if address.startswith("/"):
        return _open(socket.AF_UNIX, address, deadline)
    url = urlsplit(address)
    places = socket.getaddrinfo(url.hostname, url.port or _HTTP_PORT, type=socket.SOCK_STREAM)
    failure = OSError("no address")
    for family, _, _, _, place in places:
        try:
            return _open(family, place, deadline)
        except OSError as error:
            failure = error
    raise failure


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
