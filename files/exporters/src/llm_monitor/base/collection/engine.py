"""Collect on scrape: one collection at a time, shared by all that ask, never on the event loop."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from llm_monitor.base.collection.collector import Collector, Deadline
from llm_monitor.base.collection.isolation import Batch, Crew, Isolation
from llm_monitor.base.collection.pace import Pacemaker
from llm_monitor.base.collection.report import Report, Result, State
from llm_monitor.base.collection.snapshot import Snapshot
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.metrics.exposition import Series
from llm_monitor.base.metrics.family import Family
from llm_monitor.base.metrics.guard import FamilyGuard, gather

LONGEST_COLLECTION = 8.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exporter may cost.

    Attributes:
        min_interval: Seconds during which a sample is served again instead of collected anew.
        per_family: Most series of one family.
        total: Most series of the whole exporter, its own metrics not counted.
        longest: Seconds after which a collection is closed, whatever has not ended by then.
    """

    min_interval: float = 5.0
    per_family: int = 200
    total: int = 2000
    longest: float = LONGEST_COLLECTION


class Round:
    """One collection while it runs.

    Attributes:
        started: When it started, on the clock of `time.monotonic`.
        deadline: When it is closed, whatever has not ended by then. It does not depend on who
            asks: one impatient client must not cut the others' sample short.
        snapshot: Its result, once it is closed.
        closed: Done once it is closed.
        batch: The calls of the collectors.
        stuck: Collectors that still run from an earlier collection.
    """

    __slots__ = ("batch", "closed", "deadline", "snapshot", "started", "stuck", "timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, longest: float) -> None:
        """Start the clock of a collection that may last `longest` seconds."""
        self.started = time.monotonic()
        self.deadline = Deadline(self.started + longest)
        self.snapshot: Snapshot | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        self.timer: asyncio.TimerHandle | None = None
        self.batch: Batch[Result] | None = None
        self.stuck: Mapping[str, State] = {}


class Engine:
    """Runs one exporter's collectors and keeps the last sample for `min_interval`.

    All its methods must be called on the event loop.
    """

    def __init__(self, exporter: Exporter, limits: Limits, crew: Crew | None = None) -> None:
        """Guard the series of `exporter` by `limits`; collect in threads of `crew` or its own."""
        self.exporter = exporter
        self._limits = limits
        self._guards = {one: FamilyGuard(one, limits.per_family) for one in exporter.families}
        own = exporter.own_families()
        self._own_guards = {one: FamilyGuard(one, max(200, len(self._guards))) for one in own}
        self._report = Report(exporter.name, own, exporter.vital)
        self._crew = crew or Crew(f"{exporter.name}-collect")
        self._isolation: Isolation[Result] = Isolation(self._crew)
        self._pacemaker = Pacemaker(self._crew, exporter, self._gather)
        self._round: Round | None = None
        self._snapshot: Snapshot | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    @property
    def ready(self) -> bool:
        """Whether a first collection has ended, with whatever success."""
        return self._snapshot is not None

    def start(self) -> None:
        """Start a first collection, and what runs in the background."""
        self._loop = asyncio.get_running_loop()
        self._pacemaker.start(self._loop)
        self._begin()

    def stop(self) -> None:
        """Answer waiting scrapes with what there is, and start nothing any more."""
        self._stopping = True
        self._pacemaker.stop()
        if self._round is not None:
            self._close(self._round)

    def forget(self) -> None:
        """Let go of the last sample: the next scrape collects anew, however soon it comes."""
        self._snapshot = None
        self._isolation.forget()

    async def snapshot(self, deadline: Deadline) -> Snapshot:
        """Return a sample younger than `min_interval`, collecting one if there is none.

        At `deadline` it returns what has been collected by then. A collection that others wait
        for longer goes on for them.
        """
        last = self._snapshot
        if last and (self._stopping or time.monotonic() - last.started < self._limits.min_interval):
            return last
        current = self._round or self._begin()
        if current.snapshot is None:
            await asyncio.wait([current.closed], timeout=deadline.remaining())
        return current.snapshot or self._assemble(current, self._states(current), closed=False)

    def _begin(self) -> Round:
        loop = self._loop or asyncio.get_running_loop()
        current = Round(loop, self._limits.longest)

        def on_end() -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._close, current)

        calls = {
            one.name: (lambda one=one: self._gather(one, current.deadline))
            for one in self.exporter.collectors
        }
        current.batch, current.stuck = self._isolation.begin(calls, on_end)
        self._watch(loop, current)
        # Not before it is sure to end: scrapes would wait for this one for ever.
        self._round = current
        return current

    def _watch(self, loop: asyncio.AbstractEventLoop, current: Round) -> None:
        """Come back after a short while, and again, until the collection is closed."""
        pause = min(self._isolation.patience, current.deadline.remaining())
        current.timer = loop.call_later(pause, self._hurry, loop, current)

    def _hurry(self, loop: asyncio.AbstractEventLoop, current: Round) -> None:
        if not current.deadline.remaining():
            self._close(current)
        elif current.snapshot is None and current.batch is not None:
            self._watch(loop, current)
            current.batch.add_thread()

    def _close(self, current: Round) -> None:
        """End a collection: what has not returned by now is left out."""
        if current.snapshot is not None or current.batch is None:
            return
        self._round = None
        current.batch.close()
        if current.timer is not None:
            current.timer.cancel()
        states = self._states(current)
        self._report.record(states)
        self._snapshot = current.snapshot = self._assemble(current, states, closed=True)
        current.batch = current.timer = None
        if not current.closed.done():
            current.closed.set_result(None)

    def _states(self, current: Round) -> dict[str, State]:
        """Return what became so far of each collector, those in the background included."""
        batch = current.batch
        states: dict[str, State] = {
            one.name: current.stuck.get(one.name) or (batch.state(one.name) if batch else None)
            for one in self.exporter.collectors
        }
        states.update(self._pacemaker.states())
        return states

    def _assemble(self, current: Round, states: Mapping[str, State], *, closed: bool) -> Snapshot:
        """Return an answer of what there is; only that of a `closed` collection leaves traces."""
        series = {}
        for state in states.values():
            if state is not None and state.value is not None:
                series.update(state.value)
        room = self._limits.total
        kept: dict[Family, Series] = {}
        for family, guard in self._guards.items():
            if family in series:
                kept[family] = guard.trim(series[family], room, closed=closed)
                room -= len(kept[family])
        own = gather(self._report.samples(states, self._guards.values()), self._own_guards)
        return Snapshot(current.started, self._blocks(kept, own))

    def _blocks(
        self, kept: dict[Family, Series], own: dict[Family, Series]
    ) -> list[tuple[FamilyGuard, Series]]:
        """Return the families that have series, those of one name together."""
        named = {family.name: series for family, series in own.items()}
        blocks = []
        for family, guard in self._guards.items():
            series = {**named.pop(family.name, {}), **kept.get(family, {})}
            if family in kept or series:
                blocks.append((guard, series))
        rest = self._own_guards.items()
        return blocks + [(guard, own[one]) for one, guard in rest if one.name in named]

    def _gather(self, collector: Collector, deadline: Deadline) -> Result:
        """Run a collector in this thread and return its series within the caps."""
        guards = {one: self._guards[one] for one in collector.families}
        return gather(collector.collect(deadline), guards)
