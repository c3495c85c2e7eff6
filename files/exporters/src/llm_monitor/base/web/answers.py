"""What the APIs answer with, in one way."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse

BAD_REQUEST = 400
NOT_FOUND = 404
UNAVAILABLE = 503

Told = dict[str, Any]


def add_json(
    router: APIRouter,
    path: str,
    route: Callable[..., Any],
    summary: str,
    problems: Mapping[int, str],
) -> None:
    """Let `route` answer GET `path` of `router`.

    Args:
        router: Where it is added.
        path: Its path, which without its slash is the operation's id too.
        route: What gives the response; a plain function is called in a thread of the framework's.
        summary: What it answers, in a sentence.
        problems: What statuses mean with which it answers instead.
    """
    router.add_api_route(
        path,
        route,
        response_class=JSONResponse,
        response_model=None,
        summary=summary,
        operation_id=path.removeprefix("/"),
        responses={status: {"description": text} for status, text in problems.items()},
    )


def add_text(
    router: APIRouter,
    path: str,
    route: Callable[..., Any],
    operation: str,
    summary: str,
    problems: Mapping[int, str],
) -> None:
    """Let `route` answer GET `path` of `router` with metrics, or another plain text.

    Args:
        router: Where it is added.
        path: Its path.
        route: What gives the response.
        operation: The operation's id.
        summary: What it answers, in a sentence.
        problems: What statuses mean with which it answers instead.
    """
    router.add_api_route(
        path,
        route,
        response_class=PlainTextResponse,
        response_model=None,
        summary=summary,
        operation_id=operation,
        responses={status: {"description": text} for status, text in problems.items()},
    )


def problem(sentence: str, status: int = UNAVAILABLE) -> JSONResponse:
    """Return the answer that says why there is no other."""
    return JSONResponse({"error": sentence}, status_code=status)
