"""Where requests to JSON APIs are answered that have to ask something slow."""

import threading
from collections.abc import Callable

from fastapi.responses import JSONResponse

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew, Isolation, Outcome
from llm_monitor.base.errors import SourceError
from llm_monitor.base.web.answers import NOT_FOUND, Told, problem

# Less than what is left to a process that has to end.
_PATIENCE_SECONDS = 3.0


class Desk:
    """Answers requests one after the other, whether what they ask comes back or not.

    The framework's own threads would hold up the process' end.
    """

    def __init__(self, name: str, asked: str) -> None:
        """Ask in threads called `name`; `asked` is how answers call who is asked."""
        self._asked = asked
        self._isolation: Isolation[list[Told]] = Isolation(Crew(name))
        self._lock = threading.Lock()

    def answer(self, name: str, ask: Callable[[], list[Told]]) -> JSONResponse:
        """Return what `ask` gives, else why there is nothing."""
        outcome = self._outcome(name, ask)
        return outcome if isinstance(outcome, JSONResponse) else JSONResponse(outcome)

    def answer_one(self, name: str, ask: Callable[[], list[Told]], nothing: str) -> JSONResponse:
        """Return the one thing that `ask` gives; where it gives none, say `nothing` of it."""
        outcome = self._outcome(name, ask)
        if isinstance(outcome, JSONResponse):
            return outcome
        return JSONResponse(outcome[0]) if outcome else problem(nothing, NOT_FOUND)

    def _outcome(self, name: str, ask: Callable[[], list[Told]]) -> list[Told] | JSONResponse:
        """Return what `ask` gives, or the answer that says why there is nothing."""
        outcome = self._ask(name, ask, Deadline.after(_PATIENCE_SECONDS))
        if outcome is None or outcome.running:
            return problem(f"{self._asked} has not answered yet")
        if isinstance(outcome.error, SourceError):
            return problem(str(outcome.error))
        if outcome.error is not None:
            raise outcome.error
        return outcome.value or []

    def _ask(
        self, name: str, ask: Callable[[], list[Told]], deadline: Deadline
    ) -> Outcome[list[Told]] | None:
        """Return what became of `ask`, None when its turn did not come before the deadline."""
        if not self._lock.acquire(timeout=deadline.remaining()):
            return None
        try:
            return self._isolation.run({name: ask}, deadline).get(name)
        finally:
            self._lock.release()
