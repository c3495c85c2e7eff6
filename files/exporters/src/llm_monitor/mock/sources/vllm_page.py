"""What a simulated vLLM server exposes: names, labels and buckets of vLLM 0.32, as recorded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from llm_monitor.base.upstream.exposition import Labels, Point, Points
from llm_monitor.mock.fleet.layout import Model
from llm_monitor.mock.world.latency import Buckets
from llm_monitor.mock.world.serving import FIRST_TOKEN_BUCKETS, REQUEST_BUCKETS, TOKEN_BUCKETS
from llm_monitor.mock.world.state import Counts
from llm_monitor.vllm.server import names

VERSION = "0.32.0"
_BLOCK = 16
_OPEN_FILES = 60
_MOST_FILES = 1_048_576
# What ends with as many tokens as it may have.
_LONG_SHARE = 0.15
# Of the log-logistic distribution of tokens, as of the one of latencies.
_SHAPE = 3.0
_SOURCES = ("local_compute", "local_cache_hit", "external_kv_transfer")
_TIERS = ("device", "host", "p2p", "disk", "external_unspecified")
_REASONS = ("stop", "length", "abort", "error", "repetition")

# What the cache is configured with, but for its size.
_CACHE = {
    "_block_size_resolved": "True",
    "block_size": str(_BLOCK),
    "cache_dtype": "auto",
    "cache_hit_alignment_tokens": "None",
    "effective_attention_block_size": str(_BLOCK),
    "enable_mamba_shared_prefix_checkpoint": "False",
    "enable_prefix_caching": "True",
    "gpu_memory_utilization": "0.9",
    "hash_block_size": "None",
    "is_attention_free": "False",
    "kv_cache_dtype_skip_layers": "[]",
    "kv_cache_layout": "None",
    "kv_cache_memory_bytes": "None",
    "kv_offloading_backend": "native",
    "kv_offloading_size": "None",
    "kv_sharing_fast_prefill": "False",
    "mamba_block_size": "None",
    "mamba_cache_dtype": "auto",
    "mamba_cache_mode": "none",
    "mamba_page_size_padded": "None",
    "mamba_ssm_cache_dtype": "float32",
    "num_cpu_blocks": "None",
    "num_gpu_blocks_override": "None",
    "prefix_cache_retention_interval": "0",
    "prefix_caching_hash_algo": "sha256",
    "prefix_match_unit": "None",
    "replayssm_buffer_len": "16",
    "skip_page_size_padded": "None",
    "sliding_window": "None",
    "swa_bounded_replay": "True",
    "use_kda_recoverssm": "False",
    "use_replayssm": "False",
    "user_specified_block_size": "False",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one server has come to, since its process started unless said otherwise.

    Attributes:
        started: When its process started, Unix time.
        cpu: CPU seconds that it has used.
        memory: Bytes of memory that it uses.
        waiting: Requests that wait now.
        running: Requests that are worked on now.
        completed: Requests that ended with an answer.
        aborted: Requests that ended without one.
        prompt_tokens: Tokens of prompts.
        answer_tokens: Tokens of answers.
        cache_queries: Tokens looked up in the prefix cache.
        cache_hits: Tokens found there.
        preemptions: Requests that had to give way.
        cache_use: The share of the KV cache in use now.
        latencies: Observations in each bucket, by the histogram's field in the simulation.
    """

    started: float
    cpu: float
    memory: float
    waiting: int
    running: int
    completed: int
    aborted: int
    prompt_tokens: int
    answer_tokens: int
    cache_queries: int
    cache_hits: int
    preemptions: int
    cache_use: float
    latencies: dict[str, Counts]


Values = Callable[[Figures], Sequence[float]]


