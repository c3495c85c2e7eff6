"""An exporter: its collectors, families and JSON routes, put together by its own package."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_monitor.base.collection.collector import Background, Collector, Watcher
from llm_monitor.base.errors import DeclarationError
from llm_monitor.base.metrics.family import Family, check_unique
from llm_monitor.base.metrics.own import OwnFamilies

if TYPE_CHECKING:
    from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class Exporter:
    """What one exporter consists of.

    Attributes:
        name: Its name on the command line, in settings and in logs.
        families: All its families in the order in which they are exposed and documented.
        collectors: Collectors that run when Prometheus asks.
        background: Collectors that run at their own interval.
        watchers: What waits for events in threads of their own.
        router: The JSON API, if there is one.
        vital: Names of the collectors of which one has to succeed for `up` to be 1; empty: any.
        parts: Exporters that it consists of besides its own collectors.
        answers: Whether it answers scrapes now.
        note: What everybody should know who opens its page; nothing usually.

    Raises:
        DeclarationError: When names or families are declared twice or by nobody.
    """

    name: str
    families: Sequence[Family]
    collectors: Sequence[Collector] = ()
    background: Sequence[Background] = ()
    watchers: Sequence[Watcher] = ()
    router: "APIRouter | None" = None
    vital: frozenset[str] = frozenset()
    parts: "Sequence[Part]" = ()
    answers: Callable[[], bool] = lambda: True
    note: str = ""

    def __post_init__(self) -> None:
        """Check that every family belongs to exactly one collector, and every name is used once.

        Only `up` may be both the exporter's own and a family of one gauge for each of those that
        it asks: their labels tell these series from the one without any.
        """
        own = self.own_families()
        asks = any(one.name == own.up.name and one.labels for one in self.families)
        check_unique([*self.families, *(own[1:] if asks else own)])
        collected = [family for one in self.all_collectors() for family in one.families]
        check_unique(collected)
        if odd := set(collected) ^ set(self.families):
            wrong = ", ".join(sorted(family.name for family in odd))
            message = f"{self.name}: declared without collector, or collected undeclared: {wrong}"
            raise DeclarationError(message)
        names = [one.name for one in self.all_collectors()]
        names += [one.name for one in self.watchers]
        if len(set(names)) != len(names):
            message = f"{self.name}: two collectors have the same name: {sorted(names)}"
            raise DeclarationError(message)
        if unknown := self.vital - set(names):
            message = f"{self.name}: no collector is called {min(unknown)}"
            raise DeclarationError(message)

    def all_collectors(self) -> list[Collector]:
        """Return every collector, those in the background last."""
        return [*self.collectors, *(one.collector for one in self.background)]

    def own_families(self) -> OwnFamilies:
        """Return the families that tell about the exporter itself."""
        return OwnFamilies.of(self.name)


@dataclass(frozen=True, slots=True)
class Part:
    """An exporter that is part of another one.

    Attributes:
        exporter: The part.
        port: Where it listens; None when the other one serves it with its own.
    """

    exporter: Exporter
    port: int | None
