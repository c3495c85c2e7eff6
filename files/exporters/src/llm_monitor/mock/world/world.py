"""The simulated server: one step after the other, and any moment between two of them."""

import threading
from collections.abc import Callable

from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.world.chance import Chance
from llm_monitor.mock.world.forces import Forces
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.state import Moment, between
from llm_monitor.mock.world.step import State, step
from llm_monitor.mock.world.traces import Book, Traces

STEP_SECONDS = 30.0

Course = Callable[[float], Forces]


class World:
    """So many servers of one kind, which live through the same scenario, each by its own chance.

    Attributes:
        plan: What each of them has.
        servers: How many there are.
        start: When they boot, Unix time.
        course: Tells the forces of every moment.
        book: What Langfuse knew at moments of the last day.
    """

    def __init__(
        self, fleet: Fleet, course: Course, start: float, seed: int = 1, servers: int = 1
    ) -> None:
        """Boot the servers at `start`, Unix time; `course` tells the forces of every moment."""
        self.plan = Plan.of(fleet)
        self.servers = servers
        self.start = start
        self.course = course
        self._seed = seed
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        """Begin anew at the start."""
        self._number = 0
        self._later = State.start(self.plan, self.servers, self.start, self.course(self.start))
        self._earlier = self._later
        self.book = Book()
        self.book.note(self.start, self._later.traces)

    def at(self, time: float) -> State:
        """Return everything at a moment; one before the last step is worked out from the start.

        Raises:
            ValueError: When it is before the start.
        """
        if time < self.start:
            message = f"the simulation starts at {self.start:.0f}, {time:.0f} is before that"
            raise ValueError(message)
        with self._lock:
            if time < self._earlier.time:
                self._reset()
            while self._later.time < time:
                self._advance()
            if time == self._later.time:
                return self._later
            share = (time - self._earlier.time) / (self._later.time - self._earlier.time)
            return between(self._earlier, self._later, share)

    def told(self, state: State, seconds: float) -> Traces:
        """Return what Langfuse was told within the last `seconds` before `state`.

        Raises:
            KeyError: When they are none of WINDOWS.
        """
        with self._lock:
            return self.book.window(state.time, state.traces, seconds)

    def _advance(self) -> None:
        self._number += 1
        # Multiplied rather than added up, so that the same step always ends at the same time.
        end = self.start + self._number * STEP_SECONDS
        chance = Chance(self._seed, self._number)
        self._earlier = self._later
        moment = Moment(end, STEP_SECONDS)
        self._later = step(self._earlier, self.plan, self.course(end), moment, chance)
        self.book.note(end, self._later.traces)

    def worked_out(self) -> float:
        """Return up to when everything has been worked out, Unix time."""
        with self._lock:
            return self._later.time
