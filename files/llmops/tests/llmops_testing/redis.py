"""A real Redis in a folder of its own."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import redis

from llmops_testing.programs import Process, find, free_port, start
from llmops_testing.waiting import wait_for


class RedisServer:
    """A server on a port of its own, which keeps what it has on disk.

    Attributes:
        url: Where it is.
    """

    def __init__(self) -> None:
        """Know where it will be."""
        self._port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._server: Process | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ("--port", str(self._port), "--bind", "127.0.0.1", "--appendonly", "yes")
        self._server = start(find("bin/redis-server"), *options, folder=self._folder)
        wait_for(self._answers, 20)

    def stop(self) -> None:
        """End it as it wants to be ended."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(20)
            self._server = None

    def remove(self) -> None:
        """End it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._folder)

    def clear(self) -> None:
        """Forget all."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def length(self, stream: str) -> int:
        """Return how many entries a stream has."""
        with redis.Redis.from_url(self.url) as client:
            found = client.xlen(stream)
            assert isinstance(found, int)
            return found

    def pending(self, stream: str) -> int:
        """Return how many entries of a stream were taken and are not settled."""
        return sum(int(group["pending"]) for group in self._groups(stream))

    def consumers(self, stream: str) -> int:
        """Return how many consumers a stream has."""
        return sum(int(group["consumers"]) for group in self._groups(stream))

    def _groups(self, stream: str) -> Any:
        with redis.Redis.from_url(self.url) as client:
            return client.xinfo_groups(stream)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
