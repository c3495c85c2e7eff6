"""Several exporters in one process: one loop, one uvicorn server and one port each."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog
import uvicorn.server
from uvicorn.config import Config

from llm_monitor.base.collection.engine import Engine
from llm_monitor.base.collection.together import Together
from llm_monitor.base.errors import SettingsError
from llm_monitor.base.memory import release
from llm_monitor.base.web.app import create_app
from llm_monitor.base.web.auth import Credentials

_GRACE_SECONDS = 2
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 256
_SETTLED_SECONDS = 1.0
_TICK_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """One exporter and where it listens.

    Attributes:
        engine: Its engine.
        listener: Its listening socket.
    """

    engine: Engine | Together
    listener: socket.socket

    @property
    def address(self) -> str:
        """Where it listens, as `address:port`."""
        host, port = self.listener.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Server(uvicorn.server.Server):
    """A uvicorn server that leaves the signals to whoever runs several of them, and rests more."""

    def __init__(self, config: Config) -> None:
        """Serve as `config` says."""
        super().__init__(config)
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Let `serve` end."""
        self.should_exit = True
        self._stopped.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    async def main_loop(self) -> None:
        """Renew the date in the answers' headers once a second, until `stop`.

        uvicorn's own loop looks ten times a second whether to end. Between two scrapes nothing else
        costs as much: 0.2 % of a core.
        """
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), _TICK_SECONDS)


def listen(address: str, port: int, setting: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        SettingsError: When the address or port can't be had; it names `setting`.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        problem = f"{setting}: can't listen on {address} port {port}: {error.strerror}"
        raise SettingsError([problem]) from error
    listener.setblocking(False)
    return listener


async def serve(services: Sequence[Service], credentials: Credentials) -> None:
    """Serve until SIGTERM or SIGINT, then end within 5 s whatever still runs."""
    servers = [_server(service, credentials) for service in services]

    def stop() -> None:
        _log.info("stopping")
        for service, server in zip(services, servers, strict=True):
            service.engine.stop()
            server.stop()

    loop = asyncio.get_running_loop()
    for number in uvicorn.server.HANDLED_SIGNALS:
        loop.add_signal_handler(number, stop)
    for service in services:
        service.engine.start()
        _log.info("listening", exporter=service.engine.exporter.name, address=service.address)
    loop.call_later(_SETTLED_SECONDS, release)
    await asyncio.gather(
        *(
            server.serve(sockets=[service.listener])
            for service, server in zip(services, servers, strict=True)
        )
    )
    _log.info("stopped")


def _server(service: Service, credentials: Credentials) -> Server:
    config = Config(
        create_app(service.engine, credentials),
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return Server(config)
