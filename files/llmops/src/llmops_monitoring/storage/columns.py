"""The columns of stored events: the same names in Parquet and PostgreSQL.

A column is never renamed and never changes its type; new ones come at the end and may be null, so
that old files and rows stay readable together with new ones.
"""

from collections.abc import Sequence
from enum import Enum, auto
from operator import attrgetter
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from llmops_monitoring.event import MetricEvent
from llmops_monitoring.table import EventTable


class Kind(Enum):
    """What is in a column."""

    TEXT = auto()
    INTEGER = auto()
    REAL = auto()
    MOMENT = auto()
    FLAG = auto()
    JSON = auto()


class Column(NamedTuple):
    """A column.

    Attributes:
        name: Its name.
        kind: What is in it.
        field: The event's field, or that of its `part`.
        part: The part of the event that it comes from; where the event has none, it is null.
        required: Whether it is never null.
    """

    name: str
    kind: Kind
    field: str
    part: str | None = None
    required: bool = False


def _own(kind: Kind, *names: str, required: bool = False) -> list[Column]:
    return [Column(name, kind, name, None, required) for name in names]


def _of(part: str, kind: Kind, *fields: str, prefix: str = "") -> list[Column]:
    return [Column(prefix + field, kind, field, part) for field in fields]


COLUMNS: Final[Sequence[Column]] = (
    *_own(Kind.TEXT, "event_id", required=True),
    *_own(Kind.MOMENT, "timestamp", required=True),
    *_own(Kind.INTEGER, "schema_version", required=True),
    *_own(Kind.TEXT, "session_id", "trace_id"),
    *_own(Kind.TEXT, "span_id", required=True),
    *_own(Kind.TEXT, "parent_span_id"),
    *_own(Kind.TEXT, "operation_name", "operation_type", required=True),
    *_own(Kind.REAL, "duration_ms", required=True),
    *_own(Kind.FLAG, "error", required=True),
    *_own(Kind.TEXT, "error_type"),
    *_own(Kind.REAL, "cost"),
    *_of("token_metrics", Kind.TEXT, "model"),
    *_of("token_metrics", Kind.INTEGER, "input_tokens", "output_tokens", "total_tokens"),
    *_of("token_metrics", Kind.INTEGER, "cached_input_tokens", "cache_write_tokens"),
    *_of("token_metrics", Kind.INTEGER, "reasoning_tokens"),
    *_of("text_metrics", Kind.INTEGER, "characters", "words", "bytes", "lines", prefix="text_"),
    *_of("image_metrics", Kind.INTEGER, "count", "pixels", "bytes", prefix="image_"),
    *_of("image_metrics", Kind.INTEGER, "width", "height", prefix="image_"),
    *_of("image_metrics", Kind.TEXT, "format", prefix="image_"),
    *_of("stream_metrics", Kind.TEXT, "ended", prefix="stream_"),
    *_of("stream_metrics", Kind.INTEGER, "chunks", prefix="stream_"),
    *_of("stream_metrics", Kind.REAL, "time_to_first_token_ms", prefix="stream_"),
    *_of("stream_metrics", Kind.REAL, "gap_mean_ms", "gap_max_ms", prefix="stream_"),
    *_own(Kind.JSON, "custom_attributes", required=True),
)
_PARTS: Final = tuple(dict.fromkeys(column.part for column in COLUMNS if column.part))


def values(events: Sequence[MetricEvent]) -> list[list[Any] | None]:
    """Return the values of each column; None stands for a column in which all are null.

    JSON is text.

    Raises:
        ValueError: An attribute can't be written as JSON, for example half of a surrogate pair.
    """
    # By columns and in C where it can be: this runs for each event, beside the application.
    table = EventTable.of(events).columns
    parts = {name: _part(table[name]) for name in _PARTS}
    found: list[list[Any] | None] = []
    for column in COLUMNS:
        if column.part is None:
            cells = table[column.field]
            found.append(list(map(_json, cells)) if column.kind is Kind.JSON else cells)
            continue
        given = parts[column.part]
        getter = attrgetter(column.field)
        found.append(given and [None if one is None else getter(one) for one in given])
    return found


def _part(given: list[Any]) -> list[Any] | None:
    return None if given.count(None) == len(given) else given


def _json(attributes: dict[str, Any]) -> str:
    return to_json(attributes).decode() if attributes else "{}"
