"""The JSON API: what happened in a window, as of the last poll."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from llm_monitor.base.collection.ledger import Ledger
from llm_monitor.base.errors import SourceError
from llm_monitor.base.web.answers import BAD_REQUEST, UNAVAILABLE, add_json, problem
from llm_monitor.langfuse.facts import (
    WINDOWS,
    ModelUse,
    Poll,
    fold_models,
    fold_scores,
)

_TAG = "langfuse"


def create_router(ledger: Ledger[Poll], most: int) -> APIRouter:
    """Return the route that tells of the polls in `ledger`, the `most` most used models apart."""
    router = APIRouter(prefix="/api/v1", tags=[_TAG])

    async def usage(window: str = "1h") -> JSONResponse:
        if window not in WINDOWS:
            sentence = (
                f"window: {window[:50]!r} is not allowed; expected one of {', '.join(WINDOWS)}"
            )
            return problem(sentence, BAD_REQUEST)
        try:
            poll = ledger.poll()
        except SourceError as error:
            return problem(str(error))
        return JSONResponse(_usage(poll, window, most))

    add_json(
        router,
        "/usage",
        usage,
        f"What happened in a window ({', '.join(WINDOWS)}) before the last poll.",
        {BAD_REQUEST: "There is no such window", UNAVAILABLE: "There is no recent poll"},
    )
    return router


def _usage(poll: Poll, window: str, most: int) -> Mapping[str, Any]:
    usage = poll.windows[window]
    scores = None if usage.scores is None else fold_scores(usage.scores, most)
    return {
        "window": window,
        "from": _written(poll.at - WINDOWS[window]),
        "to": _written(poll.at),
        "newest": None if poll.newest is None else _written(poll.newest),
        "source": poll.source,
        "traces": usage.traces,
        "sessions": usage.sessions,
        "users": usage.users,
        "models": [_model(one) for one in fold_models(usage.models, most)],
        "scores": None if scores is None else [asdict(one) for one in scores],
    }


def _model(one: ModelUse) -> Mapping[str, Any]:
    return {
        "model": one.model,
        "observations": one.observations,
        "errors": one.errors,
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
        "cost_usd": one.cost,
        "latency_seconds": one.latency or None,
        "time_to_first_token_seconds": one.first_token or None,
    }


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
