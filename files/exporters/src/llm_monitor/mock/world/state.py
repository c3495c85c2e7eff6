"""What a simulation knows at one moment, and how moments between two steps are had."""

from dataclasses import dataclass, is_dataclass
from enum import Enum
from typing import Annotated, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

S = TypeVar("S")


class Rule(Enum):
    """How what is between two steps is had; without a rule a value stays until the next step."""

    COUNTED = "it rises by whole numbers, or begins anew at the next step"
    GROWN = "it rises, or begins anew at the next step"
    SMOOTH = "it changes evenly"


Counted = Annotated[Counts, Rule.COUNTED]
Grown = Annotated[Floats, Rule.GROWN]
Smooth = Annotated[Floats, Rule.SMOOTH]
SmoothNumber = Annotated[float, Rule.SMOOTH]

_RULES: dict[type, dict[str, Rule | None]] = {}


def between(earlier: S, later: S, share: float) -> S:
    """Return the state at `share` (0 to 1) of the way from one state to the next one.

    What is counted is rounded down, so that it never falls from one moment to a later one.
    """
    kind = type(earlier)
    made = {}
    for name, rule in _rules(kind).items():
        before, after = getattr(earlier, name), getattr(later, name)
        if is_dataclass(before):
            made[name] = between(before, after, share)
        elif rule is Rule.SMOOTH:
            made[name] = before + (after - before) * share
        elif rule is Rule.GROWN:
            made[name] = before + np.maximum(after - before, 0) * share
        elif rule is Rule.COUNTED:
            part = np.floor(np.maximum(after - before, 0) * share)
            made[name] = before + part.astype(np.int64)
        else:
            made[name] = before
    return kind(**made)


def anew(state: S) -> S:
    """Return the state with all that is counted at 0."""
    kind = type(state)
    made = {name: getattr(state, name) for name in _rules(kind)}
    for name, rule in _rules(kind).items():
        if rule in (Rule.COUNTED, Rule.GROWN):
            made[name] = np.zeros_like(made[name])
    return kind(**made)


def alone(state: S, server: int) -> S:
    """Return the state of one server, whose place in the arrays is the only one."""
    kind = type(state)
    made = {name: getattr(state, name) for name in _rules(kind)}
    for name, value in made.items():
        if isinstance(value, np.ndarray):
            # A copy: who keeps what is of one server shall not keep what is of all of them.
            made[name] = value[server : server + 1].copy()
        elif is_dataclass(value):
            made[name] = alone(value, server)
    return kind(**made)


def _rules(kind: type) -> dict[str, Rule | None]:
    """Return the rule of each field of a dataclass, of those that have none too."""
    if kind not in _RULES:
        hints = get_type_hints(kind, include_extras=True)
        _RULES[kind] = {
            name: next(iter(getattr(one, "__metadata__", ())), None) for name, one in hints.items()
        }
    return _RULES[kind]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a step of the simulation is.

    Attributes:
        time: Its end, Unix time in seconds.
        seconds: How long it is.
    """

    time: float
    seconds: float
