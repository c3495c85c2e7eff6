"""Makes events of calls, on the worker's thread."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel, JsonValue, TypeAdapter

from llmops_monitoring.call import Call
from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.event import Dollars, ImageMetrics, TextMetrics, TokenMetrics
from llmops_monitoring.instrumentation.collectors.cost import Prices
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    MetricCollector,
)
from llmops_monitoring.instrumentation.crew import Asked, Crew
from llmops_monitoring.instrumentation.ids import new_ids, span_text, trace_text
from llmops_monitoring.instrumentation.noting import Noted
from llmops_monitoring.instrumentation.problems import Problems
from llmops_monitoring.instrumentation.values import LONGEST_NAME, clean, jsonable, type_name
from llmops_monitoring.table import EventTable

_MILLI: Final = 1000
_ATTRIBUTES: Final = "custom_attributes"
_PARTS: Final[Mapping[str, type[BaseModel]]] = {
    "text_metrics": TextMetrics,
    "image_metrics": ImageMetrics,
    "token_metrics": TokenMetrics,
}
_DOLLARS: Final[TypeAdapter[float]] = TypeAdapter(Dollars)

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
        fields: Fields = dict.fromkeys((*_PARTS, "cost"))
        fields[_ATTRIBUTES] = call.source.attributes
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
            fields[_ATTRIBUTES] = {**fields[_ATTRIBUTES], **noted.attributes}
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
        found = self._crew.ask(collector, asked, context)
        if found is None:
            return
        place = f"collector {type(collector).__name__}"
        try:
            for name, value in dict(found).items():
                self._merge(fields, collector, name, value)
        except Exception as error:
            self._problems.note(place, error)

    @staticmethod
    def _merge(fields: Fields, collector: MetricCollector, name: Any, value: Any) -> None:
        kind = clean(str(collector.metric_type), LONGEST_NAME)
        if name in _PARTS:
            part = _PARTS[name]
            fields[name] = value if type(value) is part else _checked(part, value)
        elif name == "cost":
            fields[name] = None if value is None else _DOLLARS.validate_python(value)
        elif name == _ATTRIBUTES:
            told = jsonable(dict(value))
            for one, attribute in told.items() if isinstance(told, dict) else ():
                _attribute(fields, kind, one, attribute)
        else:
            _attribute(fields, kind, f"{kind}.{clean(str(name), LONGEST_NAME)}", jsonable(value))


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
        _ATTRIBUTES: [source.attributes for source in sources],
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


def _checked(part: type[BaseModel], value: Any) -> BaseModel:
    """Return a part that a collector made, with text that every store takes."""
    found = part.model_validate(value, from_attributes=True)
    texts = {
        name: clean(one, LONGEST_NAME)
        for name, one in found.__dict__.items()
        if isinstance(one, str)
    }
    return found.model_copy(update=texts)


def _attribute(fields: Fields, kind: str, name: str, value: JsonValue) -> None:
    """Add an attribute; one whose name somebody else took gets its collector's in front."""
    taken = fields[_ATTRIBUTES]
    free, number = name, 1
    while free in taken and taken[free] != value:
        free = f"{kind}.{name}" if number == 1 else f"{kind}.{name}.{number}"
        number += 1
    fields[_ATTRIBUTES] = {**taken, free: value}
