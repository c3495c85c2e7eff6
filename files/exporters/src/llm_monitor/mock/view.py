"""What the simulated sources see: one server of the simulation, at the clock's time."""

import math
from collections.abc import Callable
from typing import ClassVar, Protocol

from llm_monitor.base.errors import SourceError
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.step import State
from llm_monitor.mock.world.traces import Ear, Traces

_UPTIME_SECONDS = 1200.0


class Simulation(Protocol):
    """Simulated servers: a World, or what is known of one."""

    @property
    def plan(self) -> Plan:
        """What each of them has."""
        ...

    @property
    def start(self) -> float:
        """When they boot, Unix time."""
        ...

    def at(self, time: float, server: int | None = None, /) -> State:
        """Return everything at a moment, or what there is of one server then."""
        ...

    def told(self, ear: Ear, state: State, seconds: float, server: int | None = None, /) -> Traces:
        """Return what one was told within the last `seconds` before `state`."""
        ...


class View:
    """One simulated server as it is now.

    Attributes:
        plan: What it has.
        server: Which of the simulation's it is.
        row: Its place in the arrays of what it is told, where it is alone.
        boot: When it booted, Unix time: before its containers were started.
    """

    row: ClassVar = 0

    def __init__(self, world: Simulation, now: Callable[[], float], server: int = 0) -> None:
        """See a server of `world` at the time that `now` tells, Unix time."""
        self.plan = world.plan
        self.server = server
        self.boot = world.start - _UPTIME_SECONDS
        self._world = world
        self._now = now
        self._kept: tuple[float, State] | None = None

    def time(self) -> float:
        """Return the simulation's Unix time, in whole seconds."""
        return math.floor(self._now())

    def state(self) -> State:
        """Return how everything is; within one second all who ask see the same."""
        moment = self.time()
        kept = self._kept
        if kept is None or kept[0] != moment:
            kept = self._kept = moment, self._world.at(moment, self.server)
        return kept[1]

    def at(self, time: float) -> State:
        """Return how everything is at a Unix time: the present, or half a minute before it.

        One further back is had too, but worked out from the start.
        """
        return self._world.at(time, self.server)

    def told(self, ear: Ear, seconds: float) -> Traces:
        """Return what one was told within the last `seconds`, a window of its exporter's."""
        return self._world.told(ear, self.state(), seconds, self.server)

    def asked(self, exporter: str) -> State:
        """Return how everything is, for an exporter's question.

        Raises:
            SourceError: When the scenario has what that exporter asks not answer.
        """
        state = self.state()
        if state.forces.befall("collector_failing", exporter):
            message = "the scenario lets it not answer"
            raise SourceError(message)
        return state
