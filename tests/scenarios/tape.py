"""What the exporters of the simulated server show while it lives through a scenario, as promtool takes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import structlog
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


class Tape:
    """Series as Prometheus would have them, a value for each scrape."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._values: dict[str, list[str]] = {}
        self._next: dict[str, int] = {}

    def add(self, series: str, place: int, value: str) -> None:
        """Note the value that a series has in the scrape with the number `place`."""
        values = self._values.setdefault(series, [])
        missed = place - self._next.get(series, 0)
        if missed:
            values.extend(_absent(missed, known=bool(values)))
        values.append(value)
        self._next[series] = place + 1

    def series(self, scrapes: int) -> Iterator[tuple[str, str]]:
        """Give each series and its values of so many scrapes, in promtool's notation."""
        for name, values in self._values.items():
            absent = _absent(scrapes - self._next[name], known=True)
            yield name, " ".join([*_shortened(values), *absent])


def record(run: Run, wanted: Wanted) -> Tape:
    """Play a scenario and return the series whose names are `wanted`."""
    # What a scenario breaks is no news to who plays it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    fleet = usual_fleet()
    clock = VirtualClock(_START, 0.0)
    stage = Stage(fleet, Library(fleet, LIBRARY), run.scenario, clock, up_before=_UP_BEFORE)
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
    return tape


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


def _absent(scrapes: int, *, known: bool) -> Iterator[str]:
    """Give nothing for so many scrapes; Prometheus marks the first one that lacks what it has `known`."""
    if scrapes and known:
        yield "stale"
        scrapes -= 1
    if scrapes:
        yield f"_x{scrapes}"


def _shortened(values: Iterable[str]) -> Iterator[str]:
    """Give values with those that follow each other as one."""
    for value, alike in groupby(values):
        again = sum(1 for _ in alike) - 1
        yield f"{value}+0x{again}" if again and value != "stale" else value
