"""The Langfuse exporter's metric families.

`window` is 5m, 1h or 24h: the time before the last poll that a value covers. A window's sum rises
and falls, so it is a gauge, and a window's quantiles are a summary without sum and count. All come
from one poll every `langfuse.interval`, of Langfuse's metrics API or of its database.
`llm_monitor_langfuse_up` is 1 when Langfuse says that it and its database work (GET
/api/public/health), or in database mode when the database answers, as of the last minute.
"""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, SUMMARY, Family, Kind


def _window(name: str, text: str, *labels: str, unit: str = "", kind: Kind = GAUGE) -> Family:
    """Return a family with a series for each window, or several that `labels` tell apart."""
    return Family(f"llm_monitor_langfuse_{name}", kind, text, ("window", *labels), unit)


INFO = Family(
    "llm_monitor_langfuse_info",
    GAUGE,
    "1, with Langfuse's version (GET /api/public/health); absent in database mode.",
    ("version",),
)
SOURCE_INFO = Family(
    "llm_monitor_langfuse_source_info",
    GAUGE,
    "1, with what the last poll asked: metrics_v2, metrics or metrics_daily of the API, "
    "postgresql or clickhouse.",
    ("source",),
)
READY = Family(
    "llm_monitor_langfuse_ready",
    GAUGE,
    "1 when Langfuse takes requests, 0 when it says that it does not (GET /api/public/ready).",
)
DATA_AGE = Family(
    "llm_monitor_langfuse_data_age_seconds",
    GAUGE,
    "Time between the start of the newest observation or trace and the poll that found it; "
    "absent when none was found.",
    unit="seconds",
)

TRACES = _window("traces", "Traces that began in the window.")
SESSIONS = _window(
    "sessions",
    "Different sessions of the traces that began in the window; absent where the API can't count "
    "them (metrics_daily; metrics from a thousand on).",
)
USERS = _window(
    "users",
    "Different users of the traces that began in the window; absent where the API can't count "
    "them (metrics_daily; metrics from a thousand on).",
)
OBSERVATIONS = _window(
    "observations",
    "Observations that began in the window; model is none for those without, such as spans.",
    "model",
)
ERRORS = _window(
    "errors", "Observations of level ERROR that began in the window; model as above.", "model"
)
TOKENS = _window(
    "tokens",
    "Tokens of the observations that began in the window; direction is input or output.",
    *("model", "direction"),
    unit="tokens",
)
COST = _window(
    "cost_usd",
    "Cost of the observations that began in the window, as Langfuse worked it out.",
    "model",
    unit="usd",
)
LATENCY = _window(
    "latency_seconds",
    "Time from the start to the end of the observations that began in the window.",
    *("model", "quantile"),
    unit="seconds",
    kind=SUMMARY,
)
TIME_TO_FIRST_TOKEN = _window(
    "time_to_first_token_seconds",
    "Time from the start to the first token of the observations that began in the window.",
    *("model", "quantile"),
    unit="seconds",
    kind=SUMMARY,
)
SCORES = _window("scores", "Scores of any type that were given in the window.", "name")
SCORE_MEAN = _window(
    "score_mean", "Mean of the numeric and boolean scores that were given in the window.", "name"
)

UPSTREAM_ERRORS = Family(
    "llm_monitor_langfuse_upstream_errors_total",
    COUNTER,
    "Questions that Langfuse did not answer as it should, by what was asked and why.",
    ("endpoint", "reason"),
)

FAMILIES = (
    INFO,
    SOURCE_INFO,
    READY,
    DATA_AGE,
    TRACES,
    SESSIONS,
    USERS,
    OBSERVATIONS,
    ERRORS,
    TOKENS,
    COST,
    LATENCY,
    TIME_TO_FIRST_TOKEN,
    SCORES,
    SCORE_MEAN,
    UPSTREAM_ERRORS,
)
