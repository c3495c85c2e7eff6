"""Call: what a wrapper notes on the caller's thread. The worker makes the event of it later."""

from dataclasses import dataclass
from typing import Any

# A trace or span that was begun here is a number until somebody wants to read it.
Id = int | str


@dataclass(slots=True, eq=False)
class Call:
    """One call of a decorated function, as cheap to note as can be.

    `source` is what the decorator knows, `started` Unix time, `duration` seconds by a monotonic
    clock; `noted` is what was taken from result and arguments, `stream` how the chunks came.
    """

    source: Any
    session_id: str | None
    trace_id: Id | None
    span_id: Id
    parent_span_id: Id | None
    started: float
    duration: float
    error_type: type[BaseException] | None = None
    noted: Any = None
    stream: Any = None
