"""What the decorator tells of calls of every kind."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial, singledispatchmethod
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from llmops_monitoring import monitor_llm
from llmops_testing.memory import Measuring, Memory


def test_call_is_told(memory: Memory) -> None:
    @monitor_llm("answer", "embedding", custom_attributes={"team": "search"})
    def function(question: str) -> str:
        return question

    before = datetime.now(UTC)
    function("why?")
    event = memory.event
    assert (event.operation_name, event.operation_type) == ("answer", "embedding")
    assert event.custom_attributes == {"team": "search"}
    assert not event.error
    assert event.error_type is None
    assert before - timedelta(seconds=1) < event.timestamp <= datetime.now(UTC)
    assert event.timestamp.tzinfo is UTC
    assert 0 <= event.duration_ms < 1000
    assert len(event.event_id) == 32
    assert len(str(event.trace_id)) == 32
    assert len(event.span_id) == 16
    assert event.parent_span_id is None


@monitor_llm
def without_parentheses() -> None:
    """Has no parentheses."""


@monitor_llm()
def without_name() -> None:
    """Has no name."""


class Service:
    """Methods of every kind."""

    @monitor_llm
    def method(self, value: int) -> tuple[object, int]:
        return self, value

    @monitor_llm
    async def awaited(self, value: int) -> tuple[object, int]:
        return self, value

    @staticmethod
    @monitor_llm
    def static(value: int) -> int:
        return value

    @monitor_llm
    @staticmethod
    def static_outside(value: int) -> int:
        return value

    @classmethod
    @monitor_llm
    def of_class(cls, value: int) -> tuple[object, int]:
        return cls, value

    @monitor_llm
    @classmethod
    def of_class_outside(cls, value: int) -> tuple[object, int]:
        return cls, value

    def __call__(self, value: int) -> int:
        return value


def test_name_is_the_functions_own(memory: Memory) -> None:
    without_parentheses()
    without_name()
    Service().method(1)
    names = [event.operation_name for event in memory.events]
    assert names == ["without_parentheses", "without_name", "Service.method"]


def test_methods_keep_what_they_are_bound_to(memory: Memory) -> None:
    service = Service()
    assert service.method(1) == (service, 1)
    assert asyncio.run(service.awaited(2)) == (service, 2)
    assert (Service.static(3), service.static(3), Service.static_outside(4)) == (3, 3, 4)
    assert Service.of_class(5) == service.of_class(5) == (Service, 5)
    assert Service.of_class_outside(6) == service.of_class_outside(6) == (Service, 6)
    assert len(memory.events) == 9


def test_objects_that_can_be_called(memory: Memory) -> None:
    assert monitor_llm(Service())(7) == 7
    assert monitor_llm(partial(pow, 2))(3) == 8
    assert [event.operation_name for event in memory.events] == ["Service", "pow"]


def test_what_is_no_function_stays_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    measured: Any = monitor_llm

    class Holder:
        one = measured(property(lambda _: 1))
        two = measured("two")(cached_property(lambda _: 2))
        three = measured(singledispatchmethod(lambda _, given: given))

    Holder.__dict__["two"].__set_name__(Holder, "two")
    holder = Holder()
    assert (holder.one, holder.two, holder.three(3)) == (1, 2, 3)
    assert caplog.text.count("is no function; it is left as it is") == 3


def test_what_an_object_calls_func_is_not_what_it_does(memory: Memory) -> None:
    class Tool:
        func = staticmethod(len)

        async def __call__(self) -> int:
            return 3

    for one in (Tool(), partial(Tool())):
        decorated: Any = monitor_llm(one)
        assert inspect.iscoroutinefunction(decorated)
        assert asyncio.run(decorated()) == 3
    assert memory.events[0].operation_name.endswith("Tool")


def test_nothing_is_measured_where_it_is_switched_off(memory: Memory) -> None:
    def function() -> int:
        return 1

    assert monitor_llm(enabled=False)(function) is function
    direct: Any = monitor_llm
    assert direct(function, enabled=False) is function
    assert not memory.events


def test_nothing_is_measured_without_a_monitor() -> None:
    def chunks() -> Generator[int, int]:
        got = yield 1
        yield got

    async def later() -> AsyncIterator[int]:
        yield 1

    async def gather() -> list[int]:
        return [one async for one in monitor_llm(later)()]

    generator: Any = monitor_llm(chunks)()
    assert (next(generator), generator.send(5)) == (1, 5)
    assert asyncio.run(gather()) == [1]
    assert without_name() is None


def test_error_is_told_by_its_type(memory: Memory) -> None:
    @monitor_llm
    def fails() -> None:
        message = "secret"
        raise ValueError(message)

    with pytest.raises(ValueError, match="secret"):
        fails()
    event = memory.event
    assert (event.error, event.error_type) == (True, "ValueError")
    assert "secret" not in event.model_dump_json()


def test_message_of_an_error_is_told_when_it_is_allowed(measuring: Measuring) -> None:
    memory = measuring(record_error_messages=True)

    @monitor_llm
    def fails() -> None:
        message = "too long"
        raise ValueError(message)

    with pytest.raises(ValueError, match="too long"):
        fails()
    assert memory.event.custom_attributes == {"exception.message": "too long"}


def test_cancelled_call_is_an_error(memory: Memory) -> None:
    @monitor_llm
    async def waits() -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        async with asyncio.timeout(0.01):
            await waits()

    with pytest.raises(TimeoutError):
        asyncio.run(cancel())
    event = memory.event
    assert event.error_type == "asyncio.exceptions.CancelledError"
    assert 5 < event.duration_ms < 10_000


def session_of(request: dict[str, str]) -> str:
    """Return the session of a request."""
    return request["session"]


def test_session_and_trace_from_arguments(memory: Memory) -> None:
    @monitor_llm(session_id_from="session", trace_id_from="trace")
    def function(question: str, session: object = "default", *, trace: object = None) -> None:
        """Take them."""

    @monitor_llm(session_id_from=session_of)
    def by_function(request: dict[str, str]) -> None:
        """Take a request."""

    function("?", "by position")
    function("?", session="by name", trace="abc")
    function("?")
    function("?", 17)
    function("?", UUID(int=1))
    by_function({"session": "by function"})
    events = memory.events
    sessions = [event.session_id for event in events]
    assert sessions[:4] == ["by position", "by name", "default", "17"]
    assert sessions[4:] == ["00000000-0000-0000-0000-000000000001", "by function"]
    assert events[1].trace_id == "abc"


def test_session_among_any_names(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    @monitor_llm("loose", session_id_from="session")
    def function(**names: object) -> None:
        """Take any name."""

    function(session="here")
    assert memory.event.session_id == "here"
    assert "no parameter is called session" in caplog.text


def test_content_stays_out(memory: Memory) -> None:
    @monitor_llm(measure_text=True)
    def function(question: str) -> str:
        return f"private answer to {question}"

    function("private question")
    assert "private" not in memory.event.model_dump_json()


def test_content_is_masked_when_it_is_wanted(measuring: Measuring) -> None:
    memory = measuring(capture_content=True, mask=lambda text: text.replace("4711", "****"))

    class Bank:
        @monitor_llm("ask")
        def ask(self, question: str, *rest: object, card: str) -> str:
            return f"card {card}" if question and rest else ""

    Bank().ask("is it 4711?", ["4711", 1], card="4711")
    assert memory.event.custom_attributes == {
        "content.input": {"question": "is it ****?", "args[2]": ["****", 1], "card": "****"},
        "content.output": "card ****",
    }


def test_names_within_content_and_paths_are_masked_too(measuring: Measuring) -> None:
    memory = measuring(capture_content=True, mask=lambda text: text.replace("4711", "****"))

    @monitor_llm("ask")
    def ask(cards: object, path_4711: object) -> object:
        return {"answers": cards, "path": path_4711}

    ask({"4711": {"4711": 1}}, Path("/home/4711"))
    cards = {"****": {"****": 1}}
    assert memory.event.custom_attributes == {
        "content.input": {"cards": cards, "path_4711": "/home/****"},
        "content.output": {"answers": cards, "path": "/home/****"},
    }


@pytest.mark.parametrize("mask", [lambda _: 1 / 0, lambda _: None])
def test_content_that_cannot_be_masked_is_left_out(measuring: Measuring, mask: Any) -> None:
    memory = measuring(capture_content=True, mask=mask)

    @monitor_llm
    def function(question: str) -> str:
        return question

    assert function("private") == "private"
    assert "private" not in memory.event.model_dump_json()
    assert memory.problems.counts() == {"content": 2}


def test_secret_at_the_cut_is_masked_whole(measuring: Measuring) -> None:
    memory = measuring(capture_content=True, mask=lambda text: text.replace("password", "***"))

    @monitor_llm
    def function() -> str:
        return "x" * 8188 + "password"

    function()
    assert "pass" not in memory.event.model_dump_json()


def test_sample_keeps_whole_traces_and_all_errors(measuring: Measuring) -> None:
    memory = measuring(sample_rate=0.5)

    @monitor_llm("inner")
    def inner() -> None:
        """Belong to a trace."""

    @monitor_llm("outer")
    def outer() -> None:
        inner()

    @monitor_llm("fails")
    def fails() -> None:
        raise RuntimeError

    for _ in range(400):
        outer()
    events = memory.events
    inside = {event.trace_id for event in events if event.operation_name == "inner"}
    outside = {event.trace_id for event in events if event.operation_name == "outer"}
    assert inside == outside
    assert 120 < len(inside) < 280
    assert memory.recorder.sampled_out == 800 - len(events)
    for _ in range(20):
        with pytest.raises(RuntimeError):
            fails()
    assert len(memory.events) == 20


def test_sample_of_nothing_is_nothing(measuring: Measuring) -> None:
    memory = measuring(sample_rate=0)
    without_name()
    assert not memory.events


def test_call_of_a_finalizer_does_not_wait_for_the_call_that_it_interrupts(
    measuring: Measuring,
) -> None:
    class Finalized:
        def __del__(self) -> None:
            without_name()

    memory = measuring(sample_rate=0)
    held = [Finalized()]
    with memory.recorder._lock:  # noqa: SLF001
        held.clear()
    assert memory.recorder.sampled_out == 1


def test_services_agree_about_a_trace(measuring: Measuring) -> None:
    memory = measuring(sample_rate=0.5)

    @monitor_llm(trace_id_from="trace")
    def function(trace: object) -> None:
        """Belong to a trace."""

    low, high = f"{1:032x}", f"{2**32 - 1:032x}"
    function(low)
    function(high)
    assert [event.trace_id for event in memory.events] == [low]
