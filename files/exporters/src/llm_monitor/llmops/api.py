"""The JSON API: what applications reported in a window, and what one session did."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.ledger import Ledger
from llm_monitor.base.errors import SourceError
from llm_monitor.base.web.answers import (
    BAD_REQUEST,
    NOT_FOUND,
    UNAVAILABLE,
    Told,
    add_json,
    problem,
)
from llm_monitor.base.web.desk import Desk
from llm_monitor.llmops.facts import MOST_EVENTS, WINDOWS, Poll, Session, Use, Window, number
from llm_monitor.llmops.source import Repository

_TAG = "llmops"
_LONGEST_SESSION = 1024
_PATIENCE_SECONDS = 3.0
_SUMMARIES = {
    "/summary": "All calls of a window ({}), as of the last poll.",
    "/operations": "The calls of a window ({}) by operation, as of the last poll.",
    "/models": "The calls of a window ({}) by model, as of the last poll.",
}


def create_router(ledger: Ledger[Poll], repository: Repository) -> APIRouter:
    """Return the routes that tell of the polls in `ledger`, and of a session in `repository`."""
    router = APIRouter(prefix="/api/v1", tags=[_TAG])
    desk = Desk("llmops-api", "the event store")

    async def summary(window: str = "1h") -> JSONResponse:
        return _of_poll(ledger, window, _summary)

    async def operations(window: str = "1h") -> JSONResponse:
        return _of_poll(ledger, window, _operations)

    async def models(window: str = "1h") -> JSONResponse:
        return _of_poll(ledger, window, _models)

    # A plain function, so that the framework calls it in a thread: what it asks takes its time.
    def session(session_id: str, window: str = "24h") -> JSONResponse:
        if sentence := _window_problem(window) or _session_problem(session_id):
            return problem(sentence, BAD_REQUEST)

        def ask() -> list[Told]:
            deadline = Deadline.after(_PATIENCE_SECONDS)
            found = repository.session(session_id, WINDOWS[window], deadline)
            return [] if found is None else [_session(session_id, window, found)]

        nothing = f"session {session_id[:50]!r} has no event in the last {window}"
        return desk.answer_one("session", ask, nothing)

    windows = ", ".join(WINDOWS)
    problems = {BAD_REQUEST: "There is no such window", UNAVAILABLE: "There is no recent poll"}
    for path, route in (("/summary", summary), ("/operations", operations), ("/models", models)):
        add_json(router, path, route, _SUMMARIES[path].format(windows), problems)
    add_json(
        router,
        "/sessions/{session_id:path}",
        session,
        f"The calls of a session in a window ({windows}), the newest {MOST_EVENTS} one by one.",
        {
            BAD_REQUEST: "There is no such window, or no session can be called so",
            NOT_FOUND: "The session has no event in the window",
            UNAVAILABLE: "The event store can't be asked",
        },
    )
    return router


def _of_poll(ledger: Ledger[Poll], window: str, told: Callable[[Window], Told]) -> JSONResponse:
    if sentence := _window_problem(window):
        return problem(sentence, BAD_REQUEST)
    try:
        poll = ledger.poll()
    except SourceError as error:
        return problem(str(error))
    found = poll.windows.get(window)
    if found is None:
        return problem(f"the event store did not tell of the last {window} in time")
    return JSONResponse({**_span(window, found.at), **told(found)})


def _window_problem(window: str) -> str:
    if window in WINDOWS:
        return ""
    return f"window: {window[:50]!r} is not allowed; expected one of {', '.join(WINDOWS)}"


def _session_problem(session_id: str) -> str:
    if "\0" not in session_id and len(session_id) <= _LONGEST_SESSION:
        return ""
    return (
        f"session: {session_id[:50]!r} is not allowed; expected at most {_LONGEST_SESSION} "
        "characters, none of them a zero"
    )


def _span(window: str, at: float) -> Told:
    return {"window": window, "from": _written(at - WINDOWS[window]), "to": _written(at)}


def _summary(window: Window) -> Told:
    reasons: dict[str, float] = {}
    for (_, reason), count in window.failures.items():
        reasons[reason] = reasons.get(reason, 0) + count
    return {
        "newest": None if window.newest is None else _written(window.newest),
        "sessions": window.sessions,
        **_use(window.total),
        "errors_by_reason": reasons,
    }


def _operations(window: Window) -> Told:
    return {
        "operations": [
            {"operation": name, **_use(use), "errors_by_reason": _reasons(window, name)}
            for name, use in window.operations.items()
        ]
    }


def _models(window: Window) -> Told:
    return {"models": [{"model": name, **_use(use)} for name, use in window.models.items()]}


def _reasons(window: Window, operation: str) -> Mapping[str, float]:
    return {reason: n for (name, reason), n in window.failures.items() if name == operation}


def _use(use: Use) -> Told:
    return {
        "requests": use.requests,
        "errors": use.errors,
        "input_tokens": use.input_tokens,
        "output_tokens": use.output_tokens,
        "cost_usd": use.cost,
        "latency_seconds": use.latency or None,
        "time_to_first_token_seconds": use.first_token or None,
    }


def _session(session_id: str, window: str, found: Session) -> Told:
    return {
        "session_id": session_id,
        **_span(window, found.at),
        "first": found.first.isoformat(),
        "last": found.last.isoformat(),
        **_use(found.use),
        "left_out": found.use.requests - len(found.events),
        "events": [_event(one) for one in found.events],
    }


def _event(row: Mapping[str, Any]) -> Told:
    """Return an event without what its application added: that may be content."""
    return {
        "event_id": row["event_id"],
        "trace_id": row["trace_id"],
        "span_id": row["span_id"],
        "parent_span_id": row["parent_span_id"],
        "timestamp": row["timestamp"].isoformat(),
        "operation": row["operation"],
        "operation_type": row["operation_type"],
        "model": row["model"],
        "error": row["error"],
        "error_type": row["error_type"],
        "stream_ended": row["stream_ended"],
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "cost_usd": number(row["cost"]),
        "duration_seconds": _seconds(row["duration_ms"]),
        "time_to_first_token_seconds": _seconds(row["stream_time_to_first_token_ms"]),
    }


def _seconds(milliseconds: float | None) -> float | None:
    found = number(milliseconds)
    return None if found is None else found / 1000


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
