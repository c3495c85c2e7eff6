"""MetricEvent, the one record that everything here is about, and OpenTelemetry's names for it."""

from collections.abc import Mapping
from datetime import UTC
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

SCHEMA_VERSION: Final = 1

Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Utc = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class _Part(BaseModel):
    """What event and parts share: they never change, and know all their fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_set: Final = object.__setattr__

P = TypeVar("P", bound=_Part)


def assemble(part: type[P], fields: dict[str, Any]) -> P:
    """Return a part of which all fields are known to be right: a tenth of the work of checking.

    It is `model_construct`, without its search for what is missing: `fields` are all of them.
    """
    made = part.__new__(part)
    _set(made, "__dict__", fields)
    _set(made, "__pydantic_fields_set__", _names(part))
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


@cache
def _names(part: type[BaseModel]) -> set[str]:
    # One for all: events don't change, and who copies one copies this too.
    return set(part.model_fields)


class TextMetrics(_Part):
    """How much text a call gave. A line need not end; words are what white space separates."""

    characters: Count
    words: Count
    bytes: Count
    lines: Count


class ImageMetrics(_Part):
    """The images that a call gave: sums, and width, height and format of the largest."""

    count: Count
    pixels: Count
    bytes: Count | None = None
    width: Count | None = None
    height: Count | None = None
    format: str | None = None


class TokenMetrics(_Part):
    """The tokens of a call, as the model's server counted them.

    `input_tokens` holds all of them, those from a cache and those written to one too, whatever the
    server's own way of counting; so `total_tokens` is always the sum of input and output.
    """

    model: str | None = None
    input_tokens: Count
    output_tokens: Count
    total_tokens: Count
    cached_input_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class StreamMetrics(_Part):
    """How a generator's chunks came; gaps are the consumer's waits for the next chunk."""

    ended: Literal["completed", "aborted", "error"]
    chunks: Count
    time_to_first_token_ms: Milliseconds | None = None
    gap_mean_ms: Milliseconds | None = None
    gap_max_ms: Milliseconds | None = None


class MetricEvent(_Part):
    """One call: when, how long, what it gave, and how it ended.

    `timestamp` is when it began, in UTC; `duration_ms` is by a monotonic clock; `cost` is in US
    dollars and None where no price is known. Ids of traces and spans are lower-case hexadecimal
    unless the application gave others.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    event_id: str
    session_id: str | None = None
    trace_id: str | None = None
    span_id: str
    parent_span_id: str | None = None
    operation_name: str
    operation_type: str
    timestamp: Utc
    duration_ms: Milliseconds
    text_metrics: TextMetrics | None = None
    image_metrics: ImageMetrics | None = None
    token_metrics: TokenMetrics | None = None
    stream_metrics: StreamMetrics | None = None
    cost: Dollars | None = None
    custom_attributes: dict[str, JsonValue] = Field(default_factory=dict)
    error: bool = False
    error_type: str | None = None


# From OpenTelemetry's semantic conventions for generative AI (attributes registry, 0.66 of the
# Python package). What they have no word for stands under `llmops`.
OTEL_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "session_id": "gen_ai.conversation.id",
        "operation_type": "gen_ai.operation.name",
        "token_metrics.model": "gen_ai.response.model",
        "token_metrics.input_tokens": "gen_ai.usage.input_tokens",
        "token_metrics.output_tokens": "gen_ai.usage.output_tokens",
        "token_metrics.cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
        "token_metrics.cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
        "token_metrics.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
        "token_metrics.total_tokens": "llmops.usage.total_tokens",
        "stream_metrics.ended": "llmops.stream.ended",
        "stream_metrics.chunks": "llmops.stream.chunks",
        # In seconds, as all of OpenTelemetry's durations.
        "stream_metrics.time_to_first_token_ms": "gen_ai.response.time_to_first_chunk",
        "stream_metrics.gap_mean_ms": "llmops.stream.gap_mean",
        "stream_metrics.gap_max_ms": "llmops.stream.gap_max",
        "text_metrics.characters": "llmops.text.characters",
        "text_metrics.words": "llmops.text.words",
        "text_metrics.bytes": "llmops.text.bytes",
        "text_metrics.lines": "llmops.text.lines",
        "image_metrics.count": "llmops.image.count",
        "image_metrics.pixels": "llmops.image.pixels",
        "image_metrics.bytes": "llmops.image.bytes",
        "image_metrics.width": "llmops.image.width",
        "image_metrics.height": "llmops.image.height",
        "image_metrics.format": "llmops.image.format",
        "cost": "llmops.cost",
        "error_type": "error.type",
    }
)
# What OpenTelemetry calls the operations that `operation_type` knows here by shorter names.
_OTEL_OPERATIONS: Final = {
    "llm_call": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}


def to_otel_attributes(event: MetricEvent) -> dict[str, JsonValue]:
    """Return the span attributes of `event` by OpenTelemetry's names; what is None is left out.

    Name, ids, times and status of the span are no attributes. Custom attributes keep their names,
    where they don't take one of the others.
    """
    found: dict[str, JsonValue] = dict(event.custom_attributes)
    told = event.model_dump()
    for path, name in OTEL_ATTRIBUTES.items():
        value = _at(told, path)
        if value is None:
            continue
        if path.endswith("_ms"):
            value /= 1000
        elif path == "operation_type":
            value = _OTEL_OPERATIONS.get(value, value)
        found[name] = value
    return found


def _at(told: Mapping[str, Any], path: str) -> Any:
    part, _, field = path.rpartition(".")
    return ((told[part] or {}) if part else told).get(field)
