"""The event: what it refuses, and how OpenTelemetry calls its parts."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from pydantic import BaseModel, ValidationError

from llmops_monitoring import (
    OTEL_ATTRIBUTES,
    MetricEvent,
    StreamMetrics,
    TokenMetrics,
    to_otel_attributes,
)
from llmops_monitoring.event import assemble

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOKENS: dict[str, Any] = {
    "model": "m",
    "input_tokens": 1,
    "output_tokens": 2,
    "total_tokens": 3,
    "cached_input_tokens": None,
    "cache_write_tokens": None,
    "reasoning_tokens": None,
}
NEEDED: dict[str, Any] = {
    "event_id": "e",
    "span_id": "s",
    "operation_name": "answer",
    "operation_type": "llm_call",
    "timestamp": MOMENT,
    "duration_ms": 1.5,
}


def test_event_needs_little_and_survives_json() -> None:
    event = MetricEvent(**NEEDED)
    assert event.schema_version == 1
    assert MetricEvent.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamp": MOMENT.replace(tzinfo=None)},
        {"duration_ms": -1},
        {"duration_ms": float("nan")},
        {"cost": float("inf")},
        {"cost": -0.1},
        {"schema_version": 2},
        {"unknown": 1},
        {"custom_attributes": {"a": object()}},
        {"token_metrics": {"input_tokens": -1, "output_tokens": 0, "total_tokens": 0}},
        {"stream_metrics": {"ended": "somehow", "chunks": 1}},
    ],
)
def test_event_refuses_what_is_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MetricEvent(**{**NEEDED, **wrong})


def test_time_is_in_utc() -> None:
    east = timezone(timedelta(hours=9))
    event = MetricEvent(**{**NEEDED, "timestamp": MOMENT.astimezone(east)})
    assert event.timestamp == MOMENT
    assert event.timestamp.tzinfo is UTC


def test_assembled_event_is_as_one_that_was_checked() -> None:
    checked = MetricEvent(**NEEDED, token_metrics=TokenMetrics(**TOKENS))
    fields = {**checked.__dict__, "token_metrics": assemble(TokenMetrics, dict(TOKENS))}
    assembled = assemble(MetricEvent, fields)
    assert assembled.model_dump_json() == checked.model_dump_json()
    assert repr(assembled) == repr(checked)
    assert pickle.loads(pickle.dumps(assembled)) == assembled  # noqa: S301
    changed = assembled.model_copy(update={"cost": 1.0})
    assert changed.cost == 1.0
    assert assembled.cost is None


def test_event_never_changes() -> None:
    event: Any = MetricEvent(**NEEDED)
    with pytest.raises(ValidationError):
        event.cost = 1.0


def _paths(model: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, one in model.model_fields.items():
        parts = [part for part in getattr(one.annotation, "__args__", ()) if _is_model(part)]
        found |= _paths(parts[0], f"{name}.") if parts else {prefix + name}
    return found


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_every_part_has_a_name_in_opentelemetry() -> None:
    # What a span holds outside its attributes.
    span = {
        "schema_version", "event_id", "trace_id", "span_id", "parent_span_id", "operation_name",
        "timestamp", "duration_ms", "custom_attributes", "error",
    }  # fmt: skip
    assert _paths(MetricEvent) - span == set(OTEL_ATTRIBUTES)
    assert len(set(OTEL_ATTRIBUTES.values())) == len(OTEL_ATTRIBUTES)


def test_names_are_opentelemetrys_own() -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI")}
    told = {name for name in OTEL_ATTRIBUTES.values() if name.startswith("gen_ai.")}
    assert told <= known


def test_attributes_of_a_span() -> None:
    event = MetricEvent(
        **NEEDED,
        session_id="s",
        token_metrics=TokenMetrics(model="m", input_tokens=1, output_tokens=2, total_tokens=3),
        stream_metrics=StreamMetrics(ended="completed", chunks=2, time_to_first_token_ms=250),
        cost=0.5,
        custom_attributes={"team": "search", "error.type": "mine"},
        error_type="ValueError",
    )
    assert to_otel_attributes(event) == {
        "gen_ai.conversation.id": "s",
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
        "llmops.usage.total_tokens": 3,
        "llmops.stream.ended": "completed",
        "llmops.stream.chunks": 2,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "llmops.cost": 0.5,
        "error.type": "ValueError",
        "team": "search",
    }
    own = event.model_copy(update={"operation_type": "rerank"})
    assert to_otel_attributes(own)["gen_ai.operation.name"] == "rerank"
