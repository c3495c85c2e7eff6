"""Where a call belongs: its session, its trace, and the span around it.

All of it is one tuple in one context variable, so that tasks and `asyncio.to_thread` inherit it as
they inherit any other; `carry_context` hands it to executors, which don't.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

from llmops_monitoring.instrumentation import traceparent
from llmops_monitoring.instrumentation.active import ACTIVE
from llmops_monitoring.instrumentation.ids import new_id, span_text, trace_text
from llmops_monitoring.instrumentation.values import identifier

P = ParamSpec("P")
R = TypeVar("R")

# Session, trace, and the span that is open.
Frame = tuple[str | None, int | str | None, int | str | None]
Entered = Token[Frame]

CURRENT: ContextVar[Frame] = ContextVar("llmops_monitoring", default=(None, None, None))


def restore(token: Entered) -> None:
    """Put the frame back that was there before.

    A coroutine or generator that nobody finished is closed wherever the garbage collector finds
    it, in a context that has nothing to put back.
    """
    try:
        CURRENT.reset(token)
    except ValueError:
        return


def get_current_session_id() -> str | None:
    """Return the session that a call made now would belong to."""
    return CURRENT.get()[0]


def get_current_trace_id() -> str | None:
    """Return the trace that a call made now would belong to; None begins a new one."""
    return trace_text(CURRENT.get()[1])


def get_current_span_id() -> str | None:
    """Return the span that would be the parent of a call made now."""
    return span_text(CURRENT.get()[2])


class SpanContext(
    AbstractContextManager["SpanContext"], AbstractAsyncContextManager["SpanContext"]
):
    """Says to which session and trace the calls within belong: `with` and `async with`.

    What is not given stays as it is outside. In a trace of its own, a call has no parent from
    outside, unless `parent_span_id` names one.
    """

    def __init__(
        self,
        *,
        session_id: str | None = None,
        trace_id: str | None = None,
        parent_span_id: str | None = None,
    ) -> None:
        """Remember what is to hold within: text, or a number or UUID, which become text.

        An id that is something else is left out, and counted among the problems.
        """
        self.session_id = _given(session_id)
        self.trace_id = _given(trace_id)
        self.parent_span_id = _given(parent_span_id)
        self._tokens: list[Entered] = []

    @classmethod
    def from_traceparent(cls, header: str | None, *, session_id: str | None = None) -> Self:
        """Return the context of a W3C `traceparent`; one that can't be read begins a new trace."""
        told = traceparent.parse(header)
        trace_id, span_id = told or (None, None)
        return cls(session_id=session_id, trace_id=trace_id, parent_span_id=span_id)

    def __enter__(self) -> Self:
        """Let it hold from now on."""
        session_id, trace_id, span_id = CURRENT.get()
        if self.session_id is not None:
            session_id = self.session_id
        if self.trace_id is not None and self.trace_id != trace_text(trace_id):
            trace_id, span_id = self.trace_id, None
        if self.parent_span_id is not None:
            span_id = self.parent_span_id
        self._tokens.append(CURRENT.set((session_id, trace_id, span_id)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what held before."""
        # Tasks that share one object may leave it in another order than they came.
        for place in reversed(range(len(self._tokens))):
            try:
                CURRENT.reset(self._tokens[place])
            except ValueError:
                continue
            del self._tokens[place]
            return

    async def __aenter__(self) -> Self:
        """Let it hold from now on."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what held before."""
        self.__exit__(kind, error, traceback)


def _given(value: object) -> str | None:
    try:
        return identifier(value)
    except TypeError as error:
        # The application's own work must not end because of how it names a session.
        if ACTIVE.recorder is not None:
            ACTIVE.recorder.swallow("SpanContext", error)
        return None


def monitoring_session(session_id: str | None = None) -> SpanContext:
    """Return the context of a session, a new one when none is named; its `session_id` tells."""
    return SpanContext(session_id=new_id() if session_id is None else session_id)


def monitoring_trace(trace_id: str | None = None) -> SpanContext:
    """Return the context of a trace, a new one when none is named; its `trace_id` tells."""
    return SpanContext(trace_id=new_id() if trace_id is None else trace_id)


def current_traceparent() -> str | None:
    """Return the W3C `traceparent` to send along; None outside a span, or with foreign ids."""
    _, trace_id, span_id = CURRENT.get()
    return traceparent.build(trace_text(trace_id), span_text(span_id))


class _Carried(Generic[P, R]):
    """A function and where it belongs: an object, since a closure can't be pickled."""

    def __init__(self, function: Callable[P, R], frame: Frame) -> None:
        self._function = function
        self._frame = frame

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        token = CURRENT.set(self._frame)
        try:
            return self._function(*args, **kwargs)
        finally:
            restore(token)


def carry_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` as part of the session and trace of now, for a thread or process pool."""
    return _Carried(function, CURRENT.get())
