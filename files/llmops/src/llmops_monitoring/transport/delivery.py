"""How batches get to the backend: retries, the search for poisoned events, spill and replay."""

import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from llmops_monitoring.call import Call
from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import RejectedError
from llmops_monitoring.transport.link import Complaints, Link, described
from llmops_monitoring.transport.making import Make
from llmops_monitoring.transport.queue import CallQueue, Dropped
from llmops_monitoring.transport.spill import Spill, Spilled, SpillError

_LONGEST_WAIT_SECONDS = 30.0


class Batch(NamedTuple):
    """Events in a row.

    Attributes:
        place: Where the first stands among all events.
        events: They themselves.
    """

    place: int
    events: Sequence[MetricEvent]


class _Origin(Protocol):
    """Where a batch came from, and with it what follows from what became of it."""

    def written(self, batch: Batch) -> None: ...

    def dropped(self, batch: Batch, reason: Dropped) -> None: ...

    def put_back(self, batch: Batch) -> None: ...


class Clock(Protocol):
    """What a delivery asks about time."""

    def seconds_left(self) -> float:
        """Return how long it may go on: infinite until the transport stops."""

    async def pause(self, seconds: float) -> bool:
        """Wait; return whether there is time left afterwards."""


class Delivery:
    """Gets calls to the backend, through the spill file where there is one."""

    def __init__(
        self,
        link: Link,
        queue: CallQueue,
        spill: Spill | None,
        config: MonitorConfig,
        make: Make,
        clock: Clock,
    ) -> None:
        """Take calls from `queue`, have events made of them by `make`, and write these."""
        self._link = link
        self._queue = queue
        self._spill = spill
        self._config = config
        self._make = make
        self._clock = clock
        self._memory = _Memory(queue, spill, clock)
        # What an earlier process left behind comes first, unless the clock was set back.
        self._place = time.time_ns()
        self._complaints = Complaints()
        self.next_replay = 0.0

    @property
    def is_behind(self) -> bool:
        """Whether older events are on disk."""
        return self._spill is not None and len(self._spill) > 0

    @property
    def spills(self) -> bool:
        """Whether there is a spill file."""
        return self._spill is not None

    @property
    def has_no_patience_left(self) -> bool:
        """Whether the backend failed more often in a row than it is tried again."""
        return self._link.failures > self._config.max_retries

    async def send(self, count: int) -> bool:
        """Deliver up to `count` calls of the queue; return whether there were any."""
        calls = self._queue.take(count)
        if calls:
            await self._deliver(self._batch(calls), self._memory)
        return bool(calls)

    async def replay(self, count: int) -> bool:
        """Deliver up to `count` events from disk; return whether the backend took them."""
        if self._spill is None:
            return True
        if self._link.failures:
            self._queue.note_retry()
        try:
            rows = self._spill.first(count)
            disk = _Disk(self._queue, self._spill, {row.event_id: row.place for row in rows})
            done = await self._deliver(self._read(rows, disk), disk)
        except SpillError as error:
            self._complaints.add(0, f"The spill file can't be read: {error}")
            self._link.failures += 1
            done = False
        self.next_replay = 0.0 if done else time.monotonic() + self._wait(self._link.failures)
        return done

    def spill_queue(self) -> None:
        """Put all calls of the queue on disk."""
        for calls in self._take_all():
            self._memory.put_back(self._batch(calls))

    def drop_queue(self) -> None:
        """Drop all calls of the queue, since there is no time left."""
        for calls in self._take_all():
            self._queue.settle(dropped=len(calls), reason=Dropped.STOPPED)

    def _take_all(self) -> Iterator[list[Call]]:
        """Take in parts what is in the queue now; what is put meanwhile is for the next time."""
        waiting = len(self._queue)
        size = self._config.storage.batch_size
        for done in range(0, waiting, size):
            yield self._queue.take(min(size, waiting - done))

    def _batch(self, calls: Sequence[Call]) -> Batch:
        events: Sequence[MetricEvent]
        try:
            events = self._make(calls)
        except Exception:
            events = [event for call in calls for event in self._made(call)]
        place = self._place
        self._place += len(events)
        return Batch(place, events)

    def _made(self, call: Call) -> Sequence[MetricEvent]:
        """Return the event of a call, or none and the call dropped."""
        try:
            return self._make([call])
        except Exception as error:
            self._queue.settle(dropped=1, reason=Dropped.INVALID)
            self._complaints.add(1, f"No event can be made of a call: {described(error)}")
            return ()

    def _read(self, rows: Sequence[Spilled], disk: "_Disk") -> Batch:
        events = []
        for row in rows:
            try:
                events.append(MetricEvent.model_validate_json(row.body))
            except ValueError as error:
                disk.forget(row, Dropped.INVALID)
                self._complaints.add(1, f"What was spilled is no event: {described(error)}")
        return Batch(0, events)

    async def _deliver(self, whole: Batch, origin: _Origin) -> bool:
        """Settle each event of a batch; return whether the backend took what it should."""
        pending = [whole]
        suspect = False
        while pending:
            batch = pending.pop()
            if not batch.events:
                continue
            patient = len(batch.events) == 1 or not (suspect or self.spills)
            error = await self._tries(batch, patient=patient)
            if error is None:
                origin.written(batch)
            elif not (isinstance(error, RejectedError) or await self._takes_others(suspect)):
                for one in (batch, *reversed(pending)):
                    origin.put_back(one)
                return False
            elif len(batch.events) > 1:
                suspect = True
                pending.extend(reversed(_halves(batch)))
            elif (last := await self._last_try(batch, error)) is None:
                origin.written(batch)
            else:
                origin.dropped(batch, Dropped.REJECTED)
                self._complaints.add(1, f"The backend rejects an event: {described(last)}")
        return True

    async def _last_try(self, batch: Batch, error: BaseException) -> BaseException | None:
        """Return how one more attempt went: the backend may have come back since `error`."""
        if isinstance(error, RejectedError):
            return error
        self._queue.note_retry()
        return await self._link.write(batch.events)

    async def _takes_others(self, suspect: bool) -> bool:
        """Return whether the backend is up, so that the reason for a failure is in a batch."""
        return (suspect or self.has_no_patience_left) and await self._link.answers()

    async def _tries(self, batch: Batch, *, patient: bool) -> BaseException | None:
        """Return how the last attempt went; who is patient makes as many as are configured."""
        for number in itertools.count(1):
            error = await self._link.write(batch.events)
            if error is None or isinstance(error, RejectedError):
                return error
            if not patient or number > self._config.max_retries:
                return error
            if not await self._clock.pause(self._wait(number)):
                return error
            self._queue.note_retry()
        raise AssertionError

    def _wait(self, number: int) -> float:
        """Return seconds before the next attempt: twice as long each time, and never in step."""
        first = self._config.retry_backoff_seconds
        longest = min(first * 2.0 ** min(number - 1, 20), max(_LONGEST_WAIT_SECONDS, first))
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


