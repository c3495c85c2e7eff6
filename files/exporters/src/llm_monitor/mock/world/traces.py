"""What Langfuse has been told, and how much of it in the last while."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from llm_monitor.mock.world.gateway import Gateway
from llm_monitor.mock.world.state import Counted, Grown

_LONGEST = 86400.0


@dataclass(slots=True)
class Traces:
    """What Langfuse has been told, by server and route.

    Attributes:
        newest: When the newest trace began, Unix time.
        observations: Observations that began.
        errors: Those of them that failed.
        input_tokens: Their tokens of prompts.
        output_tokens: Their tokens of answers.
        cost: What they cost, in USD.
    """

    newest: float
    observations: Counted
    errors: Counted
    input_tokens: Counted
    output_tokens: Counted
    cost: Grown

    @classmethod
    def start(cls, servers: int, routes: int, time: float) -> "Traces":
        """Return a Langfuse that knows nothing yet."""
        none = np.zeros((servers, routes), np.int64)
        return cls(time, none, none, none, none, np.zeros((servers, routes)))

    def step(self, time: float, earlier: Gateway, later: Gateway, *, stale: bool) -> "Traces":
        """Return what it knows after a step of LiteLLM's: nothing new when it is `stale`."""
        if stale:
            return self
        failed = (later.failed - earlier.failed).sum(axis=-1)
        ended = later.succeeded - earlier.succeeded + failed
        return Traces(
            newest=time if ended.any() else self.newest,
            observations=self.observations + ended,
            errors=self.errors + failed,
            input_tokens=self.input_tokens + later.input_tokens - earlier.input_tokens,
            output_tokens=self.output_tokens + later.output_tokens - earlier.output_tokens,
            cost=self.cost + later.spend - earlier.spend,
        )

    def since(self, earlier: "Traces") -> "Traces":
        """Return what came after `earlier`."""
        return Traces(
            self.newest,
            self.observations - earlier.observations,
            self.errors - earlier.errors,
            self.input_tokens - earlier.input_tokens,
            self.output_tokens - earlier.output_tokens,
            self.cost - earlier.cost,
        )


class Book:
    """Remembers what Langfuse knew at each moment of the last day."""

    def __init__(self, pace: float) -> None:
        """Remember one moment in `pace` seconds."""
        self._pace = pace
        self._entries: deque[tuple[float, Traces]] = deque()

    def note(self, time: float, traces: Traces) -> None:
        """Remember `traces`, unless a moment almost as late is remembered."""
        entries = self._entries
        if entries and time - entries[-1][0] < self._pace:
            return
        entries.append((time, traces))
        while entries[0][0] < time - _LONGEST - self._pace:
            entries.popleft()

    def window(self, time: float, now: Traces, seconds: float) -> Traces:
        """Return what came within the last `seconds` before `time`; less where less is known."""
        times = [moment for moment, _ in self._entries]
        place = int(np.searchsorted(times, time - seconds, side="right")) - 1
        return now.since(self._entries[max(0, place)][1])
