"""Generators: when each chunk came, what they held together, and how it ended.

The span is entered for each step of a generator and left before its chunk goes to the consumer: the
consumer's own calls don't belong to it, and it may take the next step in another context.
"""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import wraps
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Literal

from llmops_monitoring.event import StreamMetrics
from llmops_monitoring.instrumentation.active import ACTIVE
from llmops_monitoring.instrumentation.collectors.engine import EngineOutputs
from llmops_monitoring.instrumentation.collectors.text import Text, texts
from llmops_monitoring.instrumentation.collectors.tokens import Tokens
from llmops_monitoring.instrumentation.context import CURRENT, Entered, Frame, restore
from llmops_monitoring.instrumentation.noting import OUTPUT, PLAIN, Noted
from llmops_monitoring.instrumentation.recorder import Recorder
from llmops_monitoring.instrumentation.source import Args, Kwargs, Source
from llmops_monitoring.instrumentation.values import items, read, stored

_MOST_CHUNKS_KEPT: Final = 1000
_MOST_CONTENT: Final = 1_000_000
_MILLI: Final = 1000
# What a chunk of a chat brings beside text: reasoning and calls of tools are tokens too.
_ALSO_TOKENS: Final = ("reasoning_content", "reasoning", "tool_calls", "thinking", "partial_json")


class Stream:
    """The chunks of one call. None of its methods raises, while `fail_silently` holds."""

    def __init__(self, recorder: Recorder, source: Source, args: Args, kwargs: Kwargs) -> None:
        """Open the call; it begins now."""
        self._recorder, self._source, self._args, self._kwargs = recorder, source, args, kwargs
        self._plan = recorder.bind(source)
        self._call = call = recorder.open(source, args, kwargs)
        self._frame: Frame = (call.session_id, call.trace_id, call.span_id)
        self._entered: list[Entered] = []
        self._text = Text() if self._plan.text else None
        self._tokens = Tokens() if self._plan.tokens else None
        self._outputs = EngineOutputs()
        self._content: list[str] = []
        self._content_length = 0
        self._kept: list[Any] = []
        self._has_text = False
        self._closed = False
        self._chunks = 0
        self._first: float | None = None
        self._gaps = self._longest = 0.0
        self._begun = self._stepped = perf_counter()

    def __enter__(self) -> None:
        """Enter the span for one step."""
        # What the generator itself left in the context is there again in its next step.
        self._entered.append(CURRENT.set(self._frame))
        self._stepped = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the span."""
        self._frame = CURRENT.get()
        restore(self._entered.pop())

    def take(self, chunk: Any) -> None:
        """Note a chunk that goes to the consumer now."""
        moment = perf_counter()
        if self._chunks:
            gap = moment - self._stepped
            self._gaps += gap
            self._longest = max(self._longest, gap)
        self._chunks += 1
        try:
            self._read(chunk, moment)
        except Exception as error:
            self._recorder.swallow("stream", error)

    def _read(self, chunk: Any, moment: float) -> None:
        plan = self._plan
        found = self._texts(chunk) if self._first is None or self._text or plan.content else None
        if self._first is None and (found is None or any(found) or _brings_tokens(chunk)):
            self._first = moment - self._begun
        if found and self._text is not None:
            self._has_text = True
            for text in found:
                self._text.add(text)
        if found and plan.content and self._content_length < _MOST_CONTENT:
            self._content += found
            self._content_length += sum(map(len, found))
        if self._tokens is not None and type(chunk) not in PLAIN:
            self._tokens.add(chunk)
        if plan.collectors and len(self._kept) < _MOST_CHUNKS_KEPT:
            self._kept.append(chunk)

    def _texts(self, chunk: Any) -> list[str] | None:
        if type(chunk) not in PLAIN and read(chunk, "prompt_token_ids") is not None:
            return [text for _, text in self._outputs.add(stored(chunk))[1]]
        return texts(chunk)

    def close(self) -> None:
        """Note that the consumer wants no more."""
        self._closed = True

    def end(self, error: BaseException | None = None) -> None:
        """Hand over the call: its generator returned, or raised `error`."""
        call = self._call
        call.duration = perf_counter() - self._begun
        ended: Literal["completed", "aborted", "error"] = "completed"
        if self._closed or _is_abort(error):
            ended = "aborted"
        elif error is not None:
            ended = "error"
        if error is not None and not isinstance(error, GeneratorExit):
            call.error_type = type(error)
        try:
            call.stream = self._metrics(ended)
            noted = self._noted(error)
        except Exception as ours:
            self._recorder.swallow("stream", ours)
            noted = None
        self._recorder.deliver(call, noted)

    def _metrics(self, ended: Literal["completed", "aborted", "error"]) -> StreamMetrics:
        gaps = self._chunks - 1
        return StreamMetrics.model_construct(
            ended=ended,
            chunks=self._chunks,
            time_to_first_token_ms=None if self._first is None else self._first * _MILLI,
            gap_mean_ms=self._gaps / gaps * _MILLI if gaps > 0 else None,
            gap_max_ms=self._longest * _MILLI if gaps > 0 else None,
        )

    def _noted(self, error: BaseException | None) -> Noted:
        plan, source = self._plan, self._source
        noted = Noted()
        if error is not None and not isinstance(error, GeneratorExit):
            noted = plan.fail(source, error, self._args, self._kwargs) or noted
        elif plan.content:
            noted.attributes = plan.input(source, self._args, self._kwargs)
        if plan.content and noted.attributes is not None and self._content:
            text = plan.guarded("content", plan.masked, "".join(self._content))
            if text is not None:
                noted.attributes[OUTPUT] = text
        noted.text = self._text if self._has_text else None
        noted.tokens = self._tokens if self._tokens and self._tokens.counts else None
        if plan.collectors and error is None:
            noted.asked = (self._kept, self._args, self._kwargs)
        return noted


def _is_abort(error: BaseException | None) -> bool:
    """Return whether somebody else ended it: the consumer, a cancelled task, or the process."""
    return error is not None and not isinstance(error, Exception)


def _brings_tokens(chunk: object) -> bool:
    deltas = [read(choice, "delta") for choice in items(read(chunk, "choices"))]
    for delta in (*deltas, read(chunk, "delta")):
        for name in _ALSO_TOKENS:
            # No truth value is asked for: that may be foreign code.
            value = read(delta, name)
            if value is not None and type(value) in {str, list, tuple} and len(value) > 0:
                return True
    return False


def wrap_generator(function: Callable[..., Any], source: Source) -> Callable[..., Any]:
    """Return a generator function that gives and takes what `function` does."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        stream = _open(source, args, kwargs)
        if stream is None:
            return (yield from function(*args, **kwargs))
        resume: Callable[[Any], Any] | None = None
        given: Any = None
        try:
            with stream:
                inner = function(*args, **kwargs)
            resume = inner.send
            while True:
                with stream:
                    chunk = resume(given)
                stream.take(chunk)
                try:
                    given = yield chunk
                    resume = inner.send
                except BaseException as error:
                    if isinstance(error, GeneratorExit):
                        stream.close()
                    resume, given = inner.throw, error
        except StopIteration as stop:
            stream.end()
            return stop.value
        except BaseException as error:
            stream.end(error)
            raise
        finally:
            # An exception that was thrown in would hold this frame, and the frame it.
            del given

    return wrapper


