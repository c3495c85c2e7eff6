"""Generators: what they give and take is the same, and how they went is told."""

import asyncio
import contextvars
import gc
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from llmops_monitoring import SpanContext, get_current_session_id, get_current_span_id, monitor_llm
from llmops_monitoring.event import StreamMetrics
from llmops_testing.memory import Memory


def _stream(memory: Memory) -> StreamMetrics:
    found = memory.event.stream_metrics
    assert found is not None
    return found


@monitor_llm("count")
def count(most: int) -> Iterator[int]:
    yield from range(most)


@monitor_llm("count")
async def count_later(most: int) -> AsyncIterator[int]:
    for number in range(most):
        await asyncio.sleep(0.001)
        yield number


def test_stream_is_told_when_it_is_over(memory: Memory) -> None:
    generator = count(3)
    assert not memory.events
    assert list(generator) == [0, 1, 2]
    stream = _stream(memory)
    assert (stream.ended, stream.chunks) == ("completed", 3)
    assert stream.time_to_first_token_ms is not None
    assert stream.gap_mean_ms is not None
    assert stream.gap_max_ms is not None
    assert stream.gap_max_ms >= stream.gap_mean_ms


def test_async_stream_is_told_when_it_is_over(memory: Memory) -> None:
    async def gather() -> list[int]:
        return [one async for one in count_later(3)]

    assert asyncio.run(gather()) == [0, 1, 2]
    event = memory.event
    assert event.stream_metrics is not None
    assert event.stream_metrics.ended == "completed"
    assert (event.stream_metrics.time_to_first_token_ms or 0) >= 0.9
    assert event.duration_ms >= 2.9


def test_consumers_time_is_no_gap(memory: Memory) -> None:
    async def slowly() -> None:
        async for _ in count_later(3):
            await asyncio.sleep(0.3)

    asyncio.run(slowly())
    stream = _stream(memory)
    assert (stream.gap_mean_ms or 0) < 250


def test_stream_of_nothing(memory: Memory) -> None:
    assert list(count(0)) == []
    assert _stream(memory) == StreamMetrics(ended="completed", chunks=0)


def test_stream_that_nobody_begins_is_no_call(memory: Memory) -> None:
    generator: Any = count(3)
    generator.close()
    assert not memory.events


def test_first_chunk_without_text_is_no_token(memory: Memory) -> None:
    @monitor_llm(measure_text=True)
    def chat() -> Iterator[dict[str, Any]]:
        yield {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}]}

    list(chat())
    event = memory.event
    assert event.stream_metrics is not None
    assert event.stream_metrics.time_to_first_token_ms is None
    assert event.stream_metrics.chunks == 2


