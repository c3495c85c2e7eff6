"""The simulation while it runs: its clock, its world, and what is played."""

import threading
from collections.abc import Mapping
from typing import Any

from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.scenario.course import Programme
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.view import View
from llm_monitor.mock.world.world import World

# Langfuse and the event store tell of the last 24 hours: the server has lived a little longer.
UP_BEFORE = 25 * 3600.0
# A jump is worked out step by step, about two seconds for a day; twelve for 200 servers.
LONGEST_JUMP = 86400.0


class Stage:
    """A simulated server, or several, that live through a scenario.

    Attributes:
        library: The scenarios that can be played.
        servers: How many servers there are.
    """

    def __init__(
        self,
        fleet: Fleet,
        library: Library,
        scenario: str,
        clock: VirtualClock,
        seed: int = 1,
        servers: int = 1,
        up_before: float = UP_BEFORE,
    ) -> None:
        """Play `scenario` from the clock's present on.

        Before that come `up_before` usual seconds, of which nothing is counted.
        """
        self.library = library
        self.servers = servers
        self._clock = clock
        self._lock = threading.Lock()
        start = clock.now()
        self._programme = Programme(start, library.course(scenario))
        self._world = World(fleet, self._programme, start, seed, servers, up_before)
        # Worked out here, not in the first scrape, which has a deadline.
        self._world.at(start)

    @property
    def scenario(self) -> str:
        """The name of what is played."""
        return self._programme.course.name

    @property
    def description(self) -> str:
        """What that is, in a sentence."""
        return self._programme.course.description

    @property
    def settings(self) -> Mapping[str, Any]:
        """The levels that have been set, instead of the scenario's own."""
        return self._programme.settings

    def now(self) -> float:
        """Return the simulation's Unix time."""
        return self._clock.now()

    def view(self, server: int = 0) -> View:
        """Return what the sources of one server see."""
        return View(self._world, self._clock.now, server)

    def play(self, scenario: str, settings: Mapping[str, Any]) -> None:
        """Play `scenario` from now on, with the levels `settings` instead of its own.

        Raises:
            KeyError: When there is no such scenario.
        """
        course = self.library.course(scenario)
        with self._lock:
            # What has been worked out already stays: between two steps nothing changes any more.
            self._programme.play(max(self._clock.now(), self._world.worked_out()), course, settings)

    def advance(self, seconds: float) -> float:
        """Let so much time pass at once, and return the time after that.

        Raises:
            ValueError: When that is backwards or more than LONGEST_JUMP.
        """
        if not 0 <= seconds <= LONGEST_JUMP:
            message = f"it is not 0 to {LONGEST_JUMP:.0f} seconds"
            raise ValueError(message)
        now = self._clock.advance(seconds)
        self._world.at(now)
        return now
