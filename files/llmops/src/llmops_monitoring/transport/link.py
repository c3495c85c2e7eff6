"""The backend as the worker sees it: single attempts that take a bounded time and never raise."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import RejectedError, StorageBackend

_LOG = logging.getLogger(__name__)
_WRITE_SECONDS = 30.0
_HEALTH_SECONDS = 5.0


class Link:
    """A backend and how it went lately.

    Attributes:
        failures: How many attempts in a row failed.
        healthy: Whether the last one went well, None before the first.
        last_error: What the last failure was.
        last_flush: When something was last written.
        flushes: How many batches were written.
        flush_seconds: How long that took.
    """

    def __init__(self, backend: StorageBackend, seconds_left: Callable[[], float]) -> None:
        """Use `backend`, no longer than `seconds_left` tells at a time."""
        self._backend = backend
        self._seconds_left = seconds_left
        self._ready = False
        self._attempting: asyncio.Timeout | None = None
        self._complaints = Complaints()
        self.failures = 0
        self.healthy: bool | None = None
        self.last_error: str | None = None
        self.last_flush: datetime | None = None
        self.flushes = 0
        self.flush_seconds = 0.0

    async def open(self) -> bool:
        """Return whether the backend could be initialized, now or before."""
        return await self._attempt(()) is None

    async def write(self, events: Sequence[MetricEvent]) -> BaseException | None:
        """Return what went wrong, or None when all events are written."""
        begin = time.perf_counter()
        error = await self._attempt(events)
        if error is None:
            self.last_flush = datetime.now(UTC)
            self.flushes += 1
            self.flush_seconds += time.perf_counter() - begin
        return error

    async def answers(self) -> bool:
        """Return whether the backend says that it works."""
        try:
            async with asyncio.timeout(min(_HEALTH_SECONDS, self._seconds_left())):
                return self._ready and await self._backend.health_check()
        except (Exception, asyncio.CancelledError) as error:
            self._note(error)
            return False

    def hurry(self) -> None:
        """End the attempt that is being made when its new time is over."""
        if self._attempting is not None and not self._attempting.expired():
            limit = min(_WRITE_SECONDS, self._seconds_left())
            self._attempting.reschedule(asyncio.get_running_loop().time() + limit)

    async def close(self) -> None:
        """Let the backend put everything in its final place."""
        if not self._ready:
            return
        try:
            async with asyncio.timeout(max(self._seconds_left(), 1)):
                await self._backend.close()
        except (Exception, asyncio.CancelledError) as error:
            self._note(error)
            _LOG.warning("The backend did not close: %s", self.last_error)

    async def _attempt(self, events: Sequence[MetricEvent]) -> BaseException | None:
        try:
            async with asyncio.timeout(
                min(_WRITE_SECONDS, self._seconds_left())
            ) as self._attempting:
                if not self._ready:
                    await self._backend.initialize()
                    self._ready = True
                if len(events) == 1 and not self._backend.supports_batch_writes():
                    await self._backend.write_event(events[0])
                elif events:
                    await self._backend.write_batch(events)
        except RejectedError as error:
            # It works: what is wrong is in the events.
            self.last_error = described(error)
            return error
        # A backend's own tasks can be cancelled, this one isn't.
        except (Exception, asyncio.CancelledError) as error:
            self._note(error)
            self.failures += 1
            self._complaints.add(len(events), f"The backend takes nothing: {self.last_error}")
            return error
        finally:
            self._attempting = None
        if self.failures:
            _LOG.info("The backend answers again after %d failures", self.failures)
        self.failures = 0
        self.healthy = True
        return None

    def _note(self, error: BaseException) -> None:
        self.healthy = False
        self.last_error = described(error)


def described(error: BaseException) -> str:
    """Return an error in one line; that of a backend of the application may have no words."""
    try:
        said = " ".join(str(error).split())
    except Exception:
        said = "it can't be told"
    return f"{type(error).__name__}: {said}"


class Complaints:
    """Writes one line a minute about something that may happen a thousand times a second."""

    def __init__(self, every_seconds: float = 60) -> None:
        """Write a line every so many seconds at most."""
        self._every = every_seconds
        self._next = 0.0
        self._count = 0

    def add(self, count: int, message: str) -> None:
        """Count calls that `message` is about, and write it when it is time."""
        self._count += count
        now = time.monotonic()
        if now >= self._next:
            _LOG.warning("%s%s", message, f" ({self._count} calls)" if self._count else "")
            self._next = now + self._every
            self._count = 0
