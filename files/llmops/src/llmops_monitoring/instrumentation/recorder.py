"""What a wrapper talks to: it opens calls, closes them, and hands them to the transport."""

import zlib
from collections.abc import Callable
from threading import RLock
from time import time
from typing import Any, Final

from llmops_monitoring.call import Call
from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.instrumentation.context import CURRENT
from llmops_monitoring.instrumentation.ids import SPAN_BITS, TRACE_BITS, random_bits, trace_text
from llmops_monitoring.instrumentation.noting import Noted, Plan
from llmops_monitoring.instrumentation.problems import Problems
from llmops_monitoring.instrumentation.source import Args, Kwargs, Source
from llmops_monitoring.instrumentation.values import identifier

_SAMPLED_BITS: Final = 32
_SAMPLED_MASK: Final = 2**_SAMPLED_BITS - 1


class Recorder:
    """Notes calls by one configuration; it raises nothing, while `fail_silently` holds."""

    def __init__(
        self, config: MonitorConfig, put: Callable[[Call], None], problems: Problems
    ) -> None:
        """Hand calls to `put`, and count in `problems` what goes wrong."""
        self._config = config
        self._put = put
        self._problems = problems
        self._threshold = (
            None if config.sample_rate >= 1 else int(config.sample_rate * 2**_SAMPLED_BITS)
        )
        self.begin_anew()

    def begin_anew(self) -> None:
        """Count from zero, in a forked child too, where a lock could be held forever."""
        # A signal handler or finalizer may interrupt who holds it, and make a call itself.
        self._lock = RLock()
        self.sampled_out = 0
        # Calls at the very end of the stack, where there is room for the application alone.
        self.missed = 0

    def open(self, source: Source, args: Args, kwargs: Kwargs) -> Call:
        """Return the call that begins now; its span is not entered yet."""
        session_id, trace_id, parent = CURRENT.get()
        if source.session_from is not None:
            asked = self._ask(source.session_from, args, kwargs)
            session_id = session_id if asked is None else asked
        if source.trace_from is not None:
            asked = self._ask(source.trace_from, args, kwargs)
            if asked is not None and asked != trace_text(trace_id):
                trace_id, parent = asked, None
        if trace_id is None:
            trace_id = random_bits(TRACE_BITS)
        return Call(source, session_id, trace_id, random_bits(SPAN_BITS), parent, time(), 0.0)

    def finish(self, call: Call, result: Any, args: Args, kwargs: Kwargs) -> None:
        """Hand over a call that gave `result`."""
        try:
            source: Source = call.source
            if self._threshold is None or self._is_kept(call.trace_id):
                plan = source.plan if source.bound_to is self else self.bind(source)
                call.noted = plan.note(source, result, args, kwargs)
                self._put(call)
        except Exception as error:
            self.swallow("recorder", error)

    def fail(self, call: Call, error: BaseException, args: Args, kwargs: Kwargs) -> None:
        """Hand over a call that raised `error`, whatever the sampling."""
        try:
            call.error_type = type(error)
            call.noted = self.bind(call.source).fail(call.source, error, args, kwargs)
            self._put(call)
        except Exception as ours:
            self.swallow("recorder", ours)

    def deliver(self, call: Call, noted: Noted | None) -> None:
        """Hand over a call whose chunks were noted one by one."""
        try:
            call.noted = noted
            if call.error_type is not None or self._is_kept(call.trace_id):
                self._put(call)
        except Exception as error:
            self.swallow("recorder", error)

    def bind(self, source: Source) -> Plan:
        """Return what to note of the calls of `source`."""
        if source.bound_to is not self:
            source.plan = Plan(source, self._config, self._problems)
            # Last, since other threads go by it.
            source.bound_to = self
        plan: Plan = source.plan
        return plan

    def swallow(self, place: str, error: Exception) -> None:
        """Count an error of ours, or raise it where tests want it."""
        if not self._config.fail_silently:
            raise error
        self._problems.note(place, error)

    def _ask(self, asker: Callable[[Args, Kwargs], object], args: Args, kwargs: Kwargs) -> Any:
        try:
            return identifier(asker(args, kwargs))
        except Exception as error:
            self.swallow("session_id_from", error)
            return None

    def _is_kept(self, trace_id: object) -> bool:
        """Return whether the sample has this trace: every service with the same rate agrees."""
        if self._threshold is None:
            return True
        if not isinstance(trace_id, int):
            text = str(trace_id)
            try:
                trace_id = int(text, 16)
            except ValueError:
                trace_id = zlib.crc32(text.encode())
        if trace_id & _SAMPLED_MASK < self._threshold:
            return True
        with self._lock:
            self.sampled_out += 1
        return False
