"""Tokens: what a model's server counted, whatever it calls it.

Shapes: OpenAI's completions (`prompt_tokens`) and responses (`input_tokens`), which vLLM and
LiteLLM follow; Anthropic's messages, which count what a cache gave or took beside `input_tokens`
rather than within; vLLM's RequestOutput, which holds the tokens themselves; LangChain's messages.
"""

from collections.abc import Mapping
from typing import Any, Final

from llmops_monitoring.event import TokenMetrics, assemble
from llmops_monitoring.instrumentation.collectors.engine import EngineOutputs, length
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    MetricCollector,
    built_in,
)
from llmops_monitoring.instrumentation.values import (
    LONGEST_NAME,
    clean,
    items,
    read,
    stored,
    text_in,
)

_LARGEST: Final = 2**63 - 1
_DEAREST: Final = 1e9

_COUNTS: Final = (
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
# Where finer counts stand: the holder in `usage`, their name there, and their name here.
_DETAILS: Final = (
    ("prompt_tokens_details", "cached_tokens", "cached"),
    ("input_tokens_details", "cached_tokens", "cached"),
    ("input_token_details", "cache_read", "cached"),
    ("input_token_details", "cache_creation", "written"),
    ("completion_tokens_details", "reasoning_tokens", "reasoning"),
    ("output_tokens_details", "reasoning_tokens", "reasoning"),
    ("output_token_details", "reasoning", "reasoning"),
)


class Tokens:
    """The counts of one call, from its answer or from the chunks of it that tell some."""

    __slots__ = ("_outputs", "cost", "counts", "model")

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.model: str | None = None
        self.cost: float | None = None
        self.counts: dict[str, int] = {}
        self._outputs: EngineOutputs | None = None

    def add(self, answer: object) -> None:
        """Take what an answer, or a chunk of one, tells; a later count is the truer one."""
        answer = stored(answer)
        usage = dict.get(answer, "usage")
        if usage is None:
            # Anthropic's message_start and OpenAI's response.completed wrap the answer itself.
            for name in ("message", "response"):
                wrapped = stored(dict.get(answer, name))
                usage = dict.get(wrapped, "usage")
                if usage is not None:
                    answer = wrapped
                    break
        if usage is None:
            usage = dict.get(answer, "usage_metadata")
        if usage is not None:
            self._read(stored(usage))
            self._name(answer)
        elif dict.get(answer, "prompt_token_ids") is not None:
            self._count(answer)

    def _read(self, usage: dict[str, Any]) -> None:
        for name in _COUNTS:
            self._take(name, dict.get(usage, name))
        for holder, name, meaning in _DETAILS:
            details = dict.get(usage, holder)
            if details is not None:
                self._take(meaning, read(details, name))

    def _take(self, name: str, count: object) -> None:
        # Neither a bool nor what does not fit into a column is a count.
        if type(count) is int and 0 <= count <= _LARGEST:
            self.counts[name] = count

    def _name(self, answer: dict[str, Any]) -> None:
        model = text_in(read(answer, "model"))
        if model is None:
            model = text_in(read(read(answer, "response_metadata"), "model_name"))
        if self.model is None and model is not None:
            self.model = clean(model, LONGEST_NAME)
        # LiteLLM tells what its own table of prices says.
        cost = read(read(answer, "_hidden_params"), "response_cost")
        if type(cost) in {int, float} and 0 <= cost <= _DEAREST:
            self.cost = float(cost)

    def _count(self, output: dict[str, Any]) -> None:
        counts = self.counts
        self._outputs = self._outputs or EngineOutputs()
        first, news = self._outputs.add(output)
        given = length(output, "prompt_token_ids") if first else 0
        counts["prompt_tokens"] = counts.get("prompt_tokens", 0) + given
        completed = sum(len(ids) for ids, _ in news)
        counts["completion_tokens"] = counts.get("completion_tokens", 0) + completed
        cached = read(output, "num_cached_tokens")
        if first and type(cached) is int and cached >= 0:
            counts["cached"] = counts.get("cached", 0) + cached

    def metrics(self) -> TokenMetrics | None:
        """Return the counts by the names of here, or None where nothing was counted."""
        counts = self.counts
        cached = counts.get("cached", counts.get("cache_read_input_tokens"))
        written = counts.get("written", counts.get("cache_creation_input_tokens"))
        given = counts.get("prompt_tokens")
        if given is None:
            given = counts.get("input_tokens")
            if given is not None:
                # Only Anthropic's own counts stand beside each other.
                given += counts.get("cache_read_input_tokens", 0)
                given += counts.get("cache_creation_input_tokens", 0)
        got = counts.get("completion_tokens", counts.get("output_tokens"))
        if given is None and got is None:
            return None
        given, got = given or 0, got or 0
        return assemble(
            TokenMetrics,
            {
                "model": self.model,
                "input_tokens": given,
                "output_tokens": got,
                "total_tokens": given + got,
                "cached_input_tokens": cached,
                "cache_write_tokens": written,
                "reasoning_tokens": counts.get("reasoning"),
            },
        )


def tokens(result: object) -> Tokens | None:
    """Return what an answer, or a list of vLLM's, tells of its tokens; None for nothing."""
    found = Tokens()
    if type(result) in {list, tuple}:
        for one in items(result):
            if read(one, "prompt_token_ids") is None:
                break
            found.add(one)
    else:
        found.add(result)
    return found if found.counts else None


@built_in
class TokenCollector(MetricCollector):
    """The tokens that the answer of a model's server tells."""

    metric_type = "tokens"

    def collect(
        self,
        result: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: CollectorContext,
    ) -> Mapping[str, Any]:
        """Return `token_metrics`, or nothing where the answer tells none."""
        del args, kwargs, context
        found = tokens(result)
        return {} if found is None else {"token_metrics": found.metrics()}
