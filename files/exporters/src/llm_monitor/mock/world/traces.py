"""What Langfuse or the event store has been told, and how much of it in the last while."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Literal, get_args

import numpy as np

from llm_monitor.langfuse.facts import WINDOWS
from llm_monitor.mock.world.gateway import LATENCY_BUCKETS, REASONS, Gateway
from llm_monitor.mock.world.state import Counted, Flags, Floats, Grown, alone, between

# Who is told of requests, by the name that what they know has in a State: Langfuse by LiteLLM, and
# the event store by applications.
Ear = Literal["traces", "events"]
EARS: tuple[Ear, ...] = get_args(Ear)

# Moments of a window that are remembered. Between two of them as much happened in each second.
_MOMENTS = 30
# How far before the moment noted last others are still asked for.
_SLACK = 60.0


@dataclass(slots=True)
class Traces:
    """What one of them has been told, by server and route (but for the first).

    Attributes:
        newest: When the newest trace began, Unix time, by server; 0 while there is none.
        observations: Observations that began.
        errors: Those of them that failed, by reason too: one of the gateway's REASONS.
        input_tokens: Their tokens of prompts.
        output_tokens: Their tokens of answers.
        cost: What they cost, in USD.
        latency: Time from their start to their end.
        first_token: Time from their start to their first token.
    """

    newest: Floats
    observations: Counted
    errors: Counted
    input_tokens: Counted
    output_tokens: Counted
    cost: Grown
    latency: Counted
    first_token: Counted

    @classmethod
    def start(cls, servers: int, routes: int) -> "Traces":
        """Return one that knows nothing yet."""
        none = np.zeros((servers, routes), np.int64)
        errors = np.zeros((servers, routes, len(REASONS)), np.int64)
        times = LATENCY_BUCKETS.empty(servers, routes)
        cost = np.zeros((servers, routes))
        return cls(np.zeros(servers), none, errors, none, none, cost, times, times)

    def step(self, time: float, earlier: Gateway, later: Gateway, hears: Flags) -> "Traces":
        """Return what it knows after a step of LiteLLM's: nothing new where it hears nothing."""
        deep = hears[..., None]
        failed = (later.failed - earlier.failed) * deep
        ended = (later.succeeded - earlier.succeeded) * hears + failed.sum(axis=-1)
        return Traces(
            newest=np.where(ended.any(axis=1), time, self.newest),
            observations=self.observations + ended,
            errors=self.errors + failed,
            input_tokens=self.input_tokens + (later.input_tokens - earlier.input_tokens) * hears,
            output_tokens=self.output_tokens
            + (later.output_tokens - earlier.output_tokens) * hears,
            cost=self.cost + (later.spend - earlier.spend) * hears,
            latency=self.latency + (later.latency - earlier.latency) * deep,
            first_token=self.first_token + (later.first_token - earlier.first_token) * deep,
        )

    def since(self, earlier: "Traces") -> "Traces":
        """Return what came after `earlier`."""
        names = [one.name for one in fields(self) if one.name != "newest"]
        came = {name: getattr(self, name) - getattr(earlier, name) for name in names}
        return Traces(newest=self.newest, **came)


class Book:
    """Remembers what one of them knew, at as many moments as each window needs."""

    def __init__(self, windows: Sequence[float] = tuple(WINDOWS.values())) -> None:
        """Remember for windows of so many seconds."""
        self._entries: dict[float, deque[tuple[float, Traces]]] = {one: deque() for one in windows}

    def note(self, time: float, traces: Traces) -> None:
        """Remember `traces` for each window for which none almost as late is remembered."""
        for seconds, entries in self._entries.items():
            if not entries or time - entries[-1][0] >= seconds / _MOMENTS:
                entries.append((time, traces))
            while len(entries) > 1 and entries[1][0] <= time - seconds - _SLACK:
                entries.popleft()

    def window(self, time: float, now: Traces, seconds: float, server: int | None = None) -> Traces:
        """Return what came within the last `seconds` before `time`; less where less is known.

        Args:
            time: The moment, Unix time.
            now: What is known then.
            seconds: The window.
            server: Whose knowledge `now` is, if it is not that of all.

        Raises:
            KeyError: When nothing is remembered for such a window.
        """
        entries = self._entries[seconds]
        start = time - seconds
        place = bisect_right(entries, start, key=lambda entry: entry[0])
        around = [
            (at, one if server is None else alone(one, server))
            for at, one in islice(entries, max(0, place - 1), place + 1)
        ]
        (earlier, before), (later, after) = [*around, (time, now)][:2]
        if not place:
            return now.since(before)
        return now.since(between(before, after, (start - earlier) / (later - earlier)))
