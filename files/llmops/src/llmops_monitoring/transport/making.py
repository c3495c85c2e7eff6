"""How a call becomes an event, and who else is shown it."""

from collections.abc import Callable
from typing import Any, Protocol

from llmops_monitoring.event import MetricEvent


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

    def __init__(self, make: Callable[[Any], MetricEvent]) -> None:
        """Make events by `make`."""
        self._make = make
        self.observers: list[Observer] = []

    def __call__(self, call: Any) -> MetricEvent:
        """Return the event of a call.

        Raises:
            Exception: Whatever `make` or an observer raises.
        """
        event = self._make(call)
        for observer in self.observers:
            observer.observe(event)
        return event

    def begin_anew(self) -> None:
        """Have the observers begin anew, in a forked child."""
        for observer in self.observers:
            observer.begin_anew()
