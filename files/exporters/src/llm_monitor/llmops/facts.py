"""What the event store knows about the calls of applications in a window of time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from llm_monitor.base.metrics.guard import OTHER

WINDOWS = {"5m": 300, "1h": 3600, "24h": 86400}
QUANTILES = ("0.5", "0.95", "0.99")
# What an event without a name of an operation or a model is counted under.
NONE = "none"
# Events of a session that are told one by one; the sums are of all.
MOST_EVENTS = 200

Quantiles = Mapping[str, float]
Pair = tuple[str, str]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Use:
    """What became of calls; None is what no event of them tells.

    Attributes:
        requests: How many began.
        errors: How many of them ended with an exception.
        input_tokens: Their input tokens.
        output_tokens: Their output tokens.
        cost: What those with a known price cost, in USD.
        latency: Seconds from start to end, by quantile.
        first_token: Seconds from start to the first chunk of those that were streamed, by quantile.
    """

    requests: float = 0
    errors: float = 0
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost: float | None = None
    latency: Quantiles = field(default_factory=dict)
    first_token: Quantiles = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """What happened in one window, what is used most first.

    Attributes:
        at: Unix time at which it ends.
        newest: Unix time of its newest event, None when it has none.
        sessions: How many different sessions its events belong to.
        total: All of it.
        operations: By operation.
        models: By model.
        pairs: By operation and model.
        failures: Errors by operation and reason.
    """

    at: float
    newest: float | None
    sessions: float
    total: Use
    operations: Mapping[str, Use]
    models: Mapping[str, Use]
    pairs: Mapping[Pair, Use]
    failures: Mapping[Pair, float]


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll found.

    Attributes:
        at: Unix time of the poll.
        newest: Unix time of the newest event, None when none was found.
        windows: What happened in those of WINDOWS that are known.
    """

    at: float
    newest: float | None
    windows: Mapping[str, Window]


@dataclass(frozen=True, slots=True)
class Session:
    """What a session did in a window.

    Attributes:
        at: Unix time at which the window ends.
        first: When its first call began.
        last: When its last call began.
        use: Its calls.
        events: The newest of them, MOST_EVENTS at most, the newest first.
    """

    at: float
    first: datetime
    last: datetime
    use: Use
    events: Sequence[Mapping[str, Any]]


def number(value: Any) -> float | None:
    """Return a finite number as one that JSON has, else None; sums come as decimals."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(found):
        return None
    return int(found) if found.is_integer() else found


def collect(parts: Iterable[tuple[K, Use]]) -> dict[K, Use]:
    """Return uses by key, the most used first; those of one key are summed up."""
    found: dict[K, Use] = {}
    for key, use in parts:
        found[key] = together(found[key], use) if key in found else use
    return dict(sorted(found.items(), key=lambda item: (-item[1].requests, item[0])))


def fold(uses: Mapping[Pair, Use], most: int) -> dict[Pair, Use]:
    """Return the `most` pairs with the most requests, all others summed up as `other`."""
    ranked = list(uses.items())
    rest = [((OTHER, OTHER), use) for _, use in ranked[most:]]
    return collect([*ranked[:most], *rest])


def fold_failures(failures: Mapping[Pair, float], most: int) -> dict[Pair, float]:
    """Return the `most` frequent errors, the operations of all others as `other`."""
    ranked = sorted(failures.items(), key=lambda item: (-item[1], item[0]))
    found = dict(ranked[:most])
    for (_, reason), count in ranked[most:]:
        found[OTHER, reason] = found.get((OTHER, reason), 0) + count
    return found


def together(one: Use, two: Use) -> Use:
    """Return what two uses add up to; quantiles can't be added, so it has none."""
    return Use(
        one.requests + two.requests,
        one.errors + two.errors,
        _sum(one.input_tokens, two.input_tokens),
        _sum(one.output_tokens, two.output_tokens),
        _sum(one.cost, two.cost),
    )


def _sum(one: float | None, two: float | None) -> float | None:
    if one is None or two is None:
        return two if one is None else one
    return one + two
