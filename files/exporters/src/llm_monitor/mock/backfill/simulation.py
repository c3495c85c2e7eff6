"""What the simulated server lives through, worked out once for all who play its exporters."""

from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import NamedTuple

from llm_monitor.langfuse.facts import WINDOWS
from llm_monitor.mock.backfill.order import Order
from llm_monitor.mock.scenario.course import Programme
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.stage import UP_BEFORE
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.step import State
from llm_monitor.mock.world.traces import EARS, Ear, Traces
from llm_monitor.mock.world.world import World


class Known(NamedTuple):
    """What is known of one moment.

    Attributes:
        state: How everything is.
        told: What those were told that are told of requests, by who it was and by the seconds of
            the window.
    """

    state: State
    told: Mapping[tuple[Ear, float], Traces]


def simulate(order: Order, mouths: Sequence[Connection]) -> None:
    """Tell all `mouths` of the moments of `order`, period by period.

    It is at most one period ahead of those who listen.
    """
    course = Library(order.fleet, order.scenarios).course(order.scenario)
    programme = Programme(order.begin, course)
    world = World(order.fleet, programme, order.begin, order.seed, lead_in=UP_BEFORE)
    for period in order.periods:
        known = [_known(world, moment) for moment in period.moments]
        packed = ForkingPickler.dumps(known)
        for mouth in mouths:
            mouth.send_bytes(packed)


def _known(world: World, moment: float) -> Known:
    state = world.at(moment)
    told = {
        (ear, float(seconds)): world.told(ear, state, seconds)
        for ear in EARS
        for seconds in WINDOWS.values()
    }
    return Known(state, told)


class Replay:
    """A world that another process works out, moment by moment.

    Attributes:
        plan: What its server has.
        start: When it boots, Unix time.
    """

    def __init__(self, order: Order, ear: Connection) -> None:
        """Replay what `simulate` tells `ear`.

        Raises:
            EOFError: When it ends before it has told anything.
        """
        self.plan = Plan.of(order.fleet)
        self.start = order.begin
        self._moments = _heard(ear)
        self._known = next(self._moments)

    def at(self, time: float, _server: int | None = None, /) -> State:
        """Return everything at a moment of `order`; never one before that of the last call.

        Raises:
            EOFError: When it has not been told of.
        """
        while self._known.state.time < time:
            self._known = next(self._moments)
        return self._known.state

    def told(
        self, ear: Ear, _state: State, seconds: float, _server: int | None = None, /
    ) -> Traces:
        """Return what one was told within the last `seconds` before the moment at hand."""
        return self._known.told[ear, seconds]


def _heard(ear: Connection) -> Iterator[Known]:
    while True:
        yield from ear.recv()
