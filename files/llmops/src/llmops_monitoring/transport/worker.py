"""The transport of one process: a daemon thread with a loop of its own delivers what is put."""

import asyncio
import contextlib
import dataclasses
import logging
import math
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from llmops_monitoring.call import Call
from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.storage.base import StorageBackend
from llmops_monitoring.transport import lifecycle
from llmops_monitoring.transport.base import TransportStats
from llmops_monitoring.transport.delivery import Delivery
from llmops_monitoring.transport.gate import Gate, GatedSelector
from llmops_monitoring.transport.link import Link
from llmops_monitoring.transport.making import Make, Making, Observer
from llmops_monitoring.transport.queue import CallQueue
from llmops_monitoring.transport.spill import Spill, SpillError

_LOG = logging.getLogger(__name__)
# How much longer than it was given `stop` waits for the thread to put everything down.
_GRACE_SECONDS = 2.0
# How long after a full batch the worker looks for the next one, and how often.
_BUSY_SECONDS = 0.1
_LOOK_SECONDS = 0.01
# What a forked child must neither use nor let be finalized: sockets and files are the parent's too.
_LEFT_TO_PARENT: list[object] = []


@dataclasses.dataclass(slots=True, eq=False)
class _Flush:
    """Somebody who waits until all calls up to `mark` are settled."""

    mark: int
    done: threading.Event = dataclasses.field(default_factory=threading.Event)


