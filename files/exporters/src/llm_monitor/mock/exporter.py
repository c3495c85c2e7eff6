"""Puts the mock together: the real exporters over the sources of a simulated server."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from llm_monitor.base.collection.engine import Limits
from llm_monitor.base.config.model import ExporterSettings
from llm_monitor.base.errors import SettingsError
from llm_monitor.base.exporter import Exporter, Part
from llm_monitor.mock.api import create_router
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.collectors import StageCollector
from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.fleet.reading import read_fleet, usual_fleet
from llm_monitor.mock.logs.writer import LogWriter
from llm_monitor.mock.metrics import FAMILIES
from llm_monitor.mock.parts import NOTE, PLAYED, play
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.servers import Servers, add_servers
from llm_monitor.mock.stage import Stage


def played(value: object) -> dict[str, int | None]:
    """Return the exporters in `value`, each with its port if it has one of its own.

    Args:
        value: A mapping, or text such as `gpu=9445,vllm`.

    Raises:
        ValueError: When it is neither, or names an exporter or a port that can't be.
    """
    if isinstance(value, str):
        pairs = [one.strip().partition("=") for one in value.split(",") if one.strip()]
        value = {name.strip(): port.strip() or None for name, _, port in pairs}
    if not isinstance(value, Mapping):
        message = "not a list of exporters"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError
    found = {str(name): None if port is None else int(port) for name, port in value.items()}
    if not found.keys() <= set(PLAYED) or not all(
        port is None or 0 < port < 65536 for port in found.values()
    ):
        message = "an exporter or a port that can't be"
        raise ValueError(message)
    return found


class Settings(ExporterSettings):
    """The mock's own settings; see settings.yaml for what they mean."""

    scenario: str = Field(min_length=1, description="the name of a scenario, such as normal")
    scenarios: str = Field(description="a folder, or nothing")
    fleet: str = Field(description="a file, or nothing")
    seed: int = Field(ge=0, lt=2**63, description="a whole number, not negative")
    speed: float = Field(gt=0, le=3600, description="a number above 0, 3600 at most")
    logs: str = Field(description="a folder, or nothing")
    exporters: Annotated[dict[str, int | None], BeforeValidator(played)] = Field(
        description=f"some of {', '.join(PLAYED)}, each with =PORT if it has a port of its own"
    )
    servers: int = Field(ge=1, le=1000, description="a whole number, 1 to 1000")

    @model_validator(mode="after")
    def _no_ports_of_many(self) -> Self:
        if self.servers > 1 and any(self.exporters.values()):
            port = next(f"{name}={port}" for name, port in self.exporters.items() if port)
            message = f"exporters: {port} gives a port to one server, but servers is "
            message += f"{self.servers}; expected 1, or no ports"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def can_be_played(self) -> Self:
        """Read the files that are named: what is wrong in them is wrong with the settings.

        Raises:
            SettingsError: When the scenario is unknown, or a file of the user's is wrong.
        """
        read(self)
        return self


def read(settings: Settings) -> tuple[Fleet, Library]:
    """Return what the server has and what can happen to it, as `settings` say.

    Raises:
        SettingsError: When the scenario is unknown, or a file of the user's is wrong.
    """
    fleet = read_fleet(Path(settings.fleet)) if settings.fleet else usual_fleet()
    library = Library(fleet, Path(settings.scenarios) if settings.scenarios else None)
    if settings.scenario not in library.names():
        known = ", ".join(library.names())
        problem = f"mock.scenario: {settings.scenario!r} is no scenario; expected one of {known}"
        raise SettingsError([problem])
    return fleet, library


def build(settings: Settings, clock: VirtualClock | None = None) -> Exporter:
    """Return the mock of a server, whose time `clock` tells; it begins now unless told otherwise.

    Raises:
        SettingsError: When a file of the user's has become wrong.
    """
    fleet, library = read(settings)
    clock = clock or VirtualClock(time.time(), settings.speed)
    stage = Stage(fleet, library, settings.scenario, clock, settings.seed, settings.servers)
    logs = LogWriter(stage.view(), Path(settings.logs), settings.seed) if settings.logs else None
    router = create_router(stage)
    alone: list[Exporter] = []
    if settings.servers > 1:
        add_servers(router, Servers(stage, settings.exporters, _limits(settings)))
    else:
        alone = play(stage.view(), settings.exporters)
    return Exporter(
        name="mock",
        families=FAMILIES,
        collectors=[StageCollector(stage, logs)],
        watchers=[] if logs is None else [logs],
        router=router,
        parts=[Part(one, settings.exporters[one.name]) for one in alone],
        note=NOTE,
    )


def _limits(settings: Settings) -> Limits:
    """Return what each exporter of many servers may cost."""
    usual = Limits()
    return Limits(
        min_interval=0.0,
        per_family=settings.max_series_per_family or usual.per_family,
        total=settings.max_series or usual.total,
    )
