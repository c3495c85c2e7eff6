"""A process's share of a backfill: some of the exporters."""

import logging
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from llm_monitor.mock.backfill.lines import stamped
from llm_monitor.mock.backfill.order import Order
from llm_monitor.mock.backfill.plan import Period
from llm_monitor.mock.backfill.simulation import Replay
from llm_monitor.mock.backfill.target import Scrape, Target
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.parts import play
from llm_monitor.mock.view import View

Notes = dict[str, list[Scrape]]

# The lines of one series take about 10 KB.
_BUFFER = 1 << 20


def part(folder: Path, period: Period, name: str) -> Path:
    """Return where an exporter's part of a file is kept until the whole is put together."""
    return folder / f"{period.name}.{name}"


def work(
    order: Order, names: Sequence[str], folder: Path, heard: Connection, told: Connection
) -> None:
    """Write the parts of the exporters `names` into `folder`; tell of each period's scrapes.

    Args:
        order: What is to be written.
        names: Names of exporters.
        folder: Where the parts are kept.
        heard: From where the simulation comes.
        told: Where the scrapes are told.
    """
    # What a scenario breaks is no news to who plays it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    clock = VirtualClock(order.begin, 0.0)
    simulation = Replay(order, heard)
    targets = {
        one.name: Target(one, f'job="{one.name}",{order.labels}')
        for one in play(View(simulation, clock.now), names)
    }
    for period in order.periods:
        notes: Notes = {name: [] for name in targets}
        for place, moment in enumerate(period.moments):
            clock.advance(moment - clock.now())
            # Here, where no collector takes its end for an error of what it asks.
            simulation.at(moment)
            for name, target in targets.items():
                notes[name].append(target.scrape(place, moment))
        stamps = stamped(period.moments)
        for name, target in targets.items():
            with part(folder, period, name).open("wb", _BUFFER) as file:
                file.writelines(map(str.encode, target.write(stamps)))
        told.send(notes)