@dataclass(frozen=True, slots=True)
class _Family:
    """A family of the page.

    Attributes:
        name: Its name, `_total` of a counter included.
        kind: Its type.
        help: What it is.
        series: Names and labels of its samples.
        values: Gives their values, in the same order.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    series: tuple[tuple[str, Labels], ...]
    values: Values


class Page:
    """What the server of one model exposes."""

    def __init__(self, model: Model, capacity: float) -> None:
        """Expose what is known of `model`, whose KV cache has room for `capacity` tokens."""
        self._own = {names.ENGINE: "0", names.MODEL: model.name}
        self._cache = _CACHE | {
            "engine": "0",
            "kv_cache_max_concurrency": f"{capacity / model.context:.2f}",
            "kv_cache_size_tokens": f"{capacity:.0f}",
            "num_gpu_blocks": f"{capacity // _BLOCK:.0f}",
        }
        self._families = (
            *self._process(),
            *self._state(),
            *self._counters(),
            *self._sizes(model),
            *self._latencies(),
            *self._service(),
        )
        self._wanted = [one for one in self._families if one.series[0][0] in names.WANTED]

    def points(self, figures: Figures) -> Points:
        """Return the samples that the vLLM exporter wants."""
        return Points(
            Point(name, labels, float(value))
            for family in self._wanted
            for (name, labels), value in zip(family.series, family.values(figures), strict=True)
        )

    def text(self, figures: Figures) -> str:
        """Return the whole page in Prometheus' text format."""
        return "".join(_block(family, figures) for family in self._families)

    def _process(self) -> Iterator[_Family]:
        for name, text, value in (
            ("resident_memory_bytes", "Memory of the process.", lambda now: now.memory),
            ("open_fds", "Files that it has open.", lambda now: _OPEN_FILES + now.running),
            ("max_fds", "Files that it may have open.", lambda _: _MOST_FILES),
        ):
            yield _plain("gauge", f"process_{name}", text, value)
        yield _plain("gauge", names.PROCESS_START, "When it started.", lambda now: now.started)
        yield _plain("counter", "process_cpu_seconds_total", "CPU time.", lambda now: now.cpu)

    def _state(self) -> Iterator[_Family]:
        yield self._gauge("num_requests_running", "Requests in batches.", lambda now: [now.running])
        yield self._gauge(
            "num_requests_waiting", "Requests in the queue.", lambda now: [now.waiting]
        )
        yield self._gauge(
            "num_requests_waiting_by_reason",
            "Requests in the queue, by what they wait for.",
            lambda now: [now.waiting, 0],
            ("reason", "capacity", "deferred"),
        )
        yield self._gauge(
            "engine_sleep_state",
            "1 for the state that the engine is in.",
            lambda _: (1, 0, 0),
            ("sleep_state", "awake", "weights_offloaded", "discard_all"),
        )
        yield self._gauge(
            "kv_cache_usage_perc", "Share of the KV cache in use.", lambda now: [now.cache_use]
        )
        series = ((names.CACHE_CONFIG, self._cache),)
        text = "How the cache is set up."
        yield _Family(names.CACHE_CONFIG, "gauge", text, series, lambda _: [1])

    def _counters(self) -> Iterator[_Family]:
        source, tier = ("source", *_SOURCES), ("source", *_TIERS)
        for name, text, values, label in (
            ("prefix_cache_queries", "Tokens looked up in the prefix cache.", _queries, ()),
            ("prefix_cache_hits", "Tokens found in the prefix cache.", _hits, ()),
            ("external_prefix_cache_queries", "Tokens looked up elsewhere.", _none, ()),
            ("external_prefix_cache_hits", "Tokens found elsewhere.", _none, ()),
            ("mm_cache_queries", "Images and the like looked up.", _none, ()),
            ("mm_cache_hits", "Images and the like found.", _none, ()),
            ("num_preemptions", "Requests that gave way.", lambda now: [now.preemptions], ()),
            ("prompt_tokens", "Tokens of prompts.", lambda now: [now.prompt_tokens], ()),
            ("prompt_tokens_by_source", "Tokens of prompts, by origin.", _by_source, source),
            ("prompt_tokens_cached", "Tokens of prompts from a cache.", _hits, ()),
            ("prompt_tokens_cached_by_source", "The same by kind of memory.", _by_tier, tier),
            ("generation_tokens", "Tokens of answers.", lambda now: [now.answer_tokens], ()),
            ("request_success", "Requests that ended.", _ended, ("finished_reason", *_REASONS)),
        ):
            series = self._series(f"{names.PREFIX}{name}_total", label)
            yield _Family(series[0][0], "counter", text, series, values)

    def _sizes(self, model: Model) -> Iterator[_Family]:
        """Give the histograms of numbers of tokens, and those in which all requests are alike."""
        tokens = _up_to(model.context)
        prompt, answer = model.prompt, model.answer
        computed = prompt * (1 - model.cached)
        for name, bounds, typical, total in (
            ("request_prompt_tokens", tokens, prompt, lambda now: now.prompt_tokens),
            ("request_generation_tokens", tokens, answer, lambda now: now.answer_tokens),
            ("request_max_num_generation_tokens", tokens, answer, lambda now: now.answer_tokens),
            ("request_prefill_kv_computed_tokens", tokens, computed, _computed),
            ("request_params_n", (1.0, 2.0, 5.0, 10.0, 20.0), 0.0, lambda now: now.completed),
            ("request_num_preemptions", (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0), 0.0, lambda _: 0),
        ):
            yield self._histogram(name, "By request.", bounds, _spread(bounds, typical, total))

    def _latencies(self) -> Iterator[_Family]:
        for name, text, buckets, field in (
            ("time_to_first_token", "Time to first token.", FIRST_TOKEN_BUCKETS, "first_token"),
            ("inter_token_latency", "Time between tokens.", TOKEN_BUCKETS, "between_tokens"),
            ("e2e_request_latency", "Time of a request.", REQUEST_BUCKETS, "whole"),
            ("request_queue_time", "Time in the queue.", REQUEST_BUCKETS, "queued"),
            ("request_prefill_time", "Time for the prompt.", REQUEST_BUCKETS, "prefill"),
            ("request_decode_time", "Time for the answer.", REQUEST_BUCKETS, "decode"),
        ):
            values = _observed(buckets, field)
            yield self._histogram(f"{name}_seconds", text, buckets.bounds, values)

    def _service(self) -> Iterator[_Family]:
        name = "http_requests_total"
        labels = {"handler": "/v1/chat/completions", "method": "POST", "status": "2xx"}
        series = ((name, labels),)
        yield _Family(name, "counter", "Answers.", series, lambda now: [now.completed])

    def _series(self, name: str, label: Sequence[str]) -> tuple[tuple[str, Labels], ...]:
        """Return the series of each value of a label, which follow its name; else the only one."""
        if not label:
            return ((name, self._own),)
        return tuple((name, self._own | {label[0]: value}) for value in label[1:])

    def _gauge(self, name: str, text: str, values: Values, label: Sequence[str] = ()) -> _Family:
        series = self._series(f"{names.PREFIX}{name}", label)
        return _Family(series[0][0], "gauge", text, series, values)

    def _histogram(
        self, name: str, text: str, bounds: tuple[float, ...], values: Values
    ) -> _Family:
        name, own = f"{names.PREFIX}{name}", self._own
        upper = [*(repr(one) for one in bounds), "+Inf"]
        buckets = ((f"{name}_bucket", own | {"le": one}) for one in upper)
        series = (*buckets, (f"{name}_count", own), (f"{name}_sum", own))
        return _Family(name, "histogram", text, series, values)


