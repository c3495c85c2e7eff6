"""A small client of the Docker Engine API (https://docs.docker.com/reference/api/engine/).

It only reads, and only what the read-only proxy in front of the engine lets through: /_ping,
/events, /containers/json (all=1 or no query) and /containers/{id}/json. Paths carry no version: an
engine then answers in the newest one that it speaks, whereas a fixed old one is refused by later
engines (29 wants 1.44 or later).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.stream import Stream
from llm_monitor.base.docker.transport import Answering, Exchange, Peer
from llm_monitor.base.errors import SourceError, SourceMissingError

_PROXY = re.compile(r"http://[^/:@?#\s]+:([0-9]{1,5})")
_LAST_PORT = 65535
_LARGEST_ANSWER = 8 << 20
_LARGEST_EXCUSE = 1 << 10
_CONNECT_SECONDS = 5.0


class RefusedError(SourceError):
    """The engine, or a proxy in front of it, has answered that it can't.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        """Keep the status."""
        super().__init__(message)
        self.status = status


class DockerApi:
    """Asks one engine; every call has a connection of its own, so that a restart needs no care.

    Attributes:
        address: Where it answers: a Unix socket's path or http://host:port.
    """

    def __init__(self, address: str) -> None:
        """Ask at `address`, as `docker_address` accepts it."""
        self.address = address
        self._peer = Peer(address)

    def get(self, path: str, deadline: Deadline) -> Any:
        """Return the JSON at `path`, such as `/containers/json?all=1`.

        Raises:
            SourceMissingError: When there is nothing at `path` (404), such as a container that has
                been removed.
            RefusedError: When the answer is an error.
            TooLateError: When no whole answer has come by `deadline`.
            SourceError: When the engine can't be reached, or its answer is no JSON value of at most
                8 MiB.
        """
        return ask(self._peer, path, deadline)

    @contextmanager
    def events(
        self, filters: Mapping[str, Sequence[str]], since: str | None = None
    ) -> Iterator[Stream]:
        """Give the stream of the engine's events that match `filters`, such as {"type": [...]}.

        `since` is a Unix time such as `1700000000.000000001`: the engine begins with what it
        remembers from then on.

        Raises:
            SourceError: When the engine does not answer within seconds.
        """
        query = {"filters": json.dumps({name: list(one) for name, one in filters.items()})}
        if since is not None:
            query["since"] = since
        path = f"/events?{urlencode(query)}"
        with Answering(self.address):
            exchange = Exchange(self._peer, path, Deadline.after(_CONNECT_SECONDS))
        with exchange:
            _check(exchange, self.address, path)
            exchange.socket.watch_peer()
            yield Stream(self.address, exchange)


def ask(peer: Peer, path: str, deadline: Deadline, headers: Mapping[str, str] | None = None) -> Any:
    """Return the JSON at `path` of `peer`, which need not be an engine.

    Raises:
        SourceMissingError, RefusedError, TooLateError, SourceError: As `DockerApi.get` does.
    """
    with Answering(peer.address), Exchange(peer, path, deadline, headers) as exchange:
        _check(exchange, peer.address, path)
        return json.loads(exchange.body(_LARGEST_ANSWER))


def _check(exchange: Exchange, address: str, path: str) -> None:
    """Raise what any status but 200 means."""
    status = exchange.response.status
    if status == HTTPStatus.OK:
        return
    where = f"{address}: GET {path.partition('?')[0]}"
    if status == HTTPStatus.NOT_FOUND:
        message = f"{where}: not found"
        raise SourceMissingError(message)
    with Answering(address):
        excuse = exchange.response.read(_LARGEST_EXCUSE).decode("utf-8", "backslashreplace")
    message = f"{where}: status {status}: {excuse.strip()!r}"
    raise RefusedError(message, status)


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
