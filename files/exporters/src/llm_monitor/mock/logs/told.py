"""All that a simulated server writes to its logs between two moments."""

from typing import NamedTuple

from llm_monitor.mock.logs import litellm
from llm_monitor.mock.logs.kernel import Kernel
from llm_monitor.mock.logs.roll import Line, Roll
from llm_monitor.mock.logs.services import Service
from llm_monitor.mock.logs.span import Span
from llm_monitor.mock.logs.vllm import Engine, caller_of
from llm_monitor.mock.world.chance import Chance

# The kernel is no container; an empty name can be no container's.
KERNEL = ""
# So that each log of each second and server has a chance of its own, none of them the world's.
_SERVERS, _LOGS = 1 << 10, 1 << 12


class Told(NamedTuple):
    """What was written.

    Attributes:
        lines: The lines of each log by container's name, and under KERNEL those of the kernel.
        left_out: How many lines real software would have written besides.
    """

    lines: dict[str, list[Line]]
    left_out: int


def tell(span: Span, seed: int) -> Told:
    """Return what is written in `span`: always the same for the same seed.

    However long the span is, of each kind of thing there are but a few lines. Of what happened
    several times in a long span, such as restarts of a container, only the last time is told.
    """
    fates = list(span.fates())
    caller = caller_of(span)
    rolls: dict[str, Roll] = {}

    def roll_of(name: str, place: int, ready: float = 0.0) -> Roll:
        number = (int(span.after.time) * _SERVERS + span.server) * _LOGS + place
        roll = Roll(span.before.time, span.after.time, Chance(seed, number), ready)
        rolls[name] = roll
        return roll

    for fate in fates:
        roll = roll_of(fate.name, fate.place, fate.ready)
        if fate.place < span.plan.crew.models:
            Engine(span, fate, roll, caller).write()
            continue
        Service(span, fate, roll).write()
        if span.plan.services["litellm"][fate.place]:
            litellm.write(roll, span, fate)
    Kernel(span, roll_of(KERNEL, len(fates))).write(fates)
    lines = {name: found for name, roll in rolls.items() if (found := roll.lines())}
    return Told(lines, sum(roll.left_out for roll in rolls.values()))
