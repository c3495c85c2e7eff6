"""A stand-in for ClickHouse's HTTP interface: answers from a function, or from a recording."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from exporter_testing.process import TESTS

TABLES = TESTS / "langfuse" / "langfuse_3_4.sql"
RECORDING = TESTS / "langfuse" / "clickhouse.json"

Params = Mapping[str, str]
Answer = tuple[int, bytes]


@dataclass
class ClickHouse:
    """What the stand-in is told to be.

    Attributes:
        answer: Answers a statement with its parameters.
        asked: The parameters of all requests so far.
        headers: Their headers.
        port: Where it answers.
    """

    answer: Callable[[Params], Answer]
    asked: list[Params] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    port: int = 0


@contextmanager
def serving(clickhouse: ClickHouse) -> Iterator[ClickHouse]:
    """Let `clickhouse` answer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            clickhouse.asked.append(params)
            clickhouse.headers.append({n.lower(): value for n, value in self.headers.items()})
            status, body = clickhouse.answer(params)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        clickhouse.port = server.server_port
        yield clickhouse
        server.shutdown()


def statement(params: Params) -> str:
    """Return the statement of a request, however its lines are broken."""
    return " ".join(params["query"].split())


def window(params: Params) -> str:
    """Return the seconds of the window that a request is about, empty when it is about none."""
    if "param_until" not in params:
        return ""
    return str((int(params["param_until"]) - int(params["param_since"])) // 1000)


def recorded(tables: str, newest: float) -> Callable[[Params], Answer]:
    """Return what answers as a ClickHouse with those tables did, to the very statements that it was
    asked; but its newest data is from the Unix time `newest`.
    """
    known: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(RECORDING.read_text())[tables]

    def answer(params: Params) -> Answer:
        if statement(params) == "SELECT 1":
            return 200, b'{"data": [{"1": 1}]}'
        if statement(params) not in known:
            return 404, b"record anew: python -m exporter_testing.langfuse.record"
        rows = known[statement(params)][window(params)]
        if rows and "newest" in rows[0]:
            rows = [{"newest": str(round(newest * 1000))}]
        return 200, json.dumps({"data": rows}).encode()

    return answer
