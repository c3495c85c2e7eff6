"""Who is behind what Langfuse is told: traces, sessions, users, and what is thought of answers."""

import math
from dataclasses import dataclass

from llm_monitor.mock.world.gateway import LATENCY
from llm_monitor.mock.world.traces import Traces

_CALLS_A_TRACE = 1.4
_TRACES_A_SESSION = 4.0
# So many people there are: who asks often is one user.
_PEOPLE = 3000.0
_PATIENCE = LATENCY.index(10.0) + 1
# Of so many traces in a hundred somebody thinks something, and how good it is when all goes well.
_OPINIONS = {"helpfulness": (10.0, 0.91), "user-feedback": (2.5, 0.84)}


@dataclass(frozen=True, slots=True)
class Audience:
    """Who asked, in one window.

    Attributes:
        traces: Traces that began.
        sessions: Sessions that they belong to.
        users: Users that they belong to.
        scores: Number and mean of the scores by name, of those that were given.
    """

    traces: int
    sessions: int
    users: int
    scores: dict[str, tuple[int, float]]


def behind(window: Traces, server: int) -> Audience:
    """Return who is behind the traces of a window on one server.

    A failure pleases nobody, and an answer that took longer than ten seconds half as many.
    """
    calls = int(window.observations[server].sum())
    traces = math.ceil(calls / _CALLS_A_TRACE)
    sessions = math.ceil(traces / _TRACES_A_SESSION)
    users = math.ceil(_PEOPLE * (1 - math.exp(-sessions / _PEOPLE)))
    answered = window.latency[server].sum(axis=0)
    failed = float(window.errors[server].sum()) / max(1, calls)
    late = float(answered[_PATIENCE:].sum()) / max(1, int(answered.sum()))
    pleased = (1 - failed) * (1 - late / 2)
    counts = {name: int(traces * share / 100) for name, (share, _) in _OPINIONS.items()}
    scores = {name: (count, _OPINIONS[name][1] * pleased) for name, count in counts.items()}
    return Audience(traces, sessions, users, {name: it for name, it in scores.items() if it[0]})
