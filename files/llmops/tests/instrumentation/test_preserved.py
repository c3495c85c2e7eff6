"""What a decorated function stays: its result, errors, signature, nature and room on the stack."""

import asyncio
import contextvars
import functools
import inspect
import pickle
import random
import sys
import types
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest

from llmops_monitoring import monitor_llm
from llmops_testing.memory import Measuring, Memory

Decorated = Callable[..., Any]


def plain(first: int, /, second: str = "b", *rest: int, third: float, **more: object) -> str:
    """Return something."""
    return f"{first}{second}{rest}{third}{more}"


async def awaited(first: int, *, second: str = "b") -> str:
    """Return something later."""
    return f"{first}{second}"


def generated(first: int = 1) -> Iterator[int]:
    """Give something."""
    yield first


async def generated_later(first: int = 1) -> AsyncIterator[int]:
    """Give something later."""
    yield first


@monitor_llm
def pickled(value: int) -> int:
    return value


@pytest.mark.parametrize("function", [plain, awaited, generated, generated_later])
def test_function_looks_the_same(function: Callable[..., Any], memory: Memory) -> None:
    decorated: Any = monitor_llm("name", measure_text=True)(function)
    assert decorated.__wrapped__ is function
    assert inspect.signature(decorated) == inspect.signature(function)
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(decorated, attribute) == getattr(function, attribute)
    for question in (
        inspect.isfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction if sys.version_info < (3, 14) else inspect.isroutine,
    ):
        assert question(decorated) == question(function)
    assert not memory.events


def test_decorated_function_is_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(pickled)) is pickled  # noqa: S301


def test_result_is_the_same_object(memory: Memory) -> None:
    value = object()
    assert monitor_llm(lambda: value)() is value
    assert len(memory.events) == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyboardInterrupt(),
        SystemExit(3),
        StopIteration(1),
        StopAsyncIteration(),
        GeneratorExit(),
        asyncio.CancelledError(),
        ExceptionGroup("two", [ValueError(), TypeError()]),
    ],
)
def test_error_is_the_same_object(error: BaseException, memory: Memory) -> None:
    cause = LookupError()

    @monitor_llm
    def fails() -> None:
        raise error from cause

    with pytest.raises(type(error)) as caught:
        fails()
    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None
    assert memory.event.error


def test_error_of_a_coroutine_is_the_same_object(memory: Memory) -> None:
    error = ValueError("x")

    @monitor_llm
    async def fails() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(ValueError, match="x") as caught:
        asyncio.run(fails())
    assert caught.value is error
    assert memory.event.error_type == "ValueError"


def test_wrong_arguments_are_the_callers_error(memory: Memory) -> None:
    with pytest.raises(TypeError, match=r"plain\(\) missing 1 required positional argument"):
        monitor_llm(plain)(third=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"awaited\(\) missing"):
        asyncio.run(monitor_llm(awaited)())  # type: ignore[call-arg]
    assert len(memory.events) == 2


def test_cancellation_goes_through_and_can_be_refused(memory: Memory) -> None:
    cleaned = []

    @monitor_llm("cleans")
    async def cleans() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            cleaned.append(1)
            raise

    @monitor_llm("refuses")
    async def refuses() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "still here"
        return "never"

    async def cancel() -> str:
        first, second = asyncio.create_task(cleans()), asyncio.create_task(refuses())
        await asyncio.sleep(0.01)
        first.cancel("why")
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert first.cancelled()
        return await second

    assert asyncio.run(cancel()) == "still here"
    assert cleaned == [1]
    assert {event.operation_name: event.error for event in memory.events} == {
        "cleans": True,
        "refuses": False,
    }


def test_coroutine_that_nobody_finishes_is_closed_quietly(memory: Memory) -> None:
    @monitor_llm
    async def waits() -> None:
        await _Suspended()

    running: Any = waits()
    contextvars.Context().run(running.send, None)
    # The garbage collector closes it in whatever context it runs.
    contextvars.Context().run(running.close)
    assert memory.event.error_type == "GeneratorExit"


class _Suspended:
    def __await__(self) -> Generator[None, None, None]:
        yield


def test_generator_that_is_a_coroutine_can_be_awaited(memory: Memory) -> None:
    @monitor_llm
    @types.coroutine
    def old() -> Generator[Any, None, int]:
        yield from asyncio.sleep(0).__await__()
        return 5

    async def wait() -> int:
        awaitable: Awaitable[int] = old()
        return await awaitable

    assert asyncio.run(wait()) == 5
    assert not memory.event.error


def test_caches_and_other_decorators_go_together(memory: Memory) -> None:
    @functools.lru_cache
    @monitor_llm
    def cached(value: int) -> int:
        return value

    assert cached(1) == cached(1) == 1
    assert len(memory.events) == 1


def test_random_numbers_of_the_application_stay_the_same(memory: Memory) -> None:
    random.seed(1)
    expected = [random.random() for _ in range(3)]  # noqa: S311
    random.seed(1)
    found = []
    for _ in range(3):
        pickled(1)
        found.append(random.random())  # noqa: S311
    assert found == expected
    ids = {event.span_id for event in memory.events}
    random.seed(1)
    pickled(1)
    assert memory.event.span_id not in ids


def test_result_is_not_held_once_its_event_is_made(memory: Memory) -> None:
    class Result:
        pass

    results = [Result()]
    alive = weakref.ref(results[0])
    monitor_llm(results.pop)()
    assert alive() is None
    assert memory.events


def _deepest(function: Callable[[], Any], limit: int) -> int:
    """Return how deep in the stack `function` can be called until there is no room left."""

    def dive(depth: int) -> Any:
        return function() if depth == 0 else dive(depth - 1)

    for depth in range(limit):
        try:
            dive(depth)
        except RecursionError:
            return depth
    pytest.fail("the stack has no end")


def test_stack_has_room_for_all_that_the_function_needs(measuring: Measuring) -> None:
    def leaf() -> str:
        return str(1)

    def thin() -> str:
        return leaf()

    old = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        bare = _deepest(thin, 200)
        memory = measuring()
        assert _deepest(monitor_llm(measure_text=True, collectors=["cost"])(leaf), 200) == bare
    finally:
        sys.setrecursionlimit(old)
    assert memory.recorder.missed > 0
    told = memory.recorder.missed + len(memory.events)
    assert told == bare + 1
