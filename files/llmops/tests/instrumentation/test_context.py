"""Sessions, traces and spans, wherever calls are made."""

import asyncio
import contextvars
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any
from uuid import UUID

import pytest

from llmops_monitoring import (
    SpanContext,
    carry_context,
    current_traceparent,
    get_current_session_id,
    get_current_span_id,
    get_current_trace_id,
    monitor_llm,
    monitoring_session,
    monitoring_trace,
)
from llmops_testing.memory import Measuring, Memory

Where = tuple[str | None, str | None, str | None]


def where() -> Where:
    """Return where a call made now would belong."""
    return get_current_session_id(), get_current_trace_id(), get_current_span_id()


@monitor_llm("inner")
def inner() -> Where:
    return where()


@monitor_llm("outer")
def outer() -> Where:
    inner()
    return where()


@monitor_llm("later")
async def later() -> None:
    await asyncio.sleep(0)
    inner()


def test_nested_calls_are_a_trace(memory: Memory) -> None:
    found = outer()
    first, second = memory.events
    assert (first.operation_name, second.operation_name) == ("inner", "outer")
    assert first.parent_span_id == second.span_id
    assert first.trace_id == second.trace_id
    assert second.parent_span_id is None
    assert found == (None, second.trace_id, second.span_id)
    assert where() == (None, None, None)


def test_calls_one_after_the_other_are_traces_of_their_own(memory: Memory) -> None:
    inner()
    inner()
    first, second = memory.events
    assert first.trace_id != second.trace_id


def test_call_that_fails_leaves_its_span(memory: Memory) -> None:
    @monitor_llm
    def fails() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert where() == (None, None, None)
    assert memory.events


def test_context_says_where_calls_belong(memory: Memory) -> None:
    with SpanContext(session_id="s", trace_id="t", parent_span_id="p"):
        inner()
        with SpanContext(session_id="s2"):
            inner()
        with SpanContext(trace_id="t2"):
            inner()
    told = [(one.session_id, one.trace_id, one.parent_span_id) for one in memory.events]
    assert told == [("s", "t", "p"), ("s2", "t", "p"), ("s", "t2", None)]
    assert where() == (None, None, None)


def test_context_of_async_code(memory: Memory) -> None:
    async def work() -> None:
        async with SpanContext(session_id="s"):
            await asyncio.gather(later(), later())
            await asyncio.to_thread(inner)
            async with asyncio.TaskGroup() as group:
                group.create_task(later())

    asyncio.run(work())
    assert {event.session_id for event in memory.events} == {"s"}


def test_tasks_inherit_the_span_around_them(memory: Memory) -> None:
    @monitor_llm("outer")
    async def work() -> None:
        await asyncio.gather(later(), later(), asyncio.to_thread(inner))

    asyncio.run(work())
    events = memory.events
    (root,) = [event for event in events if event.operation_name == "outer"]
    assert {event.trace_id for event in events} == {root.trace_id}
    assert sum(event.parent_span_id == root.span_id for event in events) == 3


def test_tasks_beside_each_other_do_not_mix(memory: Memory) -> None:
    async def serve(number: int) -> None:
        with monitoring_session(f"s{number}"):
            await later()

    async def all_of_them() -> None:
        await asyncio.gather(*(serve(number) for number in range(50)))

    asyncio.run(all_of_them())
    traces: dict[str, set[str | None]] = {}
    for event in memory.events:
        traces.setdefault(str(event.trace_id), set()).add(event.session_id)
    assert len(traces) == 50
    assert all(len(sessions) == 1 for sessions in traces.values())


def test_threads_begin_with_nothing_unless_it_is_carried(memory: Memory) -> None:
    with ThreadPoolExecutor(2) as pool, SpanContext(session_id="s"):
        assert pool.submit(where).result()[0] is None
        assert pool.submit(carry_context(where)).result()[0] == "s"
        carried = carry_context(lambda _: where()[0])
        assert list(pool.map(carried, range(8))) == ["s"] * 8
        assert pool.submit(where).result()[0] is None
    assert not memory.events


def test_context_is_carried_to_other_processes() -> None:
    with SpanContext(session_id="s", trace_id="t", parent_span_id="p"):
        carried = carry_context(get_current_session_id)
    assert pickle.loads(pickle.dumps(carried))() == "s"  # noqa: S301
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(carried).result() == "s"


