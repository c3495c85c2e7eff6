"""How calls become events, and who else is shown them."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llmops_monitoring.event import MetricEvent

Make = Callable[[Sequence[Any]], Sequence[MetricEvent]]


class Observer(Protocol):
    """Somebody who looks at events before they are delivered."""

    def observe(self, event: MetricEvent) -> None:
        """Look at an event, on the worker's thread."""

    def begin_anew(self) -> None:
        """Forget what a parent's process saw."""


class Making:
    """Makes events of calls, and shows them.

    Attributes:
        observers: Who is shown each event.
    """

    def __init__(self, make: Make) -> None:
        """Make events by `make`."""
        self._make = make
        self.observers: list[Observer] = []

    def __call__(self, calls: Sequence[Any]) -> Sequence[MetricEvent]:
        """Return the events of calls.

        Raises:
            Exception: Whatever `make` or an observer raises.
        """
        events = self._make(calls)
        if self.observers:
            for event in events:
                for observer in self.observers:
                    observer.observe(event)
        return events

    def begin_anew(self) -> None:
        """Have the observers begin anew, in a forked child."""
        for observer in self.observers:
            observer.begin_anew()
