"""A process's share of a backfill: some of the exporters, over a simulation of its own."""

import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from llm_monitor.mock.backfill.lines import stamped
from llm_monitor.mock.backfill.plan import Period
from llm_monitor.mock.backfill.target import Scrape, Target
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.parts import play
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.stage import Stage


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written.

    Attributes:
        fleet: What the server has.
        scenarios: The folder of the user's scenarios, None for none.
        scenario: What it lives through.
        seed: Whose chance it has.
        instance: Its name, as the inventory has it.
        periods: The moments, file by file.
    """

    fleet: Fleet
    scenarios: Path | None
    scenario: str
    seed: int
    instance: str
    periods: Sequence[Period]

    @property
    def labels(self) -> str:
        """The label `instance`, in text."""
        return f'instance="{self.instance}"'


Notes = dict[str, list[Scrape]]


def part(folder: Path, period: Period, name: str) -> Path:
    """Return where an exporter's part of a file is kept until the whole is put together."""
    return folder / f"{period.name}.{name}"


def work(order: Order, names: Sequence[str], folder: Path, told: Connection) -> None:
    """Write the parts of the exporters `names` into `folder`; tell of each period's scrapes."""
    # Ctrl-C reaches every process; this one is ended by the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a scenario breaks is no news to who plays it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    clock = VirtualClock(order.periods[0].moments[0], 0.0)
    library = Library(order.fleet, order.scenarios)
    stage = Stage(order.fleet, library, order.scenario, clock, order.seed)
    targets = {
        one.name: Target(one, f'job="{one.name}",{order.labels}')
        for one in play(stage.view(), names)
    }
    for period in order.periods:
        notes: Notes = {name: [] for name in targets}
        for place, moment in enumerate(period.moments):
            clock.advance(moment - clock.now())
            for name, target in targets.items():
                notes[name].append(target.scrape(place, moment))
        stamps = stamped(period.moments)
        for name, target in targets.items():
            with part(folder, period, name).open("w", encoding="utf-8") as file:
                file.writelines(target.write(stamps))
        told.send(notes)