def wrap_async_generator(function: Callable[..., Any], source: Source) -> Callable[..., Any]:
    """Return an async generator function that gives and takes what `function` does."""

    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        stream = _open(source, args, kwargs) or _IDLE
        given: Any = None
        try:
            with stream:
                inner = function(*args, **kwargs)
                step = _unseen(inner)
            while True:
                with stream:
                    chunk = await step
                stream.take(chunk)
                try:
                    given = yield chunk
                    step = inner.asend(given)
                except BaseException as error:
                    if isinstance(error, GeneratorExit):
                        stream.close()
                    step = inner.athrow(error)
        except StopAsyncIteration:
            stream.end()
        except BaseException as error:
            stream.end(error)
            raise
        finally:
            del given

    return wrapper


def _unseen(generator: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    """Return the first step of a generator that the event loop does not get to know.

    A loop that ends closes all generators that it knows, at once: it must close the outer one
    alone, which closes the inner one.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


class _Idle:
    """A stream that nobody measures."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def take(self, chunk: Any) -> None:
        pass

    def close(self) -> None:
        pass

    def end(self, error: BaseException | None = None) -> None:
        pass


_IDLE: Final = _Idle()


def _open(source: Source, args: Args, kwargs: Kwargs) -> Stream | None:
    recorder = ACTIVE.recorder
    if recorder is None:
        return None
    try:
        return Stream(recorder, source, args, kwargs)
    except Exception as error:
        recorder.swallow("stream", error)
        return None
