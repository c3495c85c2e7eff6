"""Events that tests put: a call is a number here, and its event carries it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from llmops_monitoring.call import Call
from llmops_monitoring.event import MetricEvent

BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)


def call(number: int) -> Call:
    """Return a call that `make` knows: transports never look into one."""
    return cast("Call", number)


def make(numbers: Sequence[Any]) -> list[MetricEvent]:
    """Return the events of calls of this module."""
    return [event(number) for number in numbers]


def event(number: int, **fields: Any) -> MetricEvent:
    """Return an event whose id is `number`."""
    told = {
        "event_id": f"{number:032x}",
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "operation_name": "answer",
        "operation_type": "llm_call",
        "timestamp": BEGIN + timedelta(milliseconds=number),
        "duration_ms": 1.5,
    }
    return MetricEvent(**{**told, **fields})


def number_of(one: MetricEvent) -> int:
    """Return the number that `event` was given."""
    return int(one.event_id, 16)