class _Memory:
    """Batches that came from the queue."""

    def __init__(self, queue: CallQueue, spill: Spill | None, clock: Clock) -> None:
        self._queue = queue
        self._spill = spill
        self._clock = clock
        self._complaints = Complaints()

    def written(self, batch: Batch) -> None:
        self._queue.settle(written=len(batch.events))

    def dropped(self, batch: Batch, reason: Dropped) -> None:
        self._queue.settle(dropped=len(batch.events), reason=reason)

    def put_back(self, batch: Batch) -> None:
        if self._spill is None:
            late = self._clock.seconds_left() <= 0
            self.dropped(batch, Dropped.STOPPED if late else Dropped.UNAVAILABLE)
            self._complaints.add(len(batch.events), "The backend is down, and calls are dropped")
            return
        rows = self._rows(batch)
        fit = rows[: self._spill.room]
        try:
            kept = self._spill.add(fit)
        except SpillError as error:
            kept = 0
            self._complaints.add(len(rows), f"The spill file takes nothing: {error}")
        self._queue.settle(spilled=kept)
        if kept < len(rows):
            self._queue.settle(dropped=len(rows) - kept, reason=Dropped.SPILL_FULL)
            self._complaints.add(len(rows) - kept, "The spill file is full, and calls are dropped")

    def _rows(self, batch: Batch) -> list[Spilled]:
        rows = []
        for place, event in enumerate(batch.events, batch.place):
            try:
                body = event.model_dump_json().encode()
            except ValueError as error:
                self._queue.settle(dropped=1, reason=Dropped.INVALID)
                self._complaints.add(1, f"An event can't be spilled: {described(error)}")
            else:
                rows.append(Spilled(place, event.event_id, body))
        return rows


class _Disk:
    """Batches that came from the spill file, where they stay until they are settled."""

    def __init__(self, queue: CallQueue, spill: Spill, places: Mapping[str, int]) -> None:
        self._queue = queue
        self._spill = spill
        self._places = places

    def written(self, batch: Batch) -> None:
        self._queue.settle_spilled(written=self._remove(batch))

    def dropped(self, batch: Batch, reason: Dropped) -> None:
        self._queue.settle_spilled(dropped=self._remove(batch), reason=reason)

    def put_back(self, batch: Batch) -> None:
        """Leave it where it is."""

    def forget(self, row: Spilled, reason: Dropped) -> None:
        """Drop what can't be read."""
        removed = self._spill.remove([(row.place, row.event_id)])
        self._queue.settle_spilled(dropped=removed, reason=reason)

    def _remove(self, batch: Batch) -> int:
        ids = [event.event_id for event in batch.events]
        return self._spill.remove((self._places[one], one) for one in ids)


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    place, events = batch
    half = len(events) // 2
    return Batch(place, events[:half]), Batch(place + half, events[half:])
