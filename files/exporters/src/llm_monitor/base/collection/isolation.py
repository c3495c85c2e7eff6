"""Calls that may hang, each at most once at a time, in as few threads as possible.

A healthy batch runs in one thread, one call after the other. Whenever the batch has not ended
after `patience`, another thread joins and takes the calls that wait behind the slow one. A call
that never returns keeps its thread and its name; it is not started again until it has returned.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

import structlog

from llm_monitor.base.collection.collector import Deadline

T = TypeVar("T")

PATIENCE = 0.05
_IDLE_THREADS = 2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one call.

    Attributes:
        seconds: How long it took, or has been running.
        started: When it started, on the clock of `time.time`.
        value: What it returned; None when it did not return.
        error: What it raised.
        running: Whether it still runs.
    """

    seconds: float
    started: float
    value: T | None = None
    error: BaseException | None = None
    running: bool = False


class Crew:
    """Daemon threads made on demand, so that a stuck one never holds up the process' end."""

    def __init__(self, name: str, most: int | None = None) -> None:
        """Name the threads `name`; with `most` of them at work, calls wait for one that is free."""
        self._name = name
        self._most = most
        self._threads = 0
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = 0
        self._refused = False

    def submit(self, call: Callable[[], None]) -> None:
        """Run `call`, which must not raise, in an idle thread or a new one.

        Raises:
            RuntimeError: When no thread can be started, such as at a container's limit of them.
        """
        with self._lock:
            # Below zero so many calls wait.
            reuse = self._idle > 0 or self._threads == self._most
            self._idle -= reuse
            self._threads += not reuse
        if reuse:
            self._queue.put(call)
            return
        try:
            threading.Thread(
                target=self._work, args=([call],), name=self._name, daemon=True
            ).start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
            raise
        if self._refused:
            self._refused = False
            _log.info("threads can be started again", thread=self._name)

    def offer(self, call: Callable[[], None]) -> bool:
        """Do as `submit`, but return False when no thread can be started.

        There is a log line when that begins, and one when it has passed.
        """
        try:
            self.submit(call)
        except RuntimeError as error:
            if not self._refused:
                _log.warning("no thread can be started", thread=self._name, error=str(error))
            self._refused = True
            return False
        return True

    def _work(self, first: list[Callable[[], None]]) -> None:
        # A call may hold much, so nothing holds it once it has ended; a thread does its arguments.
        call = first.pop()
        while True:
            call()
            del call
            with self._lock:
                if self._idle >= _IDLE_THREADS:
                    self._threads -= 1
                    return
                self._idle += 1
            call = self._queue.get()


class Batch(Generic[T]):
    """Named calls that are run together.

    Attributes:
        outcomes: What became of the calls that have ended.
        begun: Whether a thread has taken it on, so that its calls will be run.
    """

    def __init__(
        self, crew: Crew, calls: Mapping[str, Callable[[], T]], on_end: Callable[[], None]
    ) -> None:
        """Prepare `calls`; `on_end` is called from a thread once none waits or runs."""
        self.outcomes: dict[str, Outcome[T]] = {}
        self.begun = False
        self._crew = crew
        self._calls = calls
        self._on_end = on_end
        self._lock = threading.Lock()
        self._waiting = deque(calls)
        self._running: dict[str, tuple[float, float]] = {}

    def add_thread(self) -> None:
        """Let one more thread take the calls that wait; where none can be started they wait on."""
        if self._waiting and self._crew.offer(self._work):
            self.begun = True

    def close(self) -> None:
        """Start no further call."""
        with self._lock:
            self._waiting.clear()

    def running(self, name: str) -> Outcome[T] | None:
        """Return the state of a call that still runs, or None."""
        started = self._running.get(name)
        if started is None:
            return None
        return Outcome(time.monotonic() - started[0], started[1], running=True)

    def state(self, name: str) -> Outcome[T] | None:
        """Return what became of a call, or None when it was not started."""
        return self.running(name) or self.outcomes.get(name)

    def _work(self) -> None:
        while (name := self._take()) is not None:
            self._run(name)

    def _take(self) -> str | None:
        with self._lock:
            if not self._waiting:
                return None
            name = self._waiting.popleft()
            self._running[name] = time.monotonic(), time.time()
            return name

    def _run(self, name: str) -> None:
        begin, started = self._running[name]
        value: T | None = None
        error: BaseException | None = None
        try:
            value = self._calls[name]()
        except BaseException as raised:
            # What would end this thread, such as SystemExit, would leave the call running for good.
            error = raised
        with self._lock:
            self.outcomes[name] = Outcome(time.monotonic() - begin, started, value, error)
            del self._running[name]
            ended = not self._waiting and not self._running
        if ended:
            self._on_end()


class Isolation(Generic[T]):
    """Runs batches of calls; a name that still runs from an earlier batch is not started again."""

    def __init__(self, crew: Crew, patience: float = PATIENCE) -> None:
        """Run in the threads of `crew`; `patience` is in seconds."""
        self.patience = patience
        self._crew = crew
        self._latest: dict[str, Batch[T]] = {}

    def begin(
        self, calls: Mapping[str, Callable[[], T]], on_end: Callable[[], None]
    ) -> tuple[Batch[T], dict[str, Outcome[T]]]:
        """Start `calls`; return their batch and the state of those that are still running."""
        stuck = {name: state for name in calls if (state := self.running(name)) is not None}
        free = {name: call for name, call in calls.items() if name not in stuck}
        batch = Batch(self._crew, free, on_end)
        self.forget()
        self._latest.update(dict.fromkeys(free, batch))
        if free:
            batch.add_thread()
        else:
            on_end()
        return batch, stuck

    def forget(self) -> None:
        """Let go of the calls that have ended, and of what they returned."""
        self._latest = {name: last for name, last in self._latest.items() if last.running(name)}

    def running(self, name: str) -> Outcome[T] | None:
        """Return the state of the call of that name if it still runs."""
        latest = self._latest.get(name)
        return latest.running(name) if latest else None

    def run(
        self, calls: Mapping[str, Callable[[], T]], deadline: Deadline
    ) -> dict[str, Outcome[T]]:
        """Run `calls`, wait for them until `deadline`, and return what became of each.

        A call that could not be started in time is missing from the answer.
        """
        ended = threading.Event()
        batch, states = self.begin(calls, ended.set)
        while not ended.wait(min(self.patience, deadline.remaining())):
            if not deadline.remaining():
                break
            batch.add_thread()
        batch.close()
        for name in calls:
            if name not in states and (state := batch.state(name)) is not None:
                states[name] = state
        return states
