"""All that a simulated server writes to its logs between two moments."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from llm_monitor.mock.logs import litellm
from llm_monitor.mock.logs.kernel import Kernel
from llm_monitor.mock.logs.roll import Line, Roll
from llm_monitor.mock.logs.services import Service
from llm_monitor.mock.logs.span import Fate, Span
from llm_monitor.mock.logs.vllm import Engine, caller_of
from llm_monitor.mock.world.chance import Chance

# The kernel is no container; an empty name can be no container's.
KERNEL = ""
# So that each log of each second and server has a chance of its own, none of them the world's.
_SERVERS, _LOGS = 1 << 10, 1 << 12

# A log's name, when its software is ready, and what writes it.
_Writer = tuple[str, float, Callable[[Roll], None]]


class Told(NamedTuple):
    """What was written.

    Attributes:
        lines: The lines of each log by container's name, and under KERNEL those of the kernel.
        left_out: How many lines real software would have written besides.
        failed: Why a log could not be told, or not wholly.
    """

    lines: dict[str, list[Line]]
    left_out: int
    failed: dict[str, Exception]


def tell(span: Span, seed: int) -> Told:
    """Return what is written in `span`: always the same for the same seed.

    However long the span is, of each kind of thing there are but a few lines. Of what happened
    several times in a long span, such as restarts of a container, only the last time is told.
    """
    fates = list(span.fates())
    caller = caller_of(span)
    writers: list[_Writer] = [
        (fate.name, fate.ready, partial(_container, span, fate, caller)) for fate in fates
    ]
    writers.append((KERNEL, 0.0, lambda roll: Kernel(span, roll).write(fates)))
    rolls: dict[str, Roll] = {}
    failed: dict[str, Exception] = {}
    for place, (name, ready, write) in enumerate(writers):
        number = (int(span.after.time) * _SERVERS + span.server) * _LOGS + place
        roll = rolls[name] = Roll(span.before.time, span.after.time, Chance(seed, number), ready)
        try:
            write(roll)
        except Exception as error:
            # It is no other log's loss; who keeps the logs says so and counts.
            failed[name] = error
    lines = {name: found for name, roll in rolls.items() if (found := roll.lines())}
    return Told(lines, sum(roll.left_out for roll in rolls.values()), failed)


def _container(span: Span, fate: Fate, caller: str, roll: Roll) -> None:
    """Write what a container says; `caller` is the address that vLLM's requests come from."""
    if fate.place < span.plan.crew.models:
        Engine(span, fate, roll, caller).write()
        return
    Service(span, fate, roll).write()
    if span.plan.services["litellm"][fate.place]:
        litellm.write(roll, span, fate)
