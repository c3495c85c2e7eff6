"""Runs the application's collectors, each on a thread of its own that can be left alone."""

import os
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    MetricCollector,
)
from llmops_monitoring.instrumentation.problems import Problems
from llmops_monitoring.instrumentation.saying import Said, read_said
from llmops_monitoring.instrumentation.source import Args, Kwargs

Asked = tuple[Any, Args, Kwargs]
Answer = tuple[Said | None, Exception | None]
_Request = tuple[Asked, CollectorContext, SimpleQueue[Answer]]


class Late(Exception):  # noqa: N818  It is no error of ours: a collector takes its time.
    """A collector has not answered in time, or is still busy with an earlier call."""


class Crew:
    """One thread a collector, begun when it is first asked. Only one thread may ask."""

    def __init__(self, timeout: float, problems: Problems) -> None:
        """Wait `timeout` seconds for each answer."""
        self._timeout = timeout
        self._problems = problems
        self._members: dict[int, _Member] = {}
        self._process = os.getpid()

    def ask(
        self, collector: MetricCollector, asked: Asked, context: CollectorContext
    ) -> Said | None:
        """Return what a collector says about a call, None where it says nothing or fails."""
        if self._process != os.getpid():
            # No thread but the one that forked lives on in the child.
            self._members.clear()
            self._process = os.getpid()
        try:
            member = self._members.get(id(collector))
            if member is None:
                member = self._members[id(collector)] = _Member(collector)
            return member.ask(asked, context, self._timeout)
        except Exception as error:
            self._problems.note(f"collector {type(collector).__name__}", error)
            return None

    def dismiss(self) -> None:
        """Let the threads end, each when its collector is done."""
        for member in self._members.values():
            member.dismiss()
        self._members.clear()


class _Member:
    """One collector and its thread."""

    def __init__(self, collector: MetricCollector) -> None:
        self._collector = collector
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._late: SimpleQueue[Answer] | None = None
        self._thread = Thread(target=self._serve, name="llmops-collector", daemon=True)
        self._thread.start()

    def ask(self, asked: Asked, context: CollectorContext, timeout: float) -> Said | None:
        if self._late is not None and self._late.empty():
            raise Late
        answers: SimpleQueue[Answer] = SimpleQueue()
        self._late = answers
        self._requests.put((asked, context, answers))
        try:
            answer, error = answers.get(timeout=timeout)
        except Empty:
            raise Late from None
        self._late = None
        if error is not None:
            raise error
        return answer

    def dismiss(self) -> None:
        self._requests.put(None)

    def _serve(self) -> None:
        while (request := self._requests.get()) is not None:
            asked, context, answers = request
            answers.put(self._answer(asked, context))
            # Or it would hold the last call's objects until the next one.
            del request, asked

    def _answer(self, asked: Asked, context: CollectorContext) -> Answer:
        result, args, kwargs = asked
        try:
            if not self._collector.should_collect(result, args, kwargs):
                return None, None
            found: object = self._collector.collect(result, args, kwargs, context)
            # Here too, for what it gave may have code of its own.
            return None if found is None else read_said(self._collector, found), None
        except Exception as error:
            return None, error
        except BaseException as error:
            # A collector that wants to exit ends alone.
            return None, RuntimeError(type(error).__qualname__)
