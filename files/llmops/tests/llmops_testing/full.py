"""An event with all its parts."""

from llmops_monitoring.event import ImageMetrics, StreamMetrics, TextMetrics, TokenMetrics
from llmops_testing.events import event

FULL = event(
    7,
    session_id="../../etc/passwd",
    parent_span_id="00f067aa0ba902b7",
    text_metrics=TextMetrics(characters=5, words=1, bytes=6, lines=1),
    image_metrics=ImageMetrics(count=1, pixels=4, bytes=9, width=2, height=2, format="png"),
    token_metrics=TokenMetrics(model="m", input_tokens=3, output_tokens=4, total_tokens=7),
    stream_metrics=StreamMetrics(ended="aborted", chunks=3, time_to_first_token_ms=1.25),
    cost=0.25,
    custom_attributes={"tenant": "blue", "deep": [1, {"x": None}], "text": "zwölf 🐈"},
    error=True,
    error_type="TimeoutError",
)
