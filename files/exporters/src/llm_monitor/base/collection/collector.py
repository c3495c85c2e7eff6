"""What a collector is, and what became of one call to it."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from llm_monitor.base.metrics.family import Family, Sample


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which something has to be done.

    Attributes:
        at: The moment on the clock of `time.monotonic`, in seconds.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that is `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds left, 0 once it has passed."""
        return max(0.0, self.at - time.monotonic())


class Collector(Protocol):
    """Turns what a source returns into samples.

    Attributes:
        name: The value of the label `collector`, unique within its exporter.
        families: Every family that it may give; no other collector gives them.
    """

    @property
    def name(self) -> str:
        """The value of the label `collector`."""
        ...

    @property
    def families(self) -> tuple[Family, ...]:
        """Every family that it may give."""
        ...

    def collect(self, deadline: Deadline, /) -> Iterable[Sample]:
        """Return fresh samples; nothing is a valid answer, raising loses this collector's series.

        It runs in a thread and may block; what ends after `deadline` is thrown away.
        """
        ...


@dataclass(frozen=True, slots=True)
class Background:
    """A collector that is too slow for a scrape and runs at its own interval instead.

    Attributes:
        collector: The collector.
        interval: Seconds from the start of one run to the start of the next. Its samples are
            served until the second run after them is due, then they are gone.
    """

    collector: Collector
    interval: float


class Watcher(Protocol):
    """Waits for events in a thread of its own and keeps what a collector will give.

    Attributes:
        name: The value of the label `collector` under which it reports, unique in its exporter.
    """

    @property
    def name(self) -> str:
        """The value of the label `collector` under which it reports."""
        ...

    def watch(self, stop: threading.Event) -> None:
        """Watch until `stop` is set; when it raises or returns before, it is called again later."""
        ...
