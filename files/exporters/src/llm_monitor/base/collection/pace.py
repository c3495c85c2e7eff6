"""What does not wait for a scrape: collectors at their own interval, and watchers of events."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from llm_monitor.base.collection.collector import Background, Collector, Deadline, Watcher
from llm_monitor.base.collection.isolation import Batch, Crew, Isolation, Outcome
from llm_monitor.base.collection.report import Result, State
from llm_monitor.base.errors import SourceError
from llm_monitor.base.exporter import Exporter

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0

_log = structlog.get_logger(__name__)

Gather = Callable[[Collector, Deadline], Result]


class Pacemaker:
    """Runs an exporter's background collectors and watchers."""

    def __init__(self, crew: Crew, exporter: Exporter, gather: Gather) -> None:
        """Run in the threads of `crew`, each collector by `gather`."""
        self._crew = crew
        self._tickers = [Ticker(crew, one, gather) for one in exporter.background]
        self._guardians = [Guardian(exporter.name, one) for one in exporter.watchers]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start everything; it goes on until `stop`."""
        for ticker in self._tickers:
            ticker.tick(loop)
        for guardian in self._guardians:
            guardian.start(self._crew, loop)

    def stop(self) -> None:
        """Start nothing any more."""
        for ticker in self._tickers:
            ticker.stop()
        for guardian in self._guardians:
            guardian.stop.set()

    def states(self) -> dict[str, State]:
        """Return the newest state of each; what has not ended a first time is left out."""
        states: dict[str, State] = {}
        for ticker in self._tickers:
            if (state := ticker.state()) is not None:
                states[ticker.name] = state
        states.update((one.watcher.name, one.state()) for one in self._guardians)
        return states


class Ticker:
    """Runs one collector at its interval.

    Attributes:
        name: The collector's name.
    """

    def __init__(self, crew: Crew, background: Background, gather: Gather) -> None:
        """Prepare the collector of `background`."""
        self.name = background.collector.name
        self._background = background
        self._gather = gather
        self._isolation: Isolation[Result] = Isolation(crew)
        self._timer: asyncio.TimerHandle | None = None
        self._latest: Outcome[Result] | None = None
        self._latest_at = time.monotonic()

    def tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the collector unless it still runs, and come back after the interval.

        Where no thread can be started it comes back soon.
        """
        interval = self._background.interval
        self._timer = loop.call_later(interval, self.tick, loop)
        begun = time.monotonic()
        deadline = Deadline.after(interval)

        def on_end() -> None:
            with suppress(RuntimeError):
                # Looked up on the loop, because the call may end before `begin` has returned.
                loop.call_soon_threadsafe(lambda: self._keep(batch, begun))

        def call() -> Result:
            return self._gather(self._background.collector, deadline)

        if self._isolation.running(self.name) is None:
            batch, _ = self._isolation.begin({self.name: call}, on_end)
            if not batch.begun:
                self._timer.cancel()
                self._timer = loop.call_later(min(interval, _FIRST_PAUSE), self.tick, loop)

    def stop(self) -> None:
        """Come back no more."""
        if self._timer is not None:
            self._timer.cancel()

    def state(self) -> State:
        """Return how the newest run ended if that is not too old, else what is known instead."""
        longest = 2 * self._background.interval
        age = time.monotonic() - self._latest_at
        if age < longest:
            return self._latest
        running = self._isolation.running(self.name)
        return running or Outcome(age, time.time() - age, error=SourceError("no recent result"))

    def _keep(self, batch: Batch[Result], begun: float) -> None:
        self._latest = batch.outcomes.get(self.name)
        self._latest_at = begun


class Guardian:
    """Keeps one watcher watching.

    Attributes:
        watcher: The watcher.
        stop: Set to make it end.
    """

    def __init__(self, exporter: str, watcher: Watcher) -> None:
        """Guard `watcher` of the exporter of that name."""
        self.watcher = watcher
        self.stop = threading.Event()
        self._exporter = exporter
        self._error: BaseException | None = None
        self._begun = time.monotonic()
        self._begun_at = time.time()

    def start(self, crew: Crew, loop: asyncio.AbstractEventLoop) -> None:
        """Watch in a thread of `crew`; where none can be started, try again soon."""
        if not self.stop.is_set() and not crew.offer(self.run):
            self._error = SourceError("no thread can be started")
            loop.call_later(_FIRST_PAUSE, self.start, crew, loop)

    def state(self) -> State:
        """Return a success while it watches, else the error that it ended with."""
        return Outcome(time.monotonic() - self._begun, self._begun_at, error=self._error)

    def run(self) -> None:
        """Watch until `stop` is set; whenever the watcher ends before, pause and begin anew.

        The pause is longer each time, and short again after it has watched for a good while.
        """
        pause = _FIRST_PAUSE
        while not self.stop.is_set():
            self._begun, self._begun_at = time.monotonic(), time.time()
            self._error = None
            error = self._watch()
            if self.stop.is_set():
                return
            self._error = error
            if time.monotonic() - self._begun > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            about = {"exporter": self._exporter, "collector": self.watcher.name}
            _log.warning("watcher failed", **about, error=repr(error), pause_seconds=pause)
            self.stop.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _watch(self) -> BaseException:
        """Watch once, and return why that ended."""
        try:
            self.watcher.watch(self.stop)
        except BaseException as error:
            # What would end this thread, such as SystemExit, would end the watching unnoticed.
            return error
        return SourceError("it has stopped watching by itself")
