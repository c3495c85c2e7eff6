"""The simulated server: one step after the other, and any moment between two of them."""

import math
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable

from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.world.chance import Chance
from llm_monitor.mock.world.forces import Forces
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.state import Moment, alone, between
from llm_monitor.mock.world.step import State, step
from llm_monitor.mock.world.traces import EARS, Book, Ear, Traces

STEP_SECONDS = 30.0
# For those who ask for a moment a little after others have asked for a later one. The books of what
# others knew reach as far back.
_KEPT_STEPS = 2

Course = Callable[[float], Forces]


class World:
    """So many servers of one kind, which live through the same scenario, each by its own chance.

    Attributes:
        plan: What each of them has.
        servers: How many there are.
        start: When they boot, Unix time.
        course: Tells the forces of every moment.
        books: What Langfuse and the event store knew at moments of the last day, by the name
            that what they know has in a State.
    """

    def __init__(
        self,
        fleet: Fleet,
        course: Course,
        start: float,
        seed: int = 1,
        servers: int = 1,
        lead_in: float = 0.0,
    ) -> None:
        """Boot the servers at `start`, Unix time; `course` tells the forces of every moment.

        For `lead_in` seconds they live before that, so that they are busy from the start on and
        Langfuse and the event store know of what they did; of that nothing is counted.
        """
        self.plan = Plan.of(fleet)
        self.servers = servers
        self.start = start
        self.course = course
        self._seed = seed
        self._steps_before = math.ceil(lead_in / STEP_SECONDS)
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        """Begin anew at the start."""
        self._number = 0
        begin = self._end(0)
        first = State.start(self.plan, self.servers, begin, self.course(begin))
        self._states = deque([first], maxlen=_KEPT_STEPS + 1)
        self.books: dict[Ear, Book] = {ear: Book() for ear in EARS}
        self._note(first)

    def at(self, time: float, server: int | None = None) -> State:
        """Return everything at a moment; one before the last steps is worked out from the start.

        Args:
            time: The moment, Unix time.
            server: Whose state is wanted; in its arrays it is alone then.

        Raises:
            ValueError: When it is before the simulation's start.
        """
        if time < (begin := self._end(0)):
            message = f"the simulation starts at {begin:.0f}, {time:.0f} is before that"
            raise ValueError(message)
        with self._lock:
            if time < self._states[0].time:
                self._reset()
            while self._states[-1].time < time:
                self._advance()
            place = bisect_left(self._states, time, key=lambda state: state.time)
            later = self._states[place]
            earlier = later if time == later.time else self._states[place - 1]
        if server is not None and self.servers > 1:
            earlier, later = alone(earlier, server), alone(later, server)
        if earlier.time == later.time:
            return later
        return between(earlier, later, (time - earlier.time) / (later.time - earlier.time))

    def told(self, ear: Ear, state: State, seconds: float, server: int | None = None) -> Traces:
        """Return what one was told within the last `seconds` before `state`.

        Args:
            ear: Who was told.
            state: Everything at a moment, or what there is of one server.
            seconds: The window.
            server: Whose state it is, if it is that of one.

        Raises:
            KeyError: When they are none of WINDOWS.
        """
        with self._lock:
            one = server if self.servers > 1 else None
            return self.books[ear].window(state.time, getattr(state, ear), seconds, one)

    def _advance(self) -> None:
        self._number += 1
        end = self._end(self._number)
        chance = Chance(self._seed, self._number)
        moment = Moment(end, STEP_SECONDS)
        state = step(self._states[-1], self.plan, self.course(end), moment, chance)
        if self._number == self._steps_before:
            state = state.booted(end)
        self._states.append(state)
        self._note(state)

    def _note(self, state: State) -> None:
        for ear, book in self.books.items():
            book.note(state.time, getattr(state, ear))

    def _end(self, number: int) -> float:
        """Return when a step ends: the same each time, for it is not added up."""
        return self.start + (number - self._steps_before) * STEP_SECONDS

    def worked_out(self) -> float:
        """Return up to when everything has been worked out, Unix time."""
        with self._lock:
            return self._states[-1].time
