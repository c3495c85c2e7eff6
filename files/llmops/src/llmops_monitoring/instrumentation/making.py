"""Makes events of calls, on the worker's thread."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import JsonValue

from llmops_monitoring.call import Call
from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.instrumentation.collectors.cost import Prices
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    MetricCollector,
)
from llmops_monitoring.instrumentation.crew import Asked, Crew
from llmops_monitoring.instrumentation.ids import new_ids, span_text, trace_text
from llmops_monitoring.instrumentation.noting import Noted
from llmops_monitoring.instrumentation.problems import Problems
from llmops_monitoring.instrumentation.saying import ATTRIBUTES, PARTS
from llmops_monitoring.instrumentation.values import type_name
from llmops_monitoring.table import EventTable

_MILLI: Final = 1000

Fields = dict[str, Any]


class EventMaker:
    """Makes events of calls, whatever the application put into them."""

    def __init__(self, config: MonitorConfig, problems: Problems) -> None:
        """Know the prices, and count in `problems` what goes wrong."""
        self._prices = Prices(config.prices)
        self._problems = problems
        self._crew = Crew(config.collector_timeout_seconds, problems)

    def make(self, calls: Sequence[Call]) -> EventTable:
        """Return the events of calls. Values are checked where they come from, not here."""
        columns = _columns(calls)
        for place, call in enumerate(calls):
            if call.noted is not None:
                for name, value in self._found(call).items():
                    columns[name][place] = value
        return EventTable(columns)

    def close(self) -> None:
        """Let the threads of collectors end."""
        self._crew.dismiss()

    def _found(self, call: Call) -> Fields:
        """Return what was found out about a call beside what every call has."""
        fields: Fields = dict.fromkeys((*PARTS, "cost"))
        fields[ATTRIBUTES] = call.source.attributes
        try:
            self._add(fields, call, call.noted)
        except Exception as error:
            self._problems.note("event", error)
        return fields

    def _add(self, fields: Fields, call: Call, noted: Noted) -> None:
        if noted.text is not None:
            fields["text_metrics"] = noted.text.metrics()
        if noted.images is not None:
            fields["image_metrics"] = noted.images
        if noted.attributes:
            fields[ATTRIBUTES] = {**fields[ATTRIBUTES], **noted.attributes}
        told = None
        if noted.tokens is not None:
            fields["token_metrics"] = noted.tokens.metrics()
            told = noted.tokens.cost
        if noted.asked is not None:
            context = _context(call)
            for collector in call.source.plan.collectors:
                self._collect(fields, collector, noted.asked, context)
        metrics = fields["token_metrics"]
        if metrics is not None and fields["cost"] is None:
            fields["cost"] = self._prices.cost(metrics, told)

    def _collect(
        self, fields: Fields, collector: MetricCollector, asked: Asked, context: CollectorContext
    ) -> None:
        said = self._crew.ask(collector, asked, context)
        if said is None:
            return
        fields.update(said.fields)
        # The function's own are those of all its events.
        attributes = fields[ATTRIBUTES] = {**fields[ATTRIBUTES]}
        for name, value in said.attributes:
            _add_attribute(attributes, said.kind, name, value)


def _columns(calls: Sequence[Call]) -> dict[str, list[Any]]:
    """Return the values of each field, by what every call has."""
    count = len(calls)
    sources = [call.source for call in calls]
    types = [call.error_type for call in calls]
    nothing = [None] * count
    return {
        "schema_version": [1] * count,
        "event_id": new_ids(count),
        "session_id": [call.session_id for call in calls],
        "trace_id": [trace_text(call.trace_id) for call in calls],
        "span_id": [span_text(call.span_id) for call in calls],
        "parent_span_id": [span_text(call.parent_span_id) for call in calls],
        "operation_name": [source.name for source in sources],
        "operation_type": [source.type for source in sources],
        "timestamp": [datetime.fromtimestamp(call.started, UTC) for call in calls],
        "duration_ms": [call.duration * _MILLI for call in calls],
        "text_metrics": nothing.copy(),
        "image_metrics": nothing.copy(),
        "token_metrics": nothing.copy(),
        "stream_metrics": [call.stream for call in calls],
        "cost": nothing.copy(),
        # Nobody changes it: an event that has more gets a copy.
        ATTRIBUTES: [source.attributes for source in sources],
        "error": [one is not None for one in types],
        "error_type": [None if one is None else type_name(one) for one in types],
    }


def _context(call: Call) -> CollectorContext:
    return CollectorContext(
        operation_name=call.source.name,
        operation_type=call.source.type,
        session_id=call.session_id,
        trace_id=trace_text(call.trace_id),
        span_id=span_text(call.span_id),
        duration_ms=call.duration * _MILLI,
    )


def _add_attribute(taken: dict[str, JsonValue], kind: str, name: str, value: JsonValue) -> None:
    """Add an attribute; one whose name somebody else took gets its collector's in front."""
    free, number = name, 1
    while free in taken and taken[free] != value:
        free = f"{kind}.{name}" if number == 1 else f"{kind}.{name}.{number}"
        number += 1
    taken[free] = value
