"""A host with containers: files for a kernel, an engine that stands in, and the exporter."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.cgroups import NETWORK, Kernel
from exporter_testing.docker_api import DockerStandIn
from llm_monitor.base import registry
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.config.load import check
from llm_monitor.base.config.reader import read
from llm_monitor.container.exporter import Settings, build

Labels = frozenset[tuple[str, str]]
OWN = "llm_monitor_container_"


def number(index: int) -> str:
    """Return an id as engines give it."""
    return f"{index:02x}" * 32


class Series:
    """The series of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.all: dict[tuple[str, Labels], float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def one(self, name: str, /, **labels: str) -> float | None:
        """Return the value of the series that has these labels among its own, None without one.

        `name` stands for `container_NAME` if there is such a family, else for our own.
        """
        found = self.each(name, **labels)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def each(self, name: str, /, **labels: str) -> dict[Labels, float]:
        """Return the values of all series that have these labels among their own."""
        wanted = set(labels.items())
        return {
            pairs: value
            for (series, pairs), value in self.all.items()
            if series in (f"container_{name}", OWN + name) and wanted <= pairs
        }

    def names(self, name: str) -> set[str]:
        """Return the names of the containers that have a series of that name."""
        return {
            text
            for pairs in self.each(name)
            for label, text in pairs
            if label in ("name", "container")
        }

    def failing(self) -> set[str]:
        """Return the names of the collectors that failed."""
        success = self.each("collector_success")
        return {dict(pairs)["collector"] for pairs, value in success.items() if not value}


class Host:
    """A host on which containers run, and its exporter.

    Attributes:
        kernel: What the kernel shows.
        engine: What the engine knows.
    """

    def __init__(self, kernel: Kernel, engine: DockerStandIn, **settings: str) -> None:
        self.kernel = kernel
        self.engine = engine
        self._settings = settings
        self._exporter: Engine | None = None
        self._loop = asyncio.new_event_loop()

    def run(self, index: int, name: str, network: str = NETWORK, **changes: Any) -> str:
        """Let a container run, and return its id."""
        container, pid = number(index), 4200 + index
        state = {"Pid": pid, **changes.pop("State", {})}
        self.engine.add(container, name, State=state, **changes)
        self.kernel.add(container, pid, network)
        return container

    def change(self, container: str, section: str, **changes: Any) -> None:
        """Change a section of what the engine tells of a container."""
        self.engine.containers[container][section] |= changes

    def settings(self) -> Mapping[str, str]:
        return {"docker": self.engine.address, **self.kernel.settings, **self._settings}

    def collect(self) -> Series:
        """Return what one collection gives; what lasts between them does so here."""
        if self._exporter is None:
            raw = read({})
            raw["container"] = {**raw["container"], **self.settings()}
            _, sections = check(raw, {"container": Settings}, registry.names())
            own = sections["container"]
            assert isinstance(own, Settings)
            limits = Limits(0, own.max_series_per_family or 0, own.max_series or 0)
            self._exporter = Engine(build(own), limits)
        snapshot = self._loop.run_until_complete(self._exporter.snapshot(Deadline.after(8)))
        return Series(snapshot.body().decode())

    def close(self) -> None:
        self._loop.close()
