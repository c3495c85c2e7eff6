"""All GPUs asked at once, each on its own: one that hangs takes only its own series with it."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew, Isolation, Outcome
from llm_monitor.base.errors import SourceError
from llm_monitor.gpu.facts import Gpu, Reading
from llm_monitor.gpu.nvml.reader import GpuLostError
from llm_monitor.gpu.source import GpuSource

R = TypeVar("R", bound=Reading)

_DEADLINE_SHARE = 0.8
_RECENT_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class BusyError(SourceError):
    """Another call to this GPU has not returned yet."""


@dataclass(slots=True)
class Turn:
    """Lets one call at a time to a GPU: whoever waits behind one that hangs soon gives up.

    Attributes:
        holder: What is being asked.
        since: Since when, on the clock of `time.monotonic`; None while nothing is.
    """

    holder: str = ""
    since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, question: str, patience: float) -> None:
        """Take the turn; the call before has until `patience` seconds after its start to return.

        Raises:
            BusyError: When it has not returned by then.
        """
        begun = time.monotonic() if (since := self.since) is None else since
        if not self._lock.acquire(timeout=max(0.0, begun + patience - time.monotonic())):
            message = f"it has not answered {self.holder} for {time.monotonic() - begun:.1f} s"
            raise BusyError(message)
        self.holder, self.since = question, time.monotonic()

    def give_back(self) -> None:
        """Let the next one in."""
        self.since = None
        self._lock.release()


@dataclass(slots=True)
class Question:
    """One kind of question.

    Attributes:
        isolation: What asks it.
        lock: Held while it is asked.
        answers: What was answered last.
        asked: When that was, on the clock of `time.monotonic`.
    """

    isolation: Isolation[Any]
    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: list[tuple[Gpu, Any]] = field(default_factory=list)
    asked: float = float("-inf")


class Fleet:
    """Asks all GPUs of a source one kind of question.

    Attributes:
        source: The source.
        most: The most GPUs that could be asked at once since the start.
        troubles: By GPU, what could not be read the last time it was asked, by question.
    """

    def __init__(self, source: GpuSource, patience: float, crew: Crew | None = None) -> None:
        """Give each GPU `patience` seconds for each question, in threads of `crew` or its own."""
        self.source = source
        self.most = 0
        self.troubles: dict[Gpu, dict[str, str]] = {}
        self._noting = threading.Lock()
        self._patience = patience
        self._crew = crew or Crew("gpu-read")
        self._questions: dict[str, Question] = {}
        self._turns: dict[str, Turn] = {}

    def ask(
        self, question: str, read: Callable[[Gpu], R], deadline: Deadline
    ) -> list[tuple[Gpu, R]]:
        """Return what each GPU answers within its patience; one that is lost is left out.

        Raises:
            SourceError: When there is no GPU, or none answers.
        """
        gpus = self.gpus()
        known = self._questions.setdefault(question, Question(Isolation(self._crew)))
        calls = {gpu.uuid: partial(self._call, question, read, gpu) for gpu in gpus}
        patience = min(self._patience, deadline.remaining() * _DEADLINE_SHARE)
        with known.lock:
            outcomes = known.isolation.run(calls, Deadline.after(patience))
        answers = [
            (gpu, outcome.value)
            for gpu in gpus
            if (outcome := outcomes.get(gpu.uuid)) is not None and outcome.value is not None
        ]
        problems = {gpu: _problem(outcomes.get(gpu.uuid)) for gpu in gpus}
        self._note(question, problems)
        if not answers and (told := next(filter(None, problems.values()), "")):
            raise SourceError(told)
        known.answers, known.asked = answers, time.monotonic()
        return answers

    def gpus(self) -> list[Gpu]:
        """Return the GPUs that can be asked.

        Raises:
            SourceError: When there is none.
        """
        if gpus := self.left():
            return gpus
        message = "all GPUs are lost"
        raise SourceError(message)

    def left(self) -> list[Gpu]:
        """Return the GPUs that can be asked; none when all that there were are lost.

        Raises:
            SourceError: When there has been none since the start.
        """
        gpus = self.source.gpus()
        self.most = max(self.most, len(gpus))
        if not self.most:
            message = "the driver gives access to no GPU"
            raise SourceError(message)
        return gpus

    def recent(self, question: str, read: Callable[[Gpu], R]) -> list[tuple[Gpu, R]]:
        """Return what was answered within the last seconds, else ask.

        Raises:
            SourceError: As `ask` does.
        """
        known = self._questions.get(question)
        if known is not None and time.monotonic() - known.asked < _RECENT_SECONDS:
            return known.answers
        return self.ask(question, read, Deadline.after(_RECENT_SECONDS))

    def trouble(self, gpu: Gpu) -> Mapping[str, str]:
        """Return what could not be read of a GPU the last time, by question."""
        return self.troubles.get(gpu, {})

    def _call(self, question: str, read: Callable[[Gpu], R], gpu: Gpu) -> R:
        turn = self._turns.setdefault(gpu.uuid, Turn())
        turn.take(question, self._patience / 2)
        try:
            return read(gpu)
        finally:
            turn.give_back()

    def _note(self, question: str, problems: Mapping[Gpu, str]) -> None:
        """Keep what is wrong, with a log line when that changes."""
        with self._noting:
            self.troubles = {gpu: known for gpu, known in self.troubles.items() if gpu in problems}
            for gpu, problem in problems.items():
                known = self.troubles.setdefault(gpu, {})
                about = {"gpu": gpu.index, "gpu_uuid": gpu.uuid, "question": question}
                if problem and question not in known:
                    _log.warning("GPU could not be read", **about, error=problem)
                if problem:
                    known[question] = problem
                elif known.pop(question, None):
                    _log.info("GPU can be read again", **about)


def _problem(outcome: Outcome[Reading] | None) -> str:
    """Return what went wrong, or an empty string; a GPU that is lost is no longer asked."""
    if outcome is None:
        return "it was not asked before the deadline"
    if outcome.running:
        return f"it has not answered for {outcome.seconds:.1f} s"
    if outcome.value is not None:
        return "; ".join(outcome.value.failures)
    return "" if isinstance(outcome.error, GpuLostError) else str(outcome.error)
