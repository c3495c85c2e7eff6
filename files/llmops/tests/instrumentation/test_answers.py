"""Answers of models' servers: their text, tokens and cost, as objects and as JSON."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from llmops_monitoring import MetricEvent, Price, monitor_llm
from llmops_testing.memory import Measuring, Memory

ANSWERS = Path(__file__).parent.parent / "answers"
EXPECTED = json.loads((ANSWERS / "expected.json").read_text())
TEXT = {"characters": 19, "words": 4, "bytes": 19, "lines": 1}


class Extra(BaseModel):
    """As LiteLLM's and OpenAI's objects: fields that nobody declared."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


def as_extra(value: Any) -> Any:
    """Return JSON as objects of Pydantic."""
    if isinstance(value, dict):
        return Extra(**{name: as_extra(one) for name, one in value.items()})
    return [as_extra(one) for one in value] if isinstance(value, list) else value


def as_slots(value: Any) -> Any:
    """Return JSON as objects that have slots and no dictionary."""
    if isinstance(value, dict):
        made = make_dataclass("Slots", list(value), slots=True)
        return made(**{name: as_slots(one) for name, one in value.items()})
    return [as_slots(one) for one in value] if isinstance(value, list) else value


def as_namespace(value: Any) -> Any:
    """Return JSON as plain objects."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_namespace(one) for name, one in value.items()})
    return [as_namespace(one) for one in value] if isinstance(value, list) else value


KINDS = pytest.mark.parametrize("kind", [lambda value: value, as_extra, as_slots, as_namespace])


def check(event: MetricEvent, name: str) -> None:
    """Compare an event with what an answer holds."""
    expected = dict(EXPECTED[name])
    cost = expected.pop("cost")
    assert event.token_metrics is not None
    assert event.token_metrics.model_dump() == expected
    assert event.cost == (None if cost is None else pytest.approx(cost))
    assert event.text_metrics is not None
    assert event.text_metrics.model_dump() == TEXT


@KINDS
@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(".json")])
def test_answer(memory: Memory, name: str, kind: Any) -> None:
    answer = kind(json.loads((ANSWERS / name).read_text()))

    @monitor_llm(measure_text=True)
    def ask() -> Any:
        return answer

    assert ask() is answer
    check(memory.event, name)


@KINDS
@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(".jsonl")])
def test_streamed_answer(memory: Memory, name: str, kind: Any) -> None:
    chunks = [kind(json.loads(line)) for line in (ANSWERS / name).read_text().splitlines()]

    @monitor_llm(measure_text=True)
    def ask() -> Iterator[Any]:
        yield from chunks

    assert list(ask()) == chunks
    event = memory.event
    check(event, name)
    assert event.stream_metrics is not None
    assert event.stream_metrics.chunks == len(chunks)
    assert event.stream_metrics.time_to_first_token_ms is not None


def test_response_that_is_streamed(memory: Memory) -> None:
    response = json.loads((ANSWERS / "openai_response.json").read_text())

    @monitor_llm(measure_text=True)
    def ask() -> Iterator[Any]:
        yield {"type": "response.created", "response": {**response, "output": [], "usage": None}}
        yield {"type": "response.output_text.delta", "delta": "It rains"}
        yield {"type": "response.output_text.delta", "delta": " in Bergen."}
        yield {"type": "response.completed", "response": response}

    list(ask())
    check(memory.event, "openai_response.json")


@dataclass
class Completion:
    text: str
    token_ids: tuple[int, ...]


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[Completion]
    num_cached_tokens: int | None = None
    request_id: str | None = None


def test_outputs_of_vllm_itself(memory: Memory) -> None:
    @monitor_llm(measure_text=True)
    def generate() -> list[RequestOutput]:
        first = RequestOutput([1, 2, 3], [Completion("It rains", (4, 5))], 2)
        return [first, RequestOutput([6], [Completion(" in Bergen.", (7, 8, 9))])]

    generate()
    event = memory.event
    assert event.token_metrics is not None
    assert event.token_metrics.input_tokens == 4
    assert event.token_metrics.output_tokens == 5
    assert event.token_metrics.cached_input_tokens == 2
    assert event.text_metrics is not None
    assert event.text_metrics.model_dump() == TEXT


# What it gives in a stream: all so far each time, by default, or what is new alone.
ENGINE_STREAMS: dict[str, list[list[tuple[str, tuple[int, ...]]]]] = {
    "cumulative": [
        [("It", (4,)), ("", ())],
        [("It rains", (4, 5)), ("No", (9,))],
        [("It rains in", (4, 5, 4)), ("No", (9,))],
        [("It rains in Bergen.", (4, 5, 4, 4)), ("No rain", (9, 8))],
    ],
    "delta": [
        [("It", (4,)), ("", ())],
        [(" rains", (4,)), ("No", (9,))],
        [(" in", (7,)), ("", ())],
        [(" Bergen.", (4,)), (" rain", (9,))],
    ],
}


@pytest.mark.parametrize("kind", ENGINE_STREAMS)
def test_stream_of_vllm_itself(measuring: Measuring, kind: str) -> None:
    memory = measuring(fail_silently=False, capture_content=True)

    @monitor_llm(measure_text=True)
    async def generate() -> AsyncIterator[RequestOutput]:
        for outputs in ENGINE_STREAMS[kind]:
            told = [Completion(*one) for one in outputs]
            yield RequestOutput([1, 2, 3], told, 2, request_id="r")

    async def main() -> None:
        async for _ in generate():
            pass

    asyncio.run(main())
    event = memory.event
    assert event.token_metrics is not None
    assert event.token_metrics.output_tokens == 6
    assert event.token_metrics.input_tokens == 3
    assert event.token_metrics.cached_input_tokens == 2
    assert event.text_metrics is not None
    assert event.text_metrics.characters == len("It rains in Bergen.No rain")


def test_message_of_langchain(memory: Memory) -> None:
    @monitor_llm(measure_text=True)
    def invoke() -> Any:
        return SimpleNamespace(
            content="It rains in Bergen.",
            usage_metadata={
                "input_tokens": 100,
                "output_tokens": 20,
                "total_tokens": 120,
                "input_token_details": {"cache_read": 60},
                "output_token_details": {"reasoning": 5},
            },
            response_metadata={"model_name": "gpt-4o-2024-08-06"},
        )

    invoke()
    event = memory.event
    assert event.token_metrics is not None
    assert event.token_metrics.model == "gpt-4o-2024-08-06"
    assert (event.token_metrics.cached_input_tokens, event.token_metrics.reasoning_tokens) == (
        60,
        5,
    )
    assert event.cost == pytest.approx((40 * 2.5 + 60 * 1.25 + 20 * 10) / 1e6)


def test_cost_that_an_answer_tells(measuring: Measuring) -> None:
    answer = json.loads((ANSWERS / "litellm_chat.json").read_text())
    answer["_hidden_params"] = {"response_cost": 0.5}

    @monitor_llm
    def ask() -> Any:
        return answer

    memory = measuring()
    ask()
    assert memory.event.cost == 0.5
    memory = measuring(prices={"claude-sonnet": Price(input=1, output=10)})
    ask()
    assert memory.event.cost == pytest.approx((5100 + 4000) / 1e6)


@pytest.mark.parametrize(
    "answer",
    [
        {"usage": {}},
        {"usage": {"prompt_tokens": "7"}},
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": True}},
        {"usage": {"prompt_tokens": 2**70}},
        {"usage": {"prompt_tokens": 1.5}},
        {"usage": [1, 2]},
        {"usage": "none"},
        {"message": {"usage": None}},
    ],
)
def test_nonsense_is_no_count(memory: Memory, answer: Any) -> None:
    @monitor_llm
    def ask() -> Any:
        return answer

    ask()
    event = memory.event
    assert event.token_metrics is None
    assert event.cost is None


def test_tokens_are_left_alone_when_they_are_not_wanted(measuring: Measuring) -> None:
    memory = measuring(measure_tokens=False)
    answer = json.loads((ANSWERS / "openai_chat.json").read_text())

    @monitor_llm("unwanted")
    def unwanted() -> Any:
        return answer

    @monitor_llm("wanted", collectors=["tokens"])
    def wanted() -> Any:
        return answer

    unwanted()
    wanted()
    first, second = memory.events
    assert first.token_metrics is None
    assert second.token_metrics is not None
