"""What the exporters of the simulated server show while it lives through a scenario, as promtool takes it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from llm_monitor.base.metrics.family import HISTOGRAM, SUMMARY
from llm_monitor.mock.backfill.lines import stamped
from llm_monitor.mock.backfill.target import Scrape, Target
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.parts import PLAYED, play
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.stage import Stage

LIBRARY = Path(__file__).with_name("library")
INSTANCE = "demo"
# promtool's time begins with the Unix epoch, and alerts hold timestamps that exporters give against it.
_START = 0
# Seconds for which the server has been up before: for no alert it is a new one.
_UP_BEFORE = 7200.0
# So many scrapes are turned into text at once.
_AT_ONCE = 100

Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class Run:
    """How a scenario is played.

    Attributes:
        scenario: Its name.
        minutes: For how long.
        step: Seconds between two scrapes.
    """

    scenario: str
    minutes: int
    step: int = 30

    @property
    def scrapes(self) -> int:
        """How often each exporter is asked."""
        return self.minutes * 60 // self.step + 1


class Track:
    """The values of one series in promtool's notation, with those that follow each other as one."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._texts: list[str] = []
        self._last = ""
        self._again = 0
        self._next = 0

    def add(self, place: int, value: str) -> None:
        """Note the value of the scrape with the number `place`."""
        self._miss(place - self._next)
        self._next = place + 1
        if value == self._last:
            self._again += 1
        else:
            self._end()
            self._last = value

    def text(self, scrapes: int) -> str:
        """Return the values of so many scrapes, which are all."""
        self._miss(scrapes - self._next)
        self._end()
        return " ".join(self._texts)

    def _miss(self, scrapes: int) -> None:
        """Note that the next scrapes lack it. Prometheus marks the first that lacks what the one before had."""
        if not scrapes:
            return
        self._end()
        if self._texts:
            self._texts.append("stale")
            scrapes -= 1
        if scrapes:
            self._texts.append(f"_x{scrapes}")

    def _end(self) -> None:
        if self._last:
            self._texts.append(f"{self._last}+0x{self._again}" if self._again else self._last)
        self._last, self._again = "", 0


class Tape:
    """Series as Prometheus would have them, a value for each scrape."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._tracks: defaultdict[str, Track] = defaultdict(Track)

    def add(self, series: str, place: int, value: str) -> None:
        """Note the value that a series has in the scrape with the number `place`."""
        self._tracks[series].add(place, value)

    def series(self, scrapes: int) -> dict[str, str]:
        """Return the values of each series, of so many scrapes."""
        return {name: track.text(scrapes) for name, track in self._tracks.items()}


def library() -> Library:
    """Return the mock's scenarios and those of these tests."""
    return Library(usual_fleet(), LIBRARY)


def record(run: Run, wanted: Wanted) -> dict[str, str]:
    """Play a scenario and return the series whose names are `wanted`, with values in promtool's notation."""
    # What a scenario breaks is no news to who plays it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    clock = VirtualClock(_START, 0.0)
    stage = Stage(usual_fleet(), library(), run.scenario, clock, up_before=_UP_BEFORE)
    targets = {one.name: Target(one, _labels(one.name)) for one in play(stage.view(), PLAYED)}
    tape = Tape()
    places = range(run.scrapes)
    for begin in places[::_AT_ONCE]:
        some = places[begin : begin + _AT_ONCE]
        for place in some:
            clock.advance(_START + place * run.step - clock.now())
            for name, target in targets.items():
                _note(tape, name, place, target.scrape(place - begin, clock.now()))
        for target in targets.values():
            _copy(tape, target.write(stamped(some)), wanted)
    return tape.series(run.scrapes)


def families() -> set[str]:
    """Return the names that the exporters give their series."""
    stage = Stage(usual_fleet(), library(), "normal", VirtualClock(_START, 0.0), up_before=0.0)
    found = [one for exporter in play(stage.view(), PLAYED) for one in (*exporter.families, *exporter.own_families())]
    parts = {HISTOGRAM: ("_bucket", "_sum", "_count"), SUMMARY: ("", "_sum", "_count")}
    return {one.name + part for one in found for part in parts.get(one.kind, ("",))}


def _labels(job: str) -> str:
    return f'job="{job}",instance="{INSTANCE}"'


def _note(tape: Tape, job: str, place: int, scrape: Scrape) -> None:
    """Note what Prometheus itself notes of a scrape."""
    tape.add(f"up{{{_labels(job)}}}", place, str(int(scrape.up)))
    tape.add(f"scrape_duration_seconds{{{_labels(job)}}}", place, repr(scrape.seconds))


def _copy(tape: Tape, texts: Iterable[str], wanted: Wanted) -> None:
    """Take the lines of the series that are wanted."""
    known: dict[str, bool] = {}
    for text in texts:
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            series, value, place = line.rsplit(" ", 2)
            if series not in known:
                known[series] = wanted(series[: series.index("{")])
            if known[series]:
                tape.add(series, int(place), value)
