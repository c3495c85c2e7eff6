# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""A backend with OpenAI's API whose models each behave in one way, and which counts what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.llmops.monitoring.tests.serving import serving

PROMPT_TOKENS = 7
COMPLETION_TOKENS = 5

# Status and error of the models that only fail.
FAILURES: dict[str, tuple[int, dict[str, str]]] = {
    "broken": (500, {"message": "the engine has died", "type": "server_error"}),
    "limited": (429, {"message": "too many requests", "type": "rate_limit_error"}),
    "strict": (400, {"message": "temperature is out of range", "type": "invalid_request_error"}),
    "locked": (401, {"message": "Incorrect API key provided", "type": "invalid_request_error"}),
    "absent": (404, {"message": "The model does not exist", "type": "invalid_request_error"}),
    "short": (
        400,
        {
            "message": "This model's maximum context length is 16 tokens. Please reduce the length of the messages.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        },
    ),
    "prudish": (
        400,
        {
            "message": "The response was filtered due to the prompt triggering our content management policy",
            "type": "invalid_request_error",
            "code": "content_policy_violation",
        },
    ),
}
SLOW_SECONDS = 3.0


class Backend(ThreadingHTTPServer):
    """Answers chat completions; `asked` counts them by model, all other requests by path."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def count(self, name: str) -> int:
        with self.lock:
            self.asked[name] += 1
            return self.asked[name]


class _Handler(BaseHTTPRequestHandler):
    server: Backend
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def do_GET(self) -> None:
        self.server.count(self.path)
        self._send(404, {"error": {"message": "nothing here"}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = asked["model"]
        turn = self.server.count(model)
        if model == "slow":
            time.sleep(SLOW_SECONDS)
        if model == "flaky" and turn % 2:
            model = "broken"
        if model in FAILURES:
            status, error = FAILURES[model]
            self._send(status, {"error": error})
        elif asked.get("stream"):
            self._stream(model, usage=bool((asked.get("stream_options") or {}).get("include_usage")))
        else:
            message = {"role": "assistant", "content": "one two three"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send(200, {**_head(model, "chat.completion"), "choices": [choice], "usage": _usage()})

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, model: str, *, usage: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        head = _head(model, "chat.completion.chunk")
        deltas: list[dict[str, str]] = [
            {"role": "assistant", "content": "one"},
            {"content": " two"},
            {"content": " three"},
        ]
        for delta in deltas:
            self._event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            if model == "cut":
                # Half a chunk, and the connection is gone: what an engine does that dies while it answers.
                self.close_connection = True
                return
        self._event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if usage:
            self._event({**head, "choices": [], "usage": _usage()})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, content: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
        self.wfile.flush()


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": model}


def _usage() -> dict[str, int]:
    total = PROMPT_TOKENS + COMPLETION_TOKENS
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": total}


@contextmanager
def served(port: int = 0) -> Iterator[Backend]:
    """Serve in a thread while the context lasts."""
    backend = Backend(port)
    with serving(backend):
        yield backend
