"""A simulated server at a moment of its life, and what an exporter over it tells."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from llm_monitor.base import registry
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.config.load import check
from llm_monitor.base.config.model import ExporterSettings
from llm_monitor.base.config.reader import read
from llm_monitor.base.exporter import Exporter
from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.scenario.faults import KINDS, Fault
from llm_monitor.mock.view import View
from llm_monitor.mock.world.forces import Forces
from llm_monitor.mock.world.world import World

START = 1_795_000_000.0

S = TypeVar("S", bound=ExporterSettings)


class Life:
    """A simulated server that meets faults, and the clock that its view goes by.

    Attributes:
        moment: Unix time, which a test sets.
        faults: What is broken from when each begins until it is taken out.
    """

    def __init__(self, fleet: Fleet | None = None, servers: int = 1, seed: int = 1) -> None:
        self.moment = START
        self.faults: list[Fault] = []
        self._world = World(fleet or usual_fleet(), self._forces, START, seed, servers)

    def view(self, server: int = 0) -> View:
        return View(self._world, lambda: self.moment, server)

    def go_on(self, seconds: float) -> "Life":
        """Let time pass."""
        self.moment += seconds
        self._world.at(self.moment)
        return self

    def befall(self, kind: str, target: str = "", value: float | None = None) -> "Life":
        """Let a fault begin now."""
        amount = KINDS[kind].usual if value is None else value
        self.faults.append(Fault(kind, target, amount, self.moment))
        return self

    def heal(self) -> "Life":
        """Take all faults away."""
        self.faults.clear()
        return self

    def _forces(self, time: float) -> Forces:
        return Forces(faults=tuple(one for one in self.faults if one.since <= time))


class Told(NamedTuple):
    """The families of an exposition in OpenMetrics.

    Attributes:
        families: By name its type, unit and help.
        series: By name and labels its value.
    """

    families: dict[str, tuple[str, str, str]]
    series: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, text: str) -> "Told":
        """Return what a text in OpenMetrics tells."""
        families = list(text_string_to_metric_families(text))
        return cls(
            {one.name: (one.type, one.unit, one.documentation) for one in families},
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for one in families
                for sample in one.samples
            },
        )

    def by(self, name: str, *labels: str, **wanted: object) -> dict[tuple[str, ...], float]:
        """Return the values of a name by the values of `labels`, where the others are `wanted`."""
        pairs = {(label, str(value)) for label, value in wanted.items()}
        return {
            tuple(dict(found).get(label, "") for label in labels): value
            for (series, found), value in self.series.items()
            if series == name and pairs <= found
        }

    def one(self, name: str, **wanted: object) -> float:
        """Return the value of the one series of that name with these labels among its own."""
        (value,) = self.by(name, **wanted).values()
        return value

    def shapes(self, varying: Iterable[str]) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        """Return the names and labels of all series, without the values of labels that vary."""
        free = set(varying)
        return {
            (name, frozenset((label, "" if label in free else text) for label, text in labels))
            for name, labels in self.series
        }


def settings_of(name: str, kind: type[S], **changed: object) -> S:
    """Return an exporter's settings as it ships them, but for what is `changed`."""
    raw = read({})
    raw[name] = {**raw[name], **changed}
    section = check(raw, {name: kind}, registry.names())[1][name]
    assert isinstance(section, kind)
    return section


def tell(exporter: Exporter) -> Told:
    """Return what an exporter tells when it is asked once."""

    async def run() -> str:
        snapshot = await Engine(exporter, Limits(min_interval=0)).snapshot(Deadline.after(8))
        return snapshot.body(openmetrics=True).decode()

    return Told.of(asyncio.run(run()))
