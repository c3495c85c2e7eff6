"""Exporters whose collectors misbehave; `python -m exporter_testing.toys PORT PORT`."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from llm_monitor.base import logs
from llm_monitor.base.collection.collector import Background, Deadline, Watcher
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.metrics.family import COUNTER, GAUGE, Family, Sample
from llm_monitor.base.web.auth import Credentials
from llm_monitor.base.web.server import Service, listen, serve

GOOD = Family("toy_good", GAUGE, "Always there.")
BAD = Family("toy_bad", GAUGE, "Comes and goes.")
HUNG = Family("toy_hung", GAUGE, "Never comes.")
MANY = Family("toy_many", GAUGE, "Far too many.", labels=("number",))
COUNTED = Family("toy_counted_total", COUNTER, "Far too many, but they add up.", labels=("number",))


@dataclass
class Toy:
    """A collector that calls `give` and counts how often."""

    name: str
    families: tuple[Family, ...]
    give: Callable[[], Iterable[Sample]]
    calls: int = 0

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        self.calls += 1
        yield from self.give()


@dataclass
class Hang:
    """A collector that hangs until it is released."""

    name: str = "hung"
    families: tuple[Family, ...] = (HUNG,)
    released: threading.Event = field(default_factory=threading.Event)
    calls: int = 0

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        self.calls += 1
        self.released.wait()
        yield HUNG(self.calls)


def good() -> Toy:
    return Toy("good", (GOOD,), lambda: [GOOD(1)])


@contextmanager
def few_threads(left: int) -> Iterator[None]:
    """Let only so many threads start, as where a container has reached its limit of processes."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        nonlocal left
        if not left:
            message = "can't start new thread"
            raise RuntimeError(message)
        left -= 1
        begin(thread)

    with patch.object(threading.Thread, "start", start):
        yield


def toy_exporter(
    *collectors: Toy | Hang,
    background: Iterable[Background] = (),
    watchers: Iterable[Watcher] = (),
    name: str = "toy",
) -> Exporter:
    background = tuple(background)
    everything = [*collectors, *(one.collector for one in background)]
    families = tuple(family for one in everything for family in one.families)
    return Exporter(name, families, collectors, background, tuple(watchers))


def main() -> None:
    """Serve two exporters, the first with a collector that never returns."""
    logs.configure("info", "json")
    first, second = (int(port) for port in sys.argv[1:])
    sleeper = Toy("hung", (HUNG,), lambda: [HUNG(time.sleep(3600) or 0)])
    engines = {
        first: Engine(toy_exporter(good(), sleeper), Limits(min_interval=0)),
        second: Engine(toy_exporter(good(), name="other"), Limits()),
    }
    services = [
        Service(engine, listen("127.0.0.1", port, "port")) for port, engine in engines.items()
    ]
    asyncio.run(serve(services, Credentials()))


if __name__ == "__main__":
    main()
