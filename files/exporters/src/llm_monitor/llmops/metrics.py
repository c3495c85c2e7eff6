"""The metric families of the exporter of the event store.

`window` is 5m, 1h or 24h: the time before the poll that a value covers. A window's sum rises and
falls, so it is a gauge, and a window's quantiles are a summary without sum and count. All come from
one poll every `llmops.interval`; 24h is asked for anew every five minutes. An event belongs to the
time at which its call began, so a window still grows while its calls end and are delivered. The
`llmops.most` operations and models used most are told apart, all others are `other`.
`llm_monitor_llmops_up` is 1 when the event store answers, as of the last minute.
"""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, SUMMARY, Family, Kind

_PAIR = ("operation", "model")


def _window(name: str, text: str, *labels: str, unit: str = "", kind: Kind = GAUGE) -> Family:
    """Return a family with a series for each window, or several that `labels` tell apart."""
    return Family(f"llm_monitor_llmops_{name}", kind, text, ("window", *labels), unit)


SCHEMA_VERSION = Family(
    "llm_monitor_llmops_schema_version",
    GAUGE,
    "The last migration of the event store (table metric_events_versions).",
)
DATA_AGE = Family(
    "llm_monitor_llmops_data_age_seconds",
    GAUGE,
    "Time between the start of the newest call (column timestamp of metric_events) and the poll; "
    "absent when there was none in 7 days. Times in the future do not count.",
    unit="seconds",
)
SESSIONS = _window("sessions", "Different sessions of the calls that began in the window.")
REQUESTS = _window(
    "requests",
    "Calls that began in the window; model is none for those whose answer names none.",
    *_PAIR,
)
ERRORS = _window(
    "errors", "Calls that began in the window and ended with an exception; model as above.", *_PAIR
)
ERRORS_BY_REASON = _window(
    "errors_by_reason",
    "The same errors by what the name of the exception's class says: cancelled, timeout, "
    "rate_limit, context_window, content_filter, auth, not_found, connection, bad_request, "
    "unavailable, server_error, else other.",
    *("operation", "reason"),
)
TOKENS = _window(
    "tokens",
    "Tokens of the calls that began in the window; direction is input or output.",
    *(*_PAIR, "direction"),
    unit="tokens",
)
COST = _window(
    "cost_usd",
    "Cost of the calls that began in the window and have a known price, as the library worked it "
    "out; absent when none has.",
    *_PAIR,
    unit="usd",
)
LATENCY = _window(
    "latency_seconds",
    "Time from the start to the end of the calls that began in the window.",
    *(*_PAIR, "quantile"),
    unit="seconds",
    kind=SUMMARY,
)
TIME_TO_FIRST_TOKEN = _window(
    "time_to_first_token_seconds",
    "Time from the start to the first chunk of the streamed calls that began in the window.",
    *(*_PAIR, "quantile"),
    unit="seconds",
    kind=SUMMARY,
)
UPSTREAM_ERRORS = Family(
    "llm_monitor_llmops_upstream_errors_total",
    COUNTER,
    "Questions that the event store did not answer as it should, by what was asked and why.",
    ("endpoint", "reason"),
)

FAMILIES = (
    SCHEMA_VERSION,
    DATA_AGE,
    SESSIONS,
    REQUESTS,
    ERRORS,
    ERRORS_BY_REASON,
    TOKENS,
    COST,
    LATENCY,
    TIME_TO_FIRST_TOKEN,
    UPSTREAM_ERRORS,
)