@pytest.mark.parametrize(
    "delta",
    [{"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}, {"content": "a"}],
)
def test_reasoning_and_tools_are_tokens_too(memory: Memory, delta: dict[str, Any]) -> None:
    @monitor_llm
    def chat() -> Iterator[dict[str, Any]]:
        yield {"choices": [{"delta": {"role": "assistant", "content": "", **delta}}]}

    list(chat())
    assert _stream(memory).time_to_first_token_ms is not None


def test_text_of_a_stream_is_counted_as_if_it_came_at_once(memory: Memory) -> None:
    @monitor_llm(measure_text=True)
    def chat() -> Iterator[str]:
        yield "It ra"
        yield "ins in Ber"
        yield "gen.\nÅ"

    list(chat())
    text = memory.event.text_metrics
    assert text is not None
    assert text.model_dump() == {"characters": 21, "words": 5, "bytes": 22, "lines": 2}


# What a consumer may do to a generator, beside a bare one that must behave the same.
def _echo() -> Generator[Any, Any, str]:
    got: Any = "first"
    while True:
        try:
            got = yield got
        except ValueError as error:
            got = f"caught {error}"
        except GeneratorExit:
            if got == "stubborn":
                yield "still here"
            if got == "returns":
                return "closed"
            raise
        if got == "stop":
            return "done"


async def _echo_later() -> AsyncGenerator[Any, Any]:
    got: Any = "first"
    while True:
        await asyncio.sleep(0)
        try:
            got = yield got
        except ValueError as error:
            got = f"caught {error}"
        except GeneratorExit:
            await asyncio.sleep(0)
            if got == "stubborn":
                yield "still here"
            if got == "returns":
                return
            raise
        if got == "stop":
            return


STEPS: list[list[tuple[str, Any]]] = [
    [("send", None), ("send", 1), ("send", "stop"), ("send", 2)],
    [("send", "too early")],
    [("send", None), ("throw", ValueError("x")), ("send", 2), ("close", None), ("send", 3)],
    [("send", None), ("throw", TypeError("x")), ("send", 2)],
    [("throw", ValueError("early")), ("send", None)],
    [("send", None), ("throw", StopIteration(5))],
    [("send", None), ("throw", StopAsyncIteration())],
    [("send", None), ("throw", KeyboardInterrupt())],
    [("send", None), ("throw", asyncio.CancelledError())],
    [("send", None), ("throw", GeneratorExit()), ("send", None)],
    [("send", None), ("send", "returns"), ("throw", GeneratorExit())],
    [("send", None), ("send", "returns"), ("close", None)],
    [("send", None), ("send", "stubborn"), ("close", None)],
    [("send", None), ("send", "stubborn"), ("throw", GeneratorExit()), ("send", 3)],
    [("close", None), ("send", None)],
]


def _told(error: BaseException) -> tuple[str, str, str]:
    return type(error).__name__, str(error), type(error.__cause__).__name__


def _play(generator: Any, steps: list[tuple[str, Any]]) -> list[object]:
    """Return what a generator answers to each step."""
    found: list[object] = []
    for name, value in steps:
        try:
            found.append(getattr(generator, name)(*(() if name == "close" else (value,))))
        except BaseException as error:
            found.append(_told(error))
    return found


async def _play_later(generator: Any, steps: list[tuple[str, Any]]) -> list[object]:
    found: list[object] = []
    for name, value in steps:
        try:
            step = getattr(generator, f"a{name}")(*(() if name == "close" else (value,)))
            found.append(await step)
        except BaseException as error:
            found.append(_told(error))
    return found


@pytest.mark.parametrize("steps", STEPS)
def test_generator_answers_as_it_did(memory: Memory, steps: list[tuple[str, Any]]) -> None:
    expected = _play(_echo(), steps)
    assert _play(monitor_llm(_echo)(), steps) == expected
    assert len(memory.events) <= 1


@pytest.mark.parametrize("steps", STEPS)
def test_async_generator_answers_as_it_did(memory: Memory, steps: list[tuple[str, Any]]) -> None:
    expected = asyncio.run(_play_later(_echo_later(), steps))
    assert asyncio.run(_play_later(monitor_llm(_echo_later)(), steps)) == expected
    assert len(memory.events) <= 1


def test_value_of_a_generator_comes_back(memory: Memory) -> None:
    @monitor_llm
    def inner() -> Generator[int, None, str]:
        yield 1
        return "value"

    def outer() -> Generator[int, None, str]:
        return (yield from inner())

    generator = outer()
    next(generator)
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "value"
    assert _stream(memory).ended == "completed"


def test_consumer_that_leaves_is_no_error(memory: Memory) -> None:
    for _ in count(9):
        break
    gc.collect()
    event = memory.event
    assert event.stream_metrics is not None
    assert (event.stream_metrics.ended, event.stream_metrics.chunks) == ("aborted", 1)
    assert (event.error, event.error_type) == (False, None)


def test_cancelled_stream_is_aborted_by_an_error(memory: Memory) -> None:
    async def cancel() -> None:
        async with asyncio.timeout(0.01):
            async for _ in count_later(10_000):
                pass

    with pytest.raises(TimeoutError):
        asyncio.run(cancel())
    event = memory.event
    assert event.stream_metrics is not None
    assert event.stream_metrics.ended == "aborted"
    assert event.error_type == "asyncio.exceptions.CancelledError"


def test_stream_that_fails(memory: Memory) -> None:
    @monitor_llm(measure_text=True)
    def fails() -> Iterator[str]:
        yield "some text"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(fails())
    event = memory.event
    assert event.stream_metrics is not None
    assert (event.stream_metrics.ended, event.error_type) == ("error", "ConnectionError")
    assert event.text_metrics is not None
    assert event.text_metrics.words == 2


def test_span_is_never_held_while_the_consumer_works(memory: Memory) -> None:
    inside = []

    @monitor_llm
    def chunks() -> Iterator[int]:
        for number in range(3):
            inside.append(get_current_span_id())
            yield number

    outside = [get_current_span_id() for _ in chunks()]
    event = memory.event
    assert inside == [event.span_id] * 3
    assert outside == [None] * 3


def test_each_step_may_be_taken_in_another_context(memory: Memory) -> None:
    generator = count(3)
    for expected in range(3):
        assert contextvars.Context().run(next, generator) == expected
    assert list(generator) == []
    assert _stream(memory).ended == "completed"


def test_session_that_a_generator_enters_stays_its_own(memory: Memory) -> None:
    inside = []

    @monitor_llm
    def chunks() -> Iterator[int]:
        with SpanContext(session_id="inner"):
            for number in range(3):
                inside.append(get_current_session_id())
                yield number
        inside.append(get_current_session_id())

    with SpanContext(session_id="outer"):
        outside = [get_current_session_id() for _ in chunks()]
    assert inside == ["inner"] * 3 + ["outer"]
    assert outside == ["outer"] * 3
    assert memory.event.session_id == "outer"


def test_calls_within_are_children_and_those_of_the_consumer_are_not(memory: Memory) -> None:
    @monitor_llm("inner")
    def inner() -> None:
        """Be called within."""

    @monitor_llm("other")
    def other() -> None:
        """Be called by the consumer."""

    @monitor_llm("stream")
    def stream() -> Iterator[int]:
        inner()
        yield 1
        inner()

    for _ in stream():
        other()
    events = {event.operation_name: event for event in memory.events}
    assert events["inner"].parent_span_id == events["stream"].span_id
    assert events["other"].parent_span_id is None


def test_loop_that_ends_closes_a_stream_once(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    cleaned = []

    @monitor_llm
    async def chunks() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(True)

    async def leave() -> None:
        generator = chunks()
        await anext(generator)
        held.append(generator)

    held: list[Any] = []
    with caplog.at_level(logging.ERROR):
        asyncio.run(leave())
    assert cleaned == [True]
    assert not caplog.records
    assert _stream(memory).ended == "aborted"


def test_stream_that_is_forgotten_is_closed_by_its_loop(memory: Memory) -> None:
    cleaned = asyncio.Event()

    @monitor_llm
    async def chunks() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    async def forget() -> None:
        async for _ in chunks():
            break
        gc.collect()
        async with asyncio.timeout(5):
            await cleaned.wait()

    asyncio.run(forget())
    assert _stream(memory).ended == "aborted"


def test_stream_that_is_closed_by_its_consumer(memory: Memory) -> None:
    async def leave() -> None:
        generator: Any = count_later(9)
        async with aclosing(generator):
            await anext(generator)

    asyncio.run(leave())
    assert _stream(memory).ended == "aborted"