class InProcessTransport:
    """Delivers calls to a backend from a thread of this process."""

    def __init__(
        self,
        backend: StorageBackend,
        config: MonitorConfig,
        make: Make,
    ) -> None:
        """Deliver to `backend` what `make` makes of calls."""
        self._backend = backend
        self._config = config
        self._make = Making(make)
        storage = config.storage
        self._queue = CallQueue(
            config.max_queue_size, storage.batch_size, config.overflow, self._wake
        )
        # It has to mean the same file when the application changes its folder.
        beside = storage.output_dir.with_name(f"{storage.output_dir.name}.spill.sqlite")
        self._spill_path = Path(config.spill_path or beside).absolute()
        self._reset()

    def _reset(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._worker: _Worker | None = None
        self._stopped = False
        # How many lost calls the answers of `flush` have told of.
        self._told = 0

    def start(self) -> None:
        """Be ready for calls; it is safe to call this twice."""
        self._start_thread()

    def put(self, call: Call, /) -> None:
        """Take a call on the thread that made it: without waiting, without raising."""
        self._queue.put(call)

    def flush(self, timeout: float) -> bool:
        """Return whether all that was put before is written or spilled within `timeout` seconds.

        What the worker dropped since the last flush counts too: it may be quicker than who asks.
        """
        told, mark = self._told, self._queue.passed
        if not self._queue.has_passed(mark) and not self._wait_until_passed(mark, timeout):
            return False
        lost = self._queue.lost
        self._told = max(self._told, lost)
        return lost == told

    def _wait_until_passed(self, mark: int, timeout: float) -> bool:
        self._start_thread()
        if self._worker is None:
            return False
        flush = _Flush(mark)
        self._worker.flushes.append(flush)
        self._worker.wake()
        return flush.done.wait(timeout)

    def stop(self, timeout: float) -> bool:
        """Flush, then end; return whether all was delivered within `timeout` seconds.

        What can't be written is spilled or dropped then. It is safe in a signal handler.
        """
        lost = self._queue.lost_unlocked
        self._stopped = True
        if self._thread is None and not self._queue.is_settled:
            # Calls of a forked child whose thread has not come to life yet.
            self._start_thread(stopped=True)
        if self._worker is not None and self._thread is not None:
            self._worker.stop(timeout)
            self._thread.join(timeout + _GRACE_SECONDS)
        self._queue.close()
        lifecycle.detach(self)
        return self._queue.is_settled and self._queue.lost_unlocked == lost

    def stats(self) -> TransportStats:
        """Return the counters, all of the same moment."""
        counters = self._queue.stats()
        worker = self._worker
        running = self._thread is not None and self._thread.is_alive() and not self._stopped
        if worker is None or worker.link is None:
            return dataclasses.replace(counters, running=running)
        return dataclasses.replace(
            counters,
            running=running,
            healthy=worker.link.healthy,
            last_error=worker.link.last_error,
            last_flush=worker.link.last_flush,
            flushes=worker.link.flushes,
            flush_seconds=worker.link.flush_seconds,
        )

    def watch(self, observer: Observer) -> None:
        """Show each event to `observer`, on the worker's thread; before `start`."""
        self._make.observers.append(observer)

    def end(self) -> None:
        """Stop, since the process ends."""
        self.stop(self._config.shutdown_timeout_seconds)

    def begin_anew(self) -> None:
        """Be as on the first day, in a forked child; the first call starts a thread."""
        _LEFT_TO_PARENT.extend((self._backend, self._worker, self._thread))
        if self._worker is not None:
            self._worker.forget()
        stopped = self._stopped
        self._queue.reset()
        try:
            self._backend = self._fresh_backend()
        except Exception as error:
            _LOG.warning("No backend for a forked child, its calls are dropped: %r", error)
            stopped = True
        self._make.begin_anew()
        self._reset()
        if stopped:
            self._stopped = True
            self._queue.close()

    def _fresh_backend(self) -> StorageBackend:
        """Return a backend like the parent's, which has opened nothing."""
        return type(self._backend)(self._config.storage)

    def _wake(self) -> None:
        if self._worker is None:
            self._start_thread()
        else:
            self._worker.wake()

    def _start_thread(self, *, stopped: bool = False) -> None:
        if self._thread is not None or (self._stopped and not stopped):
            return
        if not self._starting.acquire(blocking=False):
            return
        lifecycle.attach(self)
        self._worker = _Worker(
            self._backend, self._config, self._make, self._queue, self._spill_path
        )
        # A daemon: else the interpreter would wait for it before it calls who stops it.
        self._thread = threading.Thread(target=self._worker.run, name="llmops", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            _LOG.warning("No thread can be started, calls are dropped: %s", error)
            self._thread = self._worker = None
            self._queue.close()


class _Worker:
    """What runs on the thread."""

    def __init__(
        self,
        backend: StorageBackend,
        config: MonitorConfig,
        make: Make,
        queue: CallQueue,
        spill_path: Path,
    ) -> None:
        self._backend = backend
        self._config = config
        self._make = make
        self._queue = queue
        self._spill_path = spill_path
        self._gate = Gate()
        self._spill: Spill | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadline = math.inf
        self._stopping = False
        self._gave_up = False
        self._tick = 0.0
        self.flushes: list[_Flush] = []
        self.link: Link | None = None

    def wake(self) -> None:
        """Have the loop look around; from any thread."""
        loop = self._loop
        if loop is not None:
            # It may just have ended.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._look_around)

    def _look_around(self) -> None:
        self._woken.set()
        if self._stopping and self.link is not None:
            self.link.hurry()

    def stop(self, timeout: float) -> None:
        """Have the loop end within `timeout` seconds."""
        self._deadline = time.monotonic() + timeout
        self._stopping = True
        self.wake()

    def forget(self) -> None:
        """Leave all to the parent, after a fork."""
        if self._spill is not None:
            self._spill.forget()

    def run(self) -> None:
        """Serve until it is stopped."""
        self._gate.enter()
        try:
            with asyncio.Runner(loop_factory=self._make_loop) as runner:
                runner.run(self._serve())
        except BaseException:
            _LOG.exception("The worker ended by its own mistake: calls are dropped from now on")
        finally:
            self._queue.close()
            self._loop = None
            self._answer()
            self._gate.leave()

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(GatedSelector(self._gate))
        loop.set_debug(False)  # Who debugs the application shall not be told of this one.
        return loop

    def seconds_left(self) -> float:
        """Return how long it may go on: infinite until the transport stops."""
        return self._deadline - time.monotonic()

    async def pause(self, seconds: float) -> bool:
        """Wait; return whether there is time left afterwards."""
        end = time.monotonic() + seconds
        while (left := min(end - time.monotonic(), self.seconds_left())) > 0:
            # Whoever wakes the loop may have moved the deadline.
            await self._wait_until_woken(left)
        return self.seconds_left() > 0

    async def _serve(self) -> None:
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.link = Link(self._backend, self.seconds_left)
        self._spill = self._open_spill()
        delivery = Delivery(
            self.link, self._queue, self._spill, self._config, self._make, clock=self
        )
        # A wrong connection string shows at once, not with the first batch.
        async with self._relieved(delivery):
            await self.link.open()
        hurried = False
        busy_until = 0.0
        while not self._is_finished(delivery):
            now = time.monotonic()
            # Who puts pays for waking the loop: while batches fill quickly, it looks by itself.
            looks = now < busy_until
            self._queue.rearm(self._much if looks else None)
            if self._stopping and not hurried:
                # The backend may have come back since the last try.
                hurried = True
                delivery.next_replay = 0.0
            if not self._is_due(delivery):
                wait = self._next(delivery) - now
                await self._wait_until_woken(min(wait, _LOOK_SECONDS) if looks else wait)
                if looks and not self._is_due(delivery):
                    continue
            if len(self._queue) >= self._batch_size:
                busy_until = time.monotonic() + _BUSY_SECONDS
            await self._work(delivery)
            self._answer()
        self._queue.close()
        if delivery.spills:
            delivery.spill_queue()
        else:
            delivery.drop_queue()
        await self.link.close()
        if self._spill is not None:
            self._spill.close()

    def _open_spill(self) -> Spill | None:
        if self._config.overflow != "spill":
            return None
        try:
            spill = Spill(self._spill_path, self._config.spill_max_events)
        except SpillError as error:
            _LOG.warning("Nothing can be spilled, calls are dropped instead: %s", error)
            return None
        self._queue.inherit(len(spill))
        return spill

    def _is_finished(self, delivery: Delivery) -> bool:
        if not self._stopping:
            return False
        if self.seconds_left() <= 0:
            return True
        return self._queue.is_settled and (self._gave_up or not delivery.is_behind)

    def _is_due(self, delivery: Delivery) -> bool:
        if self.flushes or len(self._queue) >= self._batch_size:
            return True
        if self._stopping and (len(self._queue) > 0 or not delivery.is_behind):
            return True
        return self._next(delivery) <= time.monotonic()

    def _next(self, delivery: Delivery) -> float:
        return min(self._tick, delivery.next_replay) if delivery.is_behind else self._tick

    async def _work(self, delivery: Delivery) -> None:
        """Deliver what is due, the oldest first."""
        async with self._relieved(delivery):
            if delivery.is_behind:
                await self._catch_up(delivery)
            if not delivery.is_behind:
                await self._send(delivery)
        self._tick = time.monotonic() + self._config.storage.flush_interval_seconds

    async def _catch_up(self, delivery: Delivery) -> None:
        """Replay from disk until all is written or the backend fails."""
        if delivery.next_replay > time.monotonic():
            delivery.spill_queue()
            return
        while delivery.is_behind and self.seconds_left() > 0:
            if not await delivery.replay(self._batch_size):
                self._gave_up = self._stopping and delivery.has_no_patience_left
                delivery.spill_queue()
                return
            await asyncio.sleep(0)

    async def _send(self, delivery: Delivery) -> None:
        """Send what is in the queue, also the part of a batch where it waited long enough."""
        while self.seconds_left() > 0 and await delivery.send(self._batch_size):
            # Others want the processor too, and the loop wants to be woken.
            await asyncio.sleep(0)
            self._answer()
            hurry = self._stopping or self.flushes or len(self._queue) >= self._batch_size
            if delivery.is_behind or not hurry:
                return

    @contextlib.asynccontextmanager
    async def _relieved(self, delivery: Delivery) -> AsyncIterator[None]:
        """Spill what piles up in the queue while a delivery waits for the backend."""
        if not delivery.spills:
            yield
            return
        relief = asyncio.create_task(self._relieve(delivery))
        try:
            yield
        finally:
            relief.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await relief

    async def _relieve(self, delivery: Delivery) -> None:
        while True:
            self._queue.rearm(self._much)
            await self._wait_until_woken(self._config.storage.flush_interval_seconds)
            delivery.spill_queue()

    async def _wait_until_woken(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    @property
    def _batch_size(self) -> int:
        return self._config.storage.batch_size

    @property
    def _much(self) -> int:
        """How many calls in the queue can't wait."""
        return max(self._config.max_queue_size // 2, self._batch_size)

    def _answer(self) -> None:
        for flush in list(self.flushes):
            if self._queue.has_passed(flush.mark) or self._loop is None:
                self.flushes.remove(flush)
                flush.done.set()
