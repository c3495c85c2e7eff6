"""`monitor_llm`: measures the calls of a function, and changes nothing about them."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial, wraps
from time import perf_counter
from types import coroutine
from typing import Any, TypeVar, overload

from llmops_monitoring.instrumentation.active import ACTIVE
from llmops_monitoring.instrumentation.context import CURRENT, restore
from llmops_monitoring.instrumentation.problems import logger
from llmops_monitoring.instrumentation.source import Collectors, Options, Source, Wanted
from llmops_monitoring.instrumentation.streams import wrap_async_generator, wrap_generator

F = TypeVar("F", bound=Callable[..., Any])


@overload
def monitor_llm(operation_name: F, /) -> F: ...


@overload
def monitor_llm(
    operation_name: str | None = None,
    operation_type: str = "llm_call",
    *,
    measure_text: bool | None = None,
    measure_images: bool | None = None,
    collectors: Collectors | None = None,
    session_id_from: Wanted = None,
    trace_id_from: Wanted = None,
    custom_attributes: Mapping[str, object] | None = None,
    enabled: bool = True,
) -> Callable[[F], F]: ...


def monitor_llm(
    operation_name: Any = None,
    operation_type: str = "llm_call",
    *,
    measure_text: bool | None = None,
    measure_images: bool | None = None,
    collectors: Collectors | None = None,
    session_id_from: Wanted = None,
    trace_id_from: Wanted = None,
    custom_attributes: Mapping[str, object] | None = None,
    enabled: bool = True,
) -> Any:
    """Measure each call of a function, with or without parentheses.

    Functions, coroutines, generators and methods of all kinds stay what they are.

    Args:
        operation_name: What the calls are called; the function's own name where it is not given.
        operation_type: What kind of work it is: `llm_call`, `embedding`, `tool`, `agent`, …
        measure_text: Whether to count the text that comes back; if not given, the settings say.
        measure_images: Whether to measure the images that come back.
        collectors: More to collect, by registered name or as a MetricCollector.
        session_id_from: The parameter that is the session's id, or a function of the arguments.
        trace_id_from: The same for the trace's id.
        custom_attributes: What each event of this function carries along.
        enabled: Whether to decorate at all.
    """
    # A property has no parentheses either, and must stay what it is.
    direct = callable(operation_name) or hasattr(type(operation_name), "__get__")
    if not enabled:
        return operation_name if direct else lambda function: function
    options = Options(
        operation_type=operation_type,
        measure_text=measure_text,
        measure_images=measure_images,
        collectors=tuple(collectors or ()),
        session_id_from=session_id_from,
        trace_id_from=trace_id_from,
        custom_attributes=dict(custom_attributes or {}),
    )
    if direct:
        return _decorate(operation_name, None, options)
    return lambda function: _decorate(function, operation_name, options)


def _decorate(function: Any, name: str | None, options: Options) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_decorate(function.__func__, name, options))
    if not callable(function) or isinstance(function, type):
        logger.warning("monitor_llm: %r is no function; it is left as it is", type(function))
        return function
    source = Source(function, name, options)
    # An object that can be called is what its method is.
    kind: Any = function.func if isinstance(function, partial) else function
    if not inspect.isroutine(kind):
        kind = kind.__call__
    if inspect.isasyncgenfunction(kind):
        return wrap_async_generator(function, source)
    if inspect.iscoroutinefunction(kind):
        return _wrap_coroutine(function, source)
    if inspect.isgeneratorfunction(kind):
        wrapped = wrap_generator(function, source)
        return coroutine(wrapped) if _is_awaitable(kind) else wrapped
    return _wrap_function(function, source)


def _is_awaitable(function: Any) -> bool:
    """Return whether `types.coroutine` made a coroutine of this generator."""
    return bool(inspect.unwrap(function).__code__.co_flags & inspect.CO_ITERABLE_COROUTINE)


# This and the next say the same twice: what they shared would be another frame in every call of the
# application, and in those at the very end of its stack, where there may be no room for one.
def _wrap_function(function: Callable[..., Any], source: Source) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        recorder = ACTIVE.recorder
        if recorder is None:
            return function(*args, **kwargs)
        try:
            call = recorder.open(source, args, kwargs)
        except RecursionError:
            recorder.missed += 1
            return function(*args, **kwargs)
        token = CURRENT.set((call.session_id, call.trace_id, call.span_id))
        begun = perf_counter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.duration = perf_counter() - begun
            restore(token)
            try:
                recorder.fail(call, error, args, kwargs)
            except RecursionError:
                recorder.missed += 1
            raise
        call.duration = perf_counter() - begun
        restore(token)
        try:
            recorder.finish(call, result, args, kwargs)
        except RecursionError:
            recorder.missed += 1
        return result

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], source: Source) -> Callable[..., Any]:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        recorder = ACTIVE.recorder
        if recorder is None:
            return await function(*args, **kwargs)
        try:
            call = recorder.open(source, args, kwargs)
        except RecursionError:
            recorder.missed += 1
            return await function(*args, **kwargs)
        token = CURRENT.set((call.session_id, call.trace_id, call.span_id))
        begun = perf_counter()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            call.duration = perf_counter() - begun
            restore(token)
            try:
                recorder.fail(call, error, args, kwargs)
            except RecursionError:
                recorder.missed += 1
            raise
        call.duration = perf_counter() - begun
        restore(token)
        try:
            recorder.finish(call, result, args, kwargs)
        except RecursionError:
            recorder.missed += 1
        return result

    return wrapper
