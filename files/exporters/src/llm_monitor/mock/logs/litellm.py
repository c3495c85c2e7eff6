"""What LiteLLM's container writes with `json_logs`: one object a line, as its formatter has it."""

import json
from datetime import UTC, datetime
from functools import partial

from llm_monitor.litellm import reasons
from llm_monitor.mock.identity import address
from llm_monitor.mock.logs.roll import Roll
from llm_monitor.mock.logs.span import Fate, Span
from llm_monitor.mock.world.gateway import REASONS

# Enough that the share of errors among the lines is about that among the requests.
_REQUESTS = 40
_FAILURES = 2
_MOVED = 2
_CHECK_SECONDS = 30.0
_COOLDOWN_SECONDS = 5

# LiteLLM's exception for each reason, the status that the client gets, and what went wrong.
_EXCEPTIONS = {
    reasons.BAD_REQUEST: ("BadRequestError", 400, "the model does not take this parameter"),
    reasons.RATE_LIMIT: ("RateLimitError", 429, "the key is over its limit of requests a minute"),
    reasons.SERVER_ERROR: ("InternalServerError", 500, "the server could not process the request"),
    reasons.TIMEOUT: ("Timeout", 408, "no answer within the time limit"),
    reasons.CONNECTION: ("APIConnectionError", 500, "connection refused"),
}


def write(roll: Roll, span: Span, fate: Fate) -> None:
    """Write what LiteLLM says in a span while it works."""
    if not (fate.up and span.works("litellm")):
        return
    answered = sum(span.grown("gateway.succeeded"))
    roll.sample(answered, _REQUESTS, partial(_access, 200), "stderr")
    _failures(roll, span)
    _detours(roll, span)
    if not span.works("litellm_database") and span.passes(_CHECK_SECONDS):
        text = "Database is not reachable: spend and health checks are kept in memory"
        roll.add(span.after.time, entry(span.after.time, "ERROR", text), "stderr")
    if fate.failing and span.passes(_CHECK_SECONDS):
        text = '127.0.0.1:41988 - "GET /health/liveliness HTTP/1.1" 503'
        roll.add(span.after.time, entry(span.after.time, "INFO", text), "stderr")


def entry(time: float, level: str, message: str) -> str:
    """Return a line of LiteLLM's."""
    stamp = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return json.dumps({"message": message, "level": level, "timestamp": stamp})


def _failures(roll: Roll, span: Span) -> None:
    """Write the requests that failed, by provider and reason."""
    names = span.plan.routes.names
    failed = span.grown("gateway.failed")
    for place, (name, counts) in enumerate(zip(names, failed, strict=True)):
        provider = "Hosted_vllm" if place < span.plan.routes.vllm else "Openai"
        for reason, count in zip(REASONS, counts, strict=True):
            kind, status, text = _EXCEPTIONS[reason]
            whole = f"litellm.{kind}: {provider}Exception - {text}. Received Model Group={name}"
            roll.sample(count, _FAILURES, partial(_failed, status, whole), "stderr")


def _detours(roll: Roll, span: Span) -> None:
    """Write which deployments were left alone for a while, and where their requests went."""
    names = span.plan.routes.names
    others = [names[other] if other >= 0 else "" for other in span.plan.routes.fallback]
    moved, lost, cooled = (
        span.grown(f"gateway.{name}") for name in ("fallbacks", "failed_fallbacks", "cooled")
    )
    for place, (name, other) in enumerate(zip(names, others, strict=True)):
        for level, count, text in (
            ("INFO", moved[place], f"Falling back from model group {name} to {other}"),
            ("ERROR", lost[place], f"Fallback from model group {name} to {other} failed as well"),
            (
                "WARNING",
                cooled[place],
                f"Deployment of {name} is in cooldown for {_COOLDOWN_SECONDS} s after failures",
            ),
        ):
            roll.sample(count, _MOVED, partial(_told, level, text), "stderr")


def _told(level: str, text: str, time: float, _: float) -> str:
    return entry(time, level, text)


def _failed(status: int, text: str, time: float, chance: float) -> str:
    return entry(time, "ERROR", text) + "\n" + _access(status, time, chance)


def _access(status: int, time: float, chance: float) -> str:
    port = 32768 + int(chance * 28000)
    text = f'{address(-1)}:{port} - "POST /v1/chat/completions HTTP/1.1" {status}'
    return entry(time, "INFO", text)
