"""The vLLM exporter's metric families.

Where vLLM runs several engines for one model, their series are added up: none stands for the rest.
"""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, HISTOGRAM, Family, Kind


def _model(name: str, kind: Kind, text: str, *labels: str, unit: str = "") -> Family:
    """Return a family with a series for each model of each server, or several."""
    return Family(f"llm_monitor_vllm_{name}", kind, text, ("container", "model", *labels), unit)


UP = Family(
    "llm_monitor_vllm_up",
    GAUGE,
    "1 when the server gave its metrics and does not call itself unhealthy (GET /metrics, /health);"
    " 0 as well while its container is there but does not run. Without label: the exporter's own.",
    ("container",),
)
UPSTREAM_ERRORS = Family(
    "llm_monitor_vllm_upstream_errors_total",
    COUNTER,
    "Requests to the server that failed, by why; absent before the first.",
    ("container", "reason"),
)
INFO = _model(
    "info",
    GAUGE,
    "1, with what serves the model (GET /version and /v1/models, cached 5 min; the container's"
    " image and command; path: where the weights come from, a name on Hugging Face or a folder);"
    " what nothing tells is left out. Of a container that is down too: as it told before, else as"
    " its command says.",
    *("version", "image", "tensor_parallel", "dtype", "quantization", "path"),
)
START_TIME = _model(
    "start_time_seconds",
    GAUGE,
    "Unix time at which the server's process started (process_start_time_seconds), else its"
    " container.",
    unit="seconds",
)
MAX_MODEL_LENGTH = _model(
    "max_model_length_tokens",
    GAUGE,
    "Most tokens of a prompt and its answer together (GET /v1/models, cached 5 min).",
    unit="tokens",
)

REQUESTS_RUNNING = _model(
    "requests_running",
    GAUGE,
    "Requests that are being computed (vllm:num_requests_running).",
)
REQUESTS_WAITING = _model(
    "requests_waiting",
    GAUGE,
    "Requests that wait for their turn (vllm:num_requests_waiting).",
)
REQUESTS_WAITING_BY_REASON = _model(
    "requests_waiting_by_reason",
    GAUGE,
    "Requests that wait, by what for (vllm:num_requests_waiting_by_reason; not in old versions).",
    "reason",
)
KV_CACHE_USAGE = _model(
    "kv_cache_usage_ratio",
    GAUGE,
    "Share of the KV cache in use (vllm:kv_cache_usage_perc, once gpu_cache_usage_perc); of several"
    " engines the mean, weighted by their capacity where all tell it.",
    unit="ratio",
)
KV_CACHE_CAPACITY = _model(
    "kv_cache_capacity_tokens",
    GAUGE,
    "Tokens for which the KV cache has room (vllm:cache_config_info, kv_cache_size_tokens); absent"
    " where vLLM does not say it.",
    unit="tokens",
)
PREFIX_CACHE_QUERIES = _model(
    "prefix_cache_queries_tokens_total",
    COUNTER,
    "Prompt tokens looked up in the prefix cache (vllm:prefix_cache_queries, once"
    " gpu_prefix_cache_queries).",
    unit="tokens",
)
PREFIX_CACHE_HITS = _model(
    "prefix_cache_hits_tokens_total",
    COUNTER,
    "Prompt tokens found in the prefix cache (vllm:prefix_cache_hits, once gpu_prefix_cache_hits).",
    unit="tokens",
)
PREEMPTIONS = _model(
    "preemptions_total",
    COUNTER,
    "Requests that lost their place in the KV cache to others (vllm:num_preemptions).",
)
PROMPT_TOKENS = _model(
    "prompt_tokens_total",
    COUNTER,
    "Tokens of prompts (vllm:prompt_tokens).",
    unit="tokens",
)
GENERATION_TOKENS = _model(
    "generation_tokens_total",
    COUNTER,
    "Tokens generated (vllm:generation_tokens).",
    unit="tokens",
)
REQUESTS = _model(
    "requests_total",
    COUNTER,
    "Requests that have ended, by how: stop, length, abort, error, … (vllm:request_success).",
    "finished_reason",
)
ENGINE_AWAKE = _model(
    "engine_awake",
    GAUGE,
    "1 when all engines are awake, 0 when one sleeps (vllm:engine_sleep_state).",
)

TIME_TO_FIRST_TOKEN = _model(
    "time_to_first_token_seconds",
    HISTOGRAM,
    "Time from a request to its first token, bucket for bucket (vllm:time_to_first_token_seconds).",
    unit="seconds",
)
INTER_TOKEN_LATENCY = _model(
    "inter_token_latency_seconds",
    HISTOGRAM,
    "Time from one token to the next, bucket for bucket (vllm:inter_token_latency_seconds, once"
    " time_per_output_token_seconds).",
    unit="seconds",
)
E2E_REQUEST_LATENCY = _model(
    "e2e_request_latency_seconds",
    HISTOGRAM,
    "Time from a request to its end, bucket for bucket (vllm:e2e_request_latency_seconds).",
    unit="seconds",
)
REQUEST_QUEUE_TIME = _model(
    "request_queue_time_seconds",
    HISTOGRAM,
    "Time that requests waited, bucket for bucket (vllm:request_queue_time_seconds, once"
    " time_in_queue_requests).",
    unit="seconds",
)
REQUEST_PREFILL_TIME = _model(
    "request_prefill_time_seconds",
    HISTOGRAM,
    "Time that prompts were computed for, bucket for bucket (vllm:request_prefill_time_seconds).",
    unit="seconds",
)
REQUEST_DECODE_TIME = _model(
    "request_decode_time_seconds",
    HISTOGRAM,
    "Time that answers were computed for, bucket for bucket (vllm:request_decode_time_seconds).",
    unit="seconds",
)

GPU_ASSIGNMENT = _model(
    "gpu_assignment_ratio",
    GAUGE,
    "Share of a GPU that counts for the model: 1 / models on that GPU (the GPU exporter's"
    " processes, else the container's device requests, else NVIDIA_VISIBLE_DEVICES).",
    "gpu_uuid",
    unit="ratio",
)

FAMILIES = (
    UP,
    UPSTREAM_ERRORS,
    INFO,
    START_TIME,
    MAX_MODEL_LENGTH,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    REQUESTS_WAITING_BY_REASON,
    KV_CACHE_USAGE,
    KV_CACHE_CAPACITY,
    PREFIX_CACHE_QUERIES,
    PREFIX_CACHE_HITS,
    PREEMPTIONS,
    PROMPT_TOKENS,
    GENERATION_TOKENS,
    REQUESTS,
    ENGINE_AWAKE,
    TIME_TO_FIRST_TOKEN,
    INTER_TOKEN_LATENCY,
    E2E_REQUEST_LATENCY,
    REQUEST_QUEUE_TIME,
    REQUEST_PREFILL_TIME,
    REQUEST_DECODE_TIME,
    GPU_ASSIGNMENT,
)
