"""llmops_monitoring: one decorator tells what every call of an LLM application did."""

from llmops_monitoring.config import MonitorConfig, Price, StorageConfig
from llmops_monitoring.event import (
    OTEL_ATTRIBUTES,
    ImageMetrics,
    MetricEvent,
    StreamMetrics,
    TextMetrics,
    TokenMetrics,
    to_otel_attributes,
)
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    CollectorRegistry,
    MetricCollector,
)
from llmops_monitoring.instrumentation.context import (
    SpanContext,
    carry_context,
    current_traceparent,
    get_current_session_id,
    get_current_span_id,
    get_current_trace_id,
    monitoring_session,
    monitoring_trace,
)
from llmops_monitoring.instrumentation.decorator import monitor_llm
from llmops_monitoring.monitor import (
    Health,
    Monitor,
    flush,
    health_check,
    initialize_monitoring,
    shutdown,
)
from llmops_monitoring.storage.base import StorageBackend
from llmops_monitoring.storage.finding import BackendError
from llmops_monitoring.transport.base import Transport, TransportStats

__all__ = [
    "OTEL_ATTRIBUTES",
    "BackendError",
    "CollectorContext",
    "CollectorRegistry",
    "Health",
    "ImageMetrics",
    "MetricCollector",
    "MetricEvent",
    "Monitor",
    "MonitorConfig",
    "Price",
    "SpanContext",
    "StorageBackend",
    "StorageConfig",
    "StreamMetrics",
    "TextMetrics",
    "TokenMetrics",
    "Transport",
    "TransportStats",
    "carry_context",
    "current_traceparent",
    "flush",
    "get_current_session_id",
    "get_current_span_id",
    "get_current_trace_id",
    "health_check",
    "initialize_monitoring",
    "monitor_llm",
    "monitoring_session",
    "monitoring_trace",
    "shutdown",
    "to_otel_attributes",
]
