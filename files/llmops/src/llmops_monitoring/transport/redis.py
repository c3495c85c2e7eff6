"""Redis streams between the applications and the process that writes: it needs the extra `redis`.

An application adds its events to a stream; one or several consumers read it as a group and write
to the backend. What a consumer took and did not write, another one takes over.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from llmops_monitoring.config import MonitorConfig, StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import RejectedError, StorageBackend
from llmops_monitoring.transport.making import Make
from llmops_monitoring.transport.worker import InProcessTransport

_LOG = logging.getLogger(__name__)
STREAM: Final = "llmops:events"
GROUP: Final = "llmops"
_BODY: Final = b"event"
# A stream that nobody reads must not fill Redis: from here on it counts as down.
_MOST_ENTRIES: Final = 1_000_000
_ANSWER_SECONDS: Final = 10.0
_BLOCK_MILLISECONDS: Final = 500
_ABANDONED_MILLISECONDS: Final = 60_000
_LONGEST_WAIT_SECONDS: Final = 30.0

Entry = tuple[bytes, dict[bytes, bytes]]


class StreamFullError(Exception):
    """The stream has as many events as it may have."""


def _connect(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=5)


class StreamWriter(StorageBackend):
    """What the in-process transport writes to when Redis is the next station."""

    def __init__(self, config: StorageConfig, url: str) -> None:
        """Write to the stream at `url`."""
        super().__init__(config)
        self._redis = _connect(url)

    async def initialize(self) -> None:
        """Ask Redis whether it is there.

        Raises:
            RedisError: It is not.
        """
        await self._redis.ping()

    async def write_event(self, event: MetricEvent) -> None:
        """Add one event."""
        await self.write_batch([event])

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        """Add all events, or none.

        Raises:
            RejectedError: One can't be written as JSON.
            StreamFullError: Nobody reads the stream.
            RedisError: Redis does not answer, or has no room.
        """
        try:
            bodies = [event.model_dump_json() for event in events]
        except ValueError as error:
            raise RejectedError(str(error)) from error
        if await self._redis.xlen(STREAM) + len(bodies) > _MOST_ENTRIES:
            message = f"{STREAM} has {_MOST_ENTRIES} events that nobody reads"
            raise StreamFullError(message)
        async with self._redis.pipeline(transaction=True) as pipeline:
            for body in bodies:
                pipeline.xadd(STREAM, {_BODY: body})
            await pipeline.execute()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def health_check(self) -> bool:
        """Return whether Redis answers and has room."""
        try:
            return bool(await self._redis.xlen(STREAM) < _MOST_ENTRIES)
        except (RedisError, OSError):
            return False

    def supports_batch_writes(self) -> bool:
        """Return True."""
        return True


class RedisTransport(InProcessTransport):
    """Delivers to Redis, with the queue, the spill file and the books of the other transport."""

    def __init__(self, config: MonitorConfig, make: Make) -> None:
        """Deliver to `config.redis_url` what `make` makes of calls."""
        self._url = _url(config)
        super().__init__(StreamWriter(config.storage, self._url), config, make)

    def _fresh_backend(self) -> StorageBackend:
        return StreamWriter(self._config.storage, self._url)


class RedisConsumer:
    """Writes what is in the stream to a backend.

    Attributes:
        written: How many events it wrote.
        dropped: How many the backend rejected, or were none.
    """

    def __init__(self, config: MonitorConfig, backend: StorageBackend) -> None:
        """Read from `config.redis_url`, in batches as `config.storage` says."""
        self._redis = _connect(_url(config))
        self._backend = backend
        self._count = config.storage.batch_size
        self._first_wait = config.retry_backoff_seconds
        self._name = secrets.token_hex(8)
        self.written = 0
        self.dropped = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` is set; what fails is tried again, since Redis keeps it meanwhile."""
        failures = 0
        ready = False
        try:
            while not stop.is_set():
                try:
                    if not ready:
                        await self._open()
                        ready = True
                    await self._step()
                    failures = 0
                except Exception as error:
                    failures += 1
                    _LOG.warning("Events wait in Redis: %s: %s", type(error).__name__, error)
                    await self._wait(failures, stop)
        finally:
            if ready:
                await self._backend.close()
            await self._redis.aclose()

    async def _open(self) -> None:
        await self._backend.initialize()
        try:
            await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _step(self) -> None:
        """Write a batch: what was taken before, by whomever, comes first."""
        entries = await self._own() or await self._abandoned() or await self._new()
        if not entries:
            return
        events: list[MetricEvent] = []
        for _, fields in entries:
            try:
                events.append(MetricEvent.model_validate_json(fields[_BODY]))
            except (KeyError, ValueError) as error:
                self._drop(error)
        await self._write(events)
        ids = [entry for entry, _ in entries]
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            await pipeline.execute()

    async def _write(self, events: Sequence[MetricEvent]) -> None:
        if not events:
            return
        try:
            await self._backend.write_batch(events)
        except RejectedError as error:
            if len(events) == 1:
                self._drop(error)
                return
            half = len(events) // 2
            await self._write(events[:half])
            await self._write(events[half:])
        else:
            self.written += len(events)

    def _drop(self, error: Exception) -> None:
        self.dropped += 1
        _LOG.warning("An event is dropped: %s", error)

    async def _own(self) -> list[Entry]:
        return await self._read("0", None)

    async def _new(self) -> list[Entry]:
        return await self._read(">", _BLOCK_MILLISECONDS)

    async def _read(self, after: str, block: int | None) -> list[Entry]:
        found: Any = await self._redis.xreadgroup(
            GROUP, self._name, {STREAM: after}, count=self._count, block=block
        )
        return _entries(found)

    async def _abandoned(self) -> list[Entry]:
        found: Any = await self._redis.xautoclaim(
            STREAM, GROUP, self._name, _ABANDONED_MILLISECONDS, count=self._count
        )
        return [entry for entry in found[1] if entry[1]]

    async def _wait(self, failures: int, stop: asyncio.Event) -> None:
        longest = min(self._first_wait * 2.0 ** min(failures - 1, 20), _LONGEST_WAIT_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(longest / 2, longest)):  # noqa: S311
                await stop.wait()


def _entries(found: Any) -> list[Entry]:
    # A list by stream, or a dictionary with RESP3, where entries lie one deeper.
    if not found:
        return []
    if isinstance(found, dict):
        return [tuple(entry) for part in found[STREAM.encode()] for entry in part]
    return list(found[0][1])


def _url(config: MonitorConfig) -> str:
    if config.redis_url is None:
        message = "redis_url is not set"
        raise ValueError(message)
    return config.redis_url.get_secret_value()
