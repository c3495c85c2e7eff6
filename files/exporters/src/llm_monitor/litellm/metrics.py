"""The LiteLLM exporter's metric families.

What LiteLLM counts per key, user, team and host is summed up before it gets here, from the
exporter's start on: what it had counted until then may be forgotten by label sets. `model` is the
name that clients ask for (LiteLLM's model group), as configured; what is not configured is `other`.
"""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, HISTOGRAM, Family

READY = Family(
    "llm_monitor_litellm_ready",
    GAUGE,
    "1 when the component (proxy, db) is fit for requests, 0 when it is not or LiteLLM can't be "
    "reached; no db: LiteLLM has none, or is not asked (GET /health/readiness).",
    ("component",),
)
INFO = Family(
    "llm_monitor_litellm_info",
    GAUGE,
    "1, with LiteLLM's version (GET /health/readiness/details, kept for five minutes).",
    ("version",),
)

MODEL_CONFIGURED = Family(
    "llm_monitor_litellm_model_configured",
    GAUGE,
    "1 for each deployment that a model is routed to (GET /model/info, kept for five minutes).",
    ("model", "deployment_id"),
)
MODEL_INFO = Family(
    "llm_monitor_litellm_model_info",
    GAUGE,
    "1, with what a deployment is: the provider, the name of the model there, which is the served "
    "name where that is vLLM, and its type: llm, embedding, reranker, … (GET /model/info, kept for "
    "five minutes).",
    ("model", "deployment_id", "provider", "served_model", "type"),
)
MODEL_AVAILABLE = Family(
    "llm_monitor_litellm_model_available",
    GAUGE,
    "1 when the deployment answers, 0 when it does not, absent while LiteLLM does not know: its "
    "last health check (GET /health/latest), else its last request (litellm_deployment_state), an "
    "outage for an hour after its last failure. Of several workers one that got through is "
    "enough; LiteLLM keeps what an ended one saw.",
    ("model", "deployment_id"),
)
MODEL_LAST_CHECK = Family(
    "llm_monitor_litellm_model_last_check_timestamp_seconds",
    GAUGE,
    "Unix time of LiteLLM's last health check of the deployment (GET /health/latest, every minute; "
    "GET /health with the setting litellm.active_probes).",
    ("model", "deployment_id"),
    "seconds",
)
MODEL_CONTEXT = Family(
    "llm_monitor_litellm_model_context_tokens",
    GAUGE,
    "Most tokens that a prompt may have, the least of the model's deployments (GET /model/info, "
    "kept for five minutes).",
    ("model",),
    "tokens",
)
MODEL_PRICE = Family(
    "llm_monitor_litellm_model_price_usd_per_token",
    GAUGE,
    "What LiteLLM charges for a token (direction input, output), the most of the model's "
    "deployments (GET /model/info, kept for five minutes).",
    ("model", "direction"),
)

IN_FLIGHT = Family(
    "llm_monitor_litellm_requests_in_flight",
    GAUGE,
    "HTTP requests that LiteLLM works on, without the one that asks for this "
    "(litellm_in_flight_requests).",
)
REQUESTS = Family(
    "llm_monitor_litellm_requests_total",
    COUNTER,
    "Requests that clients have got an answer to, failures among them, each once whatever it took "
    "of retries, and after a fallback under the model that answered "
    "(litellm_proxy_total_requests_metric, from the exporter's start on).",
    ("model",),
)
FAILURES = Family(
    "llm_monitor_litellm_failures_total",
    COUNTER,
    "Requests that clients have got an error for, by the class of its reason "
    "(litellm_proxy_failed_requests_metric, from the exporter's start on).",
    ("model", "reason"),
)
TOKENS = Family(
    "llm_monitor_litellm_tokens_total",
    COUNTER,
    "Tokens of requests that succeeded (direction input, output), as the backends said "
    "(litellm_input_tokens_metric, litellm_output_tokens_metric, from the exporter's start on).",
    ("model", "direction"),
    "tokens",
)
SPEND = Family(
    "llm_monitor_litellm_spend_usd_total",
    COUNTER,
    "What the requests cost by LiteLLM's prices (litellm_spend_metric, from the exporter's start "
    "on).",
    ("model",),
    "usd",
)
REQUEST_LATENCY = Family(
    "llm_monitor_litellm_request_latency_seconds",
    HISTOGRAM,
    "Time from a request's arrival to the end of its answer, of requests that succeeded "
    "(litellm_request_total_latency_metric).",
    ("model",),
    "seconds",
)
TIME_TO_FIRST_TOKEN = Family(
    "llm_monitor_litellm_time_to_first_token_seconds",
    HISTOGRAM,
    "Time from the call of the backend to its first token, of streamed requests that succeeded "
    "(litellm_llm_api_time_to_first_token_metric).",
    ("model",),
    "seconds",
)
OVERHEAD_LATENCY = Family(
    "llm_monitor_litellm_overhead_latency_seconds",
    HISTOGRAM,
    "Time that LiteLLM itself added to requests that succeeded and were not streamed "
    "(litellm_overhead_latency_metric).",
    ("model",),
    "seconds",
)
DEPLOYMENT_FAILURES = Family(
    "llm_monitor_litellm_deployment_failures_total",
    COUNTER,
    "Calls of a backend that failed, those that a retry or a fallback made good among them, those "
    "with status 401 not (litellm_deployment_failure_responses).",
    ("model", "deployment_id", "reason"),
)
COOLDOWNS = Family(
    "llm_monitor_litellm_deployment_cooldowns_total",
    COUNTER,
    "Times that LiteLLM has taken a deployment out of routing for a while "
    "(litellm_deployment_cooled_down).",
    ("model", "deployment_id"),
)
FALLBACKS = Family(
    "llm_monitor_litellm_fallbacks_total",
    COUNTER,
    "Requests for a model that LiteLLM passed on to another one (outcome success, failure) "
    "(litellm_deployment_successful_fallbacks, litellm_deployment_failed_fallbacks).",
    ("model", "outcome"),
)

UPSTREAM_ERRORS = Family(
    "llm_monitor_litellm_upstream_errors_total",
    COUNTER,
    "Calls of this exporter's to LiteLLM that failed, by the path asked and why.",
    ("endpoint", "reason"),
)

FAMILIES = (
    READY,
    INFO,
    MODEL_CONFIGURED,
    MODEL_INFO,
    MODEL_AVAILABLE,
    MODEL_LAST_CHECK,
    MODEL_CONTEXT,
    MODEL_PRICE,
    IN_FLIGHT,
    REQUESTS,
    FAILURES,
    TOKENS,
    SPEND,
    REQUEST_LATENCY,
    TIME_TO_FIRST_TOKEN,
    OVERHEAD_LATENCY,
    DEPLOYMENT_FAILURES,
    COOLDOWNS,
    FALLBACKS,
    UPSTREAM_ERRORS,
)
