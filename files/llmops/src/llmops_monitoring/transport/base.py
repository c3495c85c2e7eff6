"""What a transport does: it takes calls from threads that it never holds up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from llmops_monitoring.call import Call


@dataclass(frozen=True, slots=True)
class TransportStats:
    """What became of all calls so far: `enqueued = written + dropped + queued + spilled`.

    `queued` are those in memory, `buffered` those of them that wait in a batch of the worker;
    `spilled` are those that lie on disk now. `dropped` is by reason. `healthy` tells how the last
    attempt to reach the backend went, None before the first; `flushes` are batches that it took,
    in `flush_seconds` all together.
    """

    running: bool = False
    enqueued: int = 0
    written: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    queued: int = 0
    buffered: int = 0
    spilled: int = 0
    retried: int = 0
    healthy: bool | None = None
    last_error: str | None = None
    last_flush: datetime | None = None
    flushes: int = 0
    flush_seconds: float = 0.0


@runtime_checkable
class Transport(Protocol):
    """Delivers calls to a backend."""

    def start(self) -> None:
        """Be ready for calls; it is safe to call this twice."""

    def put(self, call: Call, /) -> None:
        """Take a call on the thread that made it: without waiting, without raising."""

    def flush(self, timeout: float) -> bool:
        """Return whether all that was put before is written or spilled within `timeout` seconds.

        It is False, once, when a call was dropped since the last flush, too.
        """

    def stop(self, timeout: float) -> bool:
        """Flush, then end; return whether all was delivered within `timeout` seconds."""

    def stats(self) -> TransportStats:
        """Return the counters, all of the same moment."""
