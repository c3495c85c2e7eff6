"""The names of vLLM's own metrics, the newest first where they changed.

As vLLM 0.6 to 0.32 expose them: `vllm/engine/metrics.py` of the first engine (V0, gone since 0.11)
and `vllm/v1/metrics/loggers.py` of the second. Of several names that one server gives, as some
versions did while one was replaced, the first counts.
"""

from typing import NamedTuple

from llm_monitor.base.metrics.family import Family
from llm_monitor.base.upstream.exposition import histogram_names
from llm_monitor.vllm import metrics

MODEL = "model_name"
ENGINE = "engine"


class Source(NamedTuple):
    """Where a family comes from.

    Attributes:
        family: Our family.
        names: Its names at vLLM, the newest first.
        labels: Labels that it has besides the model's, called as ours.
    """

    family: Family
    names: tuple[str, ...]
    labels: tuple[str, ...] = ()


GAUGES = (
    Source(metrics.REQUESTS_RUNNING, ("vllm:num_requests_running",)),
    Source(metrics.REQUESTS_WAITING, ("vllm:num_requests_waiting",)),
    Source(
        metrics.REQUESTS_WAITING_BY_REASON, ("vllm:num_requests_waiting_by_reason",), ("reason",)
    ),
)
COUNTERS = (
    Source(
        metrics.PREFIX_CACHE_QUERIES,
        ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
    ),
    Source(
        metrics.PREFIX_CACHE_HITS,
        ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
    ),
    Source(metrics.PREEMPTIONS, ("vllm:num_preemptions_total",)),
    Source(metrics.PROMPT_TOKENS, ("vllm:prompt_tokens_total",)),
    Source(metrics.GENERATION_TOKENS, ("vllm:generation_tokens_total",)),
    Source(metrics.REQUESTS, ("vllm:request_success_total",), ("finished_reason",)),
)
HISTOGRAMS = (
    Source(metrics.TIME_TO_FIRST_TOKEN, ("vllm:time_to_first_token_seconds",)),
    Source(
        metrics.INTER_TOKEN_LATENCY,
        ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
    ),
    Source(metrics.E2E_REQUEST_LATENCY, ("vllm:e2e_request_latency_seconds",)),
    Source(
        metrics.REQUEST_QUEUE_TIME,
        ("vllm:request_queue_time_seconds", "vllm:time_in_queue_requests"),
    ),
    Source(metrics.REQUEST_PREFILL_TIME, ("vllm:request_prefill_time_seconds",)),
    Source(metrics.REQUEST_DECODE_TIME, ("vllm:request_decode_time_seconds",)),
)

SOURCES = (*GAUGES, *COUNTERS, *HISTOGRAMS)

KV_CACHE_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
CACHE_CONFIG = "vllm:cache_config_info"
CAPACITY_LABEL = "kv_cache_size_tokens"
SLEEP_STATE = "vllm:engine_sleep_state"
SLEEP_LABEL = "sleep_state"
AWAKE = "awake"
PROCESS_START = "process_start_time_seconds"
PREFIX = "vllm:"

WANTED = frozenset(
    [
        *(name for source in (*GAUGES, *COUNTERS) for name in source.names),
        *histogram_names(*(name for source in HISTOGRAMS for name in source.names)),
        *KV_CACHE_USAGE,
        CACHE_CONFIG,
        SLEEP_STATE,
        PROCESS_START,
    ]
)
