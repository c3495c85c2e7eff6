"""Events by columns: what is kept in columns need not be made into events before."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, overload

from llmops_monitoring.event import MetricEvent, assemble

FIELDS: Final = tuple(MetricEvent.model_fields)


class EventTable(Sequence[MetricEvent]):
    """Events in a row, each made when somebody looks at it.

    To make an event takes longer than anything else that is done with it, and backends that keep
    columns never look at one.

    Attributes:
        columns: The values of each field of the events.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        """Take the values of each field, which are known to be right."""
        self.columns = columns

    @classmethod
    def of(cls, events: Iterable[MetricEvent]) -> "EventTable":
        """Return `events` by columns; what is a table already is given back."""
        if isinstance(events, EventTable):
            return events
        own = [event.__dict__ for event in events]
        return cls({name: list(map(itemgetter(name), own)) for name in FIELDS})

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.columns["event_id"])

    @overload
    def __getitem__(self, index: int) -> MetricEvent: ...

    @overload
    def __getitem__(self, index: slice) -> "EventTable": ...

    def __getitem__(self, index: int | slice) -> "MetricEvent | EventTable":
        """Return an event, which is made anew each time, or some of them by columns."""
        found: dict[str, Any] = {name: cells[index] for name, cells in self.columns.items()}
        return EventTable(found) if isinstance(index, slice) else assemble(MetricEvent, found)

    def select(self, wanted: Sequence[bool]) -> "EventTable":
        """Return the events whose place in `wanted` is true."""
        places = [place for place, one in enumerate(wanted) if one]
        return EventTable(
            {name: [cells[one] for one in places] for name, cells in self.columns.items()}
        )