def test_carried_error_is_the_functions_own() -> None:
    def fails() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        carry_context(fails)()
    assert where() == (None, None, None)


def test_new_sessions_and_traces() -> None:
    with monitoring_session() as session, monitoring_trace() as trace:
        assert where() == (session.session_id, trace.trace_id, None)
        assert len(str(session.session_id)) == len(str(trace.trace_id)) == 32
    assert monitoring_session("mine").session_id == "mine"
    assert monitoring_trace("mine").trace_id == "mine"


def test_ids_of_other_kinds() -> None:
    given: Any = UUID(int=7)
    assert SpanContext(session_id=given).session_id == str(given)
    number: Any = 17
    assert SpanContext(session_id=number).session_id == "17"


def test_id_of_no_known_kind_is_left_out(measuring: Measuring) -> None:
    nonsense: Any = object()
    with SpanContext(session_id=nonsense):
        assert where()[0] is None
    problems = measuring().problems
    with SpanContext(session_id="s"), monitoring_session(nonsense), monitoring_trace(nonsense):
        assert where()[0] == "s"
    assert problems.counts() == {"SpanContext": 2}
    measuring(fail_silently=False)
    with pytest.raises(TypeError, match="not an id: object"):
        SpanContext(session_id=nonsense)


def test_one_context_may_be_entered_again_and_by_many() -> None:
    shared = SpanContext(session_id="s")
    with shared, shared:
        assert where()[0] == "s"
    assert where()[0] is None

    async def use(first: asyncio.Event, then: asyncio.Event) -> None:
        async with shared:
            first.set()
            await then.wait()
            assert where()[0] == "s"
        assert where()[0] is None

    async def cross() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(use(one, two), use(two, one))

    asyncio.run(cross())


def test_context_left_somewhere_else_is_no_error() -> None:
    context = SpanContext(session_id="s")
    contextvars.Context().run(context.__enter__)
    context.__exit__(None, None, None)
    assert where() == (None, None, None)


HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_trace_goes_on_from_a_header(memory: Memory) -> None:
    with SpanContext.from_traceparent(HEADER, session_id="s"):
        assert current_traceparent() == HEADER
        inner()
    event = memory.event
    assert event.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert event.parent_span_id == "b7ad6b7169203331"
    assert event.session_id == "s"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        HEADER + "-more",
        HEADER.upper(),
        HEADER.replace("00-", "ff-", 1),
        HEADER.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        HEADER.replace("b7ad6b7169203331", "0" * 16),
        HEADER[:-1],
        HEADER.replace("b7ad", "xyzt"),
    ],
)
def test_header_that_cannot_be_read_begins_a_new_trace(memory: Memory, header: Any) -> None:
    with SpanContext.from_traceparent(header):
        inner()
    event = memory.event
    assert event.parent_span_id is None
    assert event.trace_id != "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("header", [f" {HEADER} ", HEADER.replace("00-", "cc-", 1) + "-more"])
def test_header_of_a_later_version_is_followed(header: str) -> None:
    assert SpanContext.from_traceparent(header).parent_span_id == "b7ad6b7169203331"


def test_header_to_send_along(memory: Memory) -> None:
    @monitor_llm
    def sends() -> str | None:
        return current_traceparent()

    sent = sends()
    event = memory.event
    assert sent == f"00-{event.trace_id}-{event.span_id}-01"
    assert current_traceparent() is None
    with SpanContext(trace_id="not W3C's", parent_span_id="p"):
        assert current_traceparent() is None


def test_threads_measure_beside_each_other(memory: Memory) -> None:
    threads = [threading.Thread(target=lambda: [outer() for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = memory.events
    spans = {event.span_id: event for event in events}
    assert len(spans) == 800
    for event in events:
        if event.operation_name == "inner":
            assert spans[str(event.parent_span_id)].trace_id == event.trace_id


def test_plain_generator_that_enters_a_session_is_not_our_matter() -> None:
    def chunks() -> Iterator[str | None]:
        with SpanContext(session_id="s"):
            yield get_current_session_id()

    assert list(chunks()) == ["s"]
    assert where() == (None, None, None)
