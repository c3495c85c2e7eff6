"""Redis streams between the applications and the process that writes: it needs the extra `redis`.

An application adds its events to a stream; consumers read it as a group and write to the backend.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from llmops_monitoring.config import PREFIX, MonitorConfig, StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import RejectedError, StorageBackend
from llmops_monitoring.transport.making import Make
from llmops_monitoring.transport.worker import InProcessTransport

STREAM: Final = "llmops:events"
GROUP: Final = "llmops"
BODY: Final = b"event"
# A stream that nobody reads must not fill Redis: from here on it counts as down.
_MOST_ENTRIES: Final = 1_000_000
_ANSWER_SECONDS: Final = 10.0
_EXAMPLE: Final = "redis://:password@host:6379/0"


class StreamFullError(Exception):
    """The stream has as many events as it may have."""


def connect(url: SecretStr | None) -> Redis:
    """Return a client of the Redis at `url`.

    Raises:
        ValueError: It is no URL of Redis; the text does not have it, since it holds a password.
    """
    try:
        return Redis.from_url(
            url.get_secret_value() if url else "",
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=5,
        )
    except ValueError:
        message = f"redis_url ({PREFIX}REDIS_URL) can't be read; expected {_EXAMPLE}"
        raise ValueError(message) from None


class StreamWriter(StorageBackend):
    """What the in-process transport writes to when Redis is the next station."""

    def __init__(self, config: StorageConfig, url: SecretStr | None) -> None:
        """Write to the stream at `url`."""
        super().__init__(config)
        self._redis = connect(url)

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
                pipeline.xadd(STREAM, {BODY: body})
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
        super().__init__(StreamWriter(config.storage, config.redis_url), config, make)

    def _fresh_backend(self) -> StorageBackend:
        return StreamWriter(self._config.storage, self._config.redis_url)
