"""The reading end of the Redis transport: `python -m llmops_monitoring.transport.consumer`.

It writes what applications put into the stream to the configured backend. Several of them share
the work: what one took and did not write, another one takes over.
"""

import asyncio
import contextlib
import logging
import math
import random
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from pydantic_settings import SettingsError
from redis.exceptions import RedisError, ResponseError

from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import RejectedError, StorageBackend
from llmops_monitoring.storage.finding import BackendError, backend_class
from llmops_monitoring.transport.link import Complaints, Link, described
from llmops_monitoring.transport.redis import BODY, GROUP, STREAM, connect

_LOG = logging.getLogger("llmops_monitoring.transport.consumer")
_BLOCK_MILLISECONDS: Final = 500
_ABANDONED_MILLISECONDS: Final = 60_000
_LONGEST_WAIT_SECONDS: Final = 30.0
_USAGE: Final = """\
usage: python -m llmops_monitoring.transport.consumer
  Writes events from Redis to a backend, until SIGTERM. From where and to where it learns as an
  application does: from LLMOPS_REDIS_URL and LLMOPS_STORAGE__….
"""

Entry = tuple[bytes, dict[bytes, bytes]]


class BackendDownError(Exception):
    """The backend did not take what it was given, and the reason is not in the events."""


class RedisConsumer:
    """Writes what is in the stream to a backend.

    Attributes:
        written: How many events it wrote.
        dropped: How many the backend rejected, or were none.
    """

    def __init__(self, config: MonitorConfig, backend: StorageBackend) -> None:
        """Read from `config.redis_url`, in batches as `config.storage` says.

        Raises:
            ValueError: It is no URL of Redis.
        """
        self._config = config
        self._redis = connect(config.redis_url)
        self._deadline = math.inf
        self._link = Link(backend, lambda: self._deadline - time.monotonic())
        self._complaints = Complaints()
        self._name = secrets.token_hex(8)
        self.written = 0
        self.dropped = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` is set; what fails is tried again, since Redis keeps it meanwhile."""
        serving = asyncio.create_task(self._serve(stop))
        seconds = self._config.shutdown_timeout_seconds
        try:
            await stop.wait()
            self._deadline = time.monotonic() + seconds
            self._link.hurry()
            await asyncio.wait([serving], timeout=seconds)
        finally:
            stop.set()
            serving.cancel()
            await asyncio.wait([serving])
            await self._link.close()
            await self._leave()

    async def _serve(self, stop: asyncio.Event) -> None:
        failures = 0
        joined = False
        # A wrong connection string shows at once, not with the first event.
        await self._link.open()
        while not stop.is_set():
            try:
                if not joined:
                    await self._join()
                    joined = True
                await self._step()
                failures = 0
            except Exception as error:
                # Redis may have been started anew, with nothing in it.
                joined = False
                failures += 1
                self._complaints.add(0, f"Events wait in Redis: {described(error)}")
                await self._wait(failures, stop)

    async def _join(self) -> None:
        try:
            await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _leave(self) -> None:
        """Take this consumer out of the group, where nothing that it took is left."""
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(1):
                if not await self._own():
                    await self._redis.xgroup_delconsumer(STREAM, GROUP, self._name)
        await self._redis.aclose()

    async def _step(self) -> None:
        """Write a batch: what was taken before, by whomever, comes first."""
        entries = await self._own() or await self._abandoned() or await self._new()
        if not entries:
            return
        events: list[MetricEvent] = []
        for _, fields in entries:
            try:
                events.append(MetricEvent.model_validate_json(fields[BODY]))
            except (KeyError, ValueError) as error:
                self._drop(error)
        if events:
            await self._write(events)
        ids = [entry for entry, _ in entries]
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            await pipeline.execute()

    async def _write(self, events: Sequence[MetricEvent], *, suspect: bool = False) -> None:
        """Write events; those that are rejected alone, or fail while others don't, are dropped.

        Raises:
            BackendDownError: All have to be written again later.
        """
        error = await self._link.write(events)
        if error is None:
            self.written += len(events)
        elif not (isinstance(error, RejectedError) or await self._takes_others(suspect)):
            raise BackendDownError(described(error)) from error
        elif len(events) == 1:
            await self._try_last(events, error)
        else:
            half = len(events) // 2
            await self._write(events[:half], suspect=True)
            await self._write(events[half:], suspect=True)

    async def _try_last(self, events: Sequence[MetricEvent], error: BaseException) -> None:
        """Write one event or drop it: the backend may have come back since `error`."""
        last = error if isinstance(error, RejectedError) else await self._link.write(events)
        if last is None:
            self.written += 1
        else:
            self._drop(last)

    async def _takes_others(self, suspect: bool) -> bool:
        patient = self._link.failures <= self._config.max_retries
        return (suspect or not patient) and await self._link.answers()

    def _drop(self, error: BaseException) -> None:
        self.dropped += 1
        self._complaints.add(1, f"An event is dropped: {described(error)}")

    async def _own(self) -> list[Entry]:
        return await self._read("0", None)

    async def _new(self) -> list[Entry]:
        return await self._read(">", _BLOCK_MILLISECONDS)

    async def _read(self, after: str, block: int | None) -> list[Entry]:
        count = self._config.storage.batch_size
        found: Any = await self._redis.xreadgroup(
            GROUP, self._name, {STREAM: after}, count=count, block=block
        )
        return _entries(found)

    async def _abandoned(self) -> list[Entry]:
        count = self._config.storage.batch_size
        found: Any = await self._redis.xautoclaim(
            STREAM, GROUP, self._name, _ABANDONED_MILLISECONDS, count=count
        )
        return [entry for entry in found[1] if entry[1]]

    async def _wait(self, failures: int, stop: asyncio.Event) -> None:
        first = self._config.retry_backoff_seconds
        longest = min(first * 2.0 ** min(failures - 1, 20), _LONGEST_WAIT_SECONDS)
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


def main(arguments: list[str]) -> int:
    """Run a consumer by the settings of the environment; return the status to end with."""
    if arguments:
        sys.stderr.write(_USAGE)
        return 2
    logging.basicConfig(level=logging.INFO)
    try:
        config = MonitorConfig.from_env()
        backend = backend_class(config.storage.backend)(config.storage)
        asyncio.run(_run(config, backend))
    except (SettingsError, BackendError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _run(config: MonitorConfig, backend: StorageBackend) -> None:
    consumer = RedisConsumer(config, backend)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    _LOG.info("Events go from %s to the backend %s", STREAM, config.storage.backend)
    await consumer.run(stop)
    _LOG.info("Wrote %d events, dropped %d", consumer.written, consumer.dropped)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
