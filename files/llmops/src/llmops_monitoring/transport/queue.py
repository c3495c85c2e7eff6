"""The way from the application's threads to the worker, and the books of what became of calls."""

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from llmops_monitoring.call import Call
from llmops_monitoring.transport.base import TransportStats


class Dropped(StrEnum):
    """Why a call is neither written nor spilled."""

    QUEUE_FULL = "queue_full"
    """The queue was full, and this was the newest call."""
    OLDEST = "oldest"
    """The queue was full, and this was the oldest call."""
    STOPPED = "stopped"
    """The transport had ended, or ended before the call's turn came."""
    INVALID = "invalid"
    """No event could be made of the call."""
    REJECTED = "rejected"
    """The backend takes others, but not this event."""
    UNAVAILABLE = "unavailable"
    """The backend was down for longer than it is tried."""
    SPILL_FULL = "spill_full"
    """The backend was down, and the spill file was full or could not be written."""


class _Tally:
    """A number that threads and signal handlers count up without a lock."""

    def __init__(self) -> None:
        self._next = itertools.count()
        self._reads = 0

    def add(self) -> None:
        # One call into C: nothing comes between reading the number and writing it.
        next(self._next)

    def read(self) -> int:
        """Return the number; only one thread at a time may ask."""
        # To look is to count, so the looks are taken off again.
        number = next(self._next) - self._reads
        self._reads += 1
        return number


class CallQueue:
    """A bounded queue that never holds up who puts, with the books of its transport.

    Putting takes no lock, so that it may happen in a signal handler or a finalizer that interrupts
    another one. Everything that the worker does with calls it does under the lock that `stats`
    takes too: what it reads there is of one moment.
    """

    def __init__(
        self,
        capacity: int,
        notice: int,
        overflow: Literal["drop_newest", "drop_oldest", "spill"],
        wake: Callable[[], None],
    ) -> None:
        """Return an empty queue.

        Args:
            capacity: The most calls in it. Threads that put at the same moment may pass it by one
                each.
            notice: How many calls wake the worker.
            overflow: What is dropped from a full queue. With `spill` the worker empties it in
                time; where that was too slow, the newest is dropped.
            wake: Wakes the worker; called on the threads that put.
        """
        self._capacity = capacity
        self._evict = overflow == "drop_oldest"
        self._wake = wake
        self._usual_notice = min(notice, capacity)
        self.reset()

    def reset(self) -> None:
        """Start anew, with nothing in the queue and the books, as in a forked child."""
        self._calls: deque[Call] = deque()
        self._lock = threading.Lock()
        self._refused = {
            reason: _Tally() for reason in (Dropped.QUEUE_FULL, Dropped.OLDEST, Dropped.STOPPED)
        }
        self._dropped: Counter[str] = Counter()
        self._held = self._written = self._spilled = self._taken = self._retried = 0
        self._closed = False
        # The first call wakes the worker, for which a forked child starts one.
        self._awake = False
        self._notice = 0

    def __len__(self) -> int:
        """Return how many calls wait to be taken."""
        return len(self._calls)

    def put(self, call: Call) -> None:
        """Take a call, or count it as dropped."""
        if len(self._calls) < self._notice:
            self._calls.append(call)
        else:
            self._put_and_wake(call)

    def _put_and_wake(self, call: Call) -> None:
        if self._closed:
            self._refused[Dropped.STOPPED].add()
            return
        if len(self._calls) < self._capacity:
            self._calls.append(call)
        elif self._evict:
            self._evict_one()
            self._calls.append(call)
        else:
            self._refused[Dropped.QUEUE_FULL].add()
        if not self._awake:
            self._awake = True
            self._wake()

    def _evict_one(self) -> None:
        try:
            self._calls.popleft()
        except IndexError:
            # The worker has taken all of them meanwhile.
            return
        self._refused[Dropped.OLDEST].add()

    @property
    def is_settled(self) -> bool:
        """Whether no call is in memory, as far as one sees without the lock."""
        return not self._calls and not self._held

    @property
    def lost_unlocked(self) -> int:
        """The same as `lost`, for a signal handler that may have interrupted who has the lock."""
        return self._dropped.total()

    @property
    def lost(self) -> int:
        """How many calls the worker has dropped."""
        with self._lock:
            return self._dropped.total()

    def rearm(self, notice: int | None = None) -> None:
        """Let so many calls wake the worker again, or as many as usual."""
        whole = self._usual_notice if notice is None else min(notice, self._capacity)
        self._notice = 0 if self._closed else whole - 1
        self._awake = False

    def close(self) -> None:
        """Drop all calls from now on."""
        self._closed = True
        self._notice = 0

    @property
    def passed(self) -> int:
        """How many calls the worker will have taken when it took all that are here now."""
        with self._lock:
            return self._taken + len(self._calls)

    def has_passed(self, mark: int) -> bool:
        """Return whether all calls up to `mark` were taken and settled."""
        with self._lock:
            return not self._held and (self._taken >= mark or not self._calls)

    def take(self, count: int) -> list[Call]:
        """Return up to `count` calls, the oldest first; they are held until they are settled."""
        calls: list[Call] = []
        with self._lock:
            try:
                for _ in range(min(count, len(self._calls))):
                    calls.append(self._calls.popleft())  # noqa: PERF401 - it ends in the middle
            except IndexError:
                # Others took the oldest out of a full queue.
                pass
            self._held += len(calls)
            self._taken += len(calls)
        return calls

    def settle(
        self, *, written: int = 0, spilled: int = 0, dropped: int = 0, reason: Dropped | None = None
    ) -> None:
        """Note what became of calls that were held."""
        with self._lock:
            self._held -= written + spilled + dropped
            self._written += written
            self._spilled += spilled
            if reason is not None:
                self._dropped[reason] += dropped

    def settle_spilled(
        self, *, written: int = 0, dropped: int = 0, reason: Dropped | None = None
    ) -> None:
        """Note what became of events that were spilled."""
        with self._lock:
            self._spilled -= written + dropped
            self._written += written
            if reason is not None:
                self._dropped[reason] += dropped

    def inherit(self, spilled: int) -> None:
        """Note what an earlier process left in the spill file: it counts as put here."""
        with self._lock:
            self._spilled += spilled

    def note_retry(self) -> None:
        """Note that a batch is tried again."""
        with self._lock:
            self._retried += 1

    def stats(self) -> TransportStats:
        """Return the books; who asks adds what else it knows."""
        with self._lock:
            dropped = self._dropped.copy()
            for reason, tally in self._refused.items():
                dropped[reason] += tally.read()
            queued = len(self._calls) + self._held
            gone = self._written + dropped.total() + self._spilled
            return TransportStats(
                enqueued=gone + queued,
                written=self._written,
                dropped={str(reason): count for reason, count in dropped.items() if count},
                queued=queued,
                buffered=self._held,
                spilled=self._spilled,
                retried=self._retried,
            )