@cache
def page(model: Model, capacity: float) -> Page:
    """Return the page of a model, which is alike on all servers that have it."""
    return Page(model, capacity)


def _plain(
    kind: Literal["gauge", "counter"], name: str, text: str, value: Callable[[Figures], float]
) -> _Family:
    """Return a family with one series without labels."""
    return _Family(name, kind, text, ((name, {}),), lambda now: [value(now)])


def _none(_: Figures) -> Sequence[float]:
    return [0]


def _queries(now: Figures) -> Sequence[float]:
    return [now.cache_queries]


def _hits(now: Figures) -> Sequence[float]:
    return [now.cache_hits]


def _computed(now: Figures) -> int:
    return now.prompt_tokens - now.cache_hits


def _by_source(now: Figures) -> Sequence[float]:
    return [_computed(now), now.cache_hits, 0]


def _by_tier(now: Figures) -> Sequence[float]:
    return [now.cache_hits, *[0] * (len(_TIERS) - 1)]


def _ended(now: Figures) -> Sequence[float]:
    long = int(now.completed * _LONG_SHARE)
    return [now.completed - long, long, now.aborted, 0, 0]


def _up_to(most: int) -> tuple[float, ...]:
    """Return the bounds 1, 2, 5, 10, 20, … up to `most`, as vLLM makes them."""
    steps = (factor * 10**power for power in range(9) for factor in (1, 2, 5))
    return tuple(float(one) for one in steps if one <= most)


def _spread(bounds: tuple[float, ...], typical: float, total: Callable[[Figures], float]) -> Values:
    """Return what spreads all requests over buckets around a typical size."""
    shares = 1 / (1 + (typical / np.array(bounds)) ** _SHAPE)

    def values(now: Figures) -> Sequence[float]:
        counts: list[float] = np.floor(now.completed * shares).tolist()
        return [*counts, now.completed, now.completed, total(now)]

    return values


def _observed(buckets: Buckets, field: str) -> Values:
    """Return what gives one of the simulation's histograms."""

    def values(now: Figures) -> Sequence[float]:
        counts = now.latencies[field]
        rising: list[float] = np.cumsum(counts).tolist()
        return [*rising, rising[-1], float(buckets.total(counts))]

    return values


def _block(family: _Family, figures: Figures) -> str:
    """Return the lines of a family, and of the times at which its series began."""
    samples = zip(family.series, family.values(figures), strict=True)
    lines = [f"{name}{_pairs(labels)} {float(value)!r}\n" for (name, labels), value in samples]
    text = _head(family.name, family.kind, family.help) + "".join(lines)
    if family.kind == "gauge" or not family.name.startswith(names.PREFIX):
        return text
    created = f"{family.name.removesuffix('_total')}_created"
    own = [labels for name, labels in family.series if not name.endswith(("_bucket", "_sum"))]
    rows = "".join(f"{created}{_pairs(one)} {figures.started!r}\n" for one in own)
    return text + _head(created, "gauge", family.help) + rows


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _pairs(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""
