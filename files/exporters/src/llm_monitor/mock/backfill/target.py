"""An exporter as Prometheus scrapes it, but for the web: no threads, and time as it is told."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llm_monitor.base.collection.collector import Background, Collector, Deadline
from llm_monitor.base.collection.isolation import Outcome
from llm_monitor.base.collection.report import Report, Result, State
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.metrics.guard import FamilyGuard, gather
from llm_monitor.mock.backfill.lines import Table

# Nothing waits for anything here, however busy the machine is.
_PATIENCE_SECONDS = 3600.0
_LEAST_SECONDS, _MORE_SECONDS = 0.002, 0.006
# More than a simulated server ever has.
_MOST_SERIES = 2000


@dataclass(frozen=True, slots=True)
class Scrape:
    """What Prometheus notes of a scrape.

    Attributes:
        up: Whether the exporter answered.
        seconds: How long it took.
        samples: How many samples it gave.
    """

    up: bool
    seconds: float
    samples: int


class Target:
    """One exporter that is scraped."""

    def __init__(self, exporter: Exporter, labels: str) -> None:
        """Scrape `exporter`; its series get `labels`, in text."""
        self._exporter = exporter
        self._guards = {one: FamilyGuard(one, _MOST_SERIES) for one in exporter.families}
        own = exporter.own_families()
        self._own_guards = {one: FamilyGuard(one, _MOST_SERIES) for one in own}
        self._report = Report(exporter.name, own, exporter.vital)
        self._background = [_Rhythm(one) for one in exporter.background]
        # Two families of one name, the exporter's `up` and that of what it asks, are one.
        families = {one.name: one for one in (*own, *exporter.families)}
        self._tables = {name: Table(one, labels) for name, one in families.items()}

    def scrape(self, place: int, moment: float) -> Scrape:
        """Take the samples at `moment`, the one with the number `place` of those written next."""
        waiting = {one.name: one.state(moment, self._collect) for one in self._background}
        if not self._exporter.answers():
            return Scrape(up=False, seconds=0.0, samples=0)
        states: dict[str, State] = {
            one.name: self._collect(one, moment) for one in self._exporter.collectors
        }
        states |= waiting
        # Nothing has to be waited for where any moment can be asked for.
        states.update((one.name, Outcome(0.0, moment)) for one in self._exporter.watchers)
        self._report.record(states)
        seconds = sum(state.seconds for state in states.values() if state is not None)
        own = gather(self._report.samples(states, self._guards.values()), self._own_guards)
        found = [own, *(one.value for one in states.values() if one and one.value is not None)]
        samples = sum(
            self._tables[family.name].add(place, series)
            for result in found
            for family, series in result.items()
        )
        return Scrape(up=True, seconds=round(seconds, 6), samples=samples)

    def write(self, stamps: Sequence[str]) -> Iterator[str]:
        """Give the text of what was taken since this was called last."""
        for table in self._tables.values():
            yield from table.write(stamps)

    def _collect(self, collector: Collector, moment: float) -> Outcome[Result]:
        guards = {one: self._guards[one] for one in collector.families}
        seconds = _seconds(collector.name, moment)
        try:
            result = gather(collector.collect(Deadline.after(_PATIENCE_SECONDS)), guards)
        except Exception as error:
            return Outcome(seconds, moment, error=error)
        return Outcome(seconds, moment, value=result)


class _Rhythm:
    """A collector that runs at its own interval."""

    def __init__(self, background: Background) -> None:
        self.name = background.collector.name
        self._background = background
        self._due = float("-inf")
        self._latest: State = None

    def state(self, moment: float, collect: Callable[[Collector, float], Outcome[Result]]) -> State:
        """Return how its newest run ended, after running it when it is due."""
        if moment >= self._due:
            self._latest = collect(self._background.collector, moment)
            self._due = moment + self._background.interval
        return self._latest


def _seconds(name: str, moment: float) -> float:
    """Return how long a collector takes: by chance, but the same in every run."""
    chance = zlib.crc32(f"{name} {moment}".encode()) / 2**32
    return round(_LEAST_SECONDS + _MORE_SECONDS * chance, 6)
