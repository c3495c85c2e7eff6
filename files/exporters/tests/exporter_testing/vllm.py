"""A vLLM server that isn't there; `python vllm.py` serves the recording, in a container if need be.

It needs nothing but the standard library, so that a container needs nothing but Python.
"""

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RECORDED = Path(__file__).resolve().parent.parent / "vllm/recorded/metrics.txt"
TEXT = "text/plain; version=1.0.0; charset=utf-8"


@dataclass
class VllmStandIn:
    """What a server answers, and what it was asked.

    Attributes:
        metrics: The body of /metrics.
        models: What it serves, adapters with their parents.
        version: Its version.
        statuses: Paths that fail, and with which status.
        bodies: Paths that answer something else, and what.
        seconds: How long each answer takes.
        key: The API key that it wants, if any.
        requests: Paths that were asked for.
        headers: Headers of the last request.
        shown: Paths with which a key was shown.
        address: Where it answers.
    """

    metrics: bytes
    models: dict[str, str | None] = field(default_factory=lambda: {"tiny": None})
    version: str = "0.32.0"
    statuses: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0
    key: str = ""
    requests: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    address: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Return status, type and body."""
        if path in self.statuses:
            return self.statuses[path], "text/plain", b"planted-in-an-error\n"
        if path in self.bodies:
            return 200, "application/json", self.bodies[path]
        if self.key and path.startswith("/v1") and authorization != f"Bearer {self.key}":
            return 401, "application/json", b'{"error": "Unauthorized"}'
        if path == "/metrics":
            return 200, TEXT, self.metrics
        if path == "/health":
            return 200, "text/plain", b""
        if path == "/version":
            return 200, "application/json", json.dumps({"version": self.version}).encode()
        if path == "/v1/models":
            data = [
                {"id": name, "object": "model", "parent": parent, "max_model_len": None}
                if parent
                else {"id": name, "object": "model", "parent": None, "max_model_len": 512}
                for name, parent in self.models.items()
            ]
            return 200, "application/json", json.dumps({"object": "list", "data": data}).encode()
        return 404, "text/plain", b"Not Found\n"


StandIn = Callable[..., VllmStandIn]


class _Handler(BaseHTTPRequestHandler):
    server_version = "uvicorn"
    stand_in: VllmStandIn

    def do_GET(self) -> None:
        one = self.stand_in
        one.requests.append(self.path)
        one.headers = {name.lower(): value for name, value in self.headers.items()}
        if "authorization" in one.headers:
            one.shown.add(self.path)
        if one.seconds:
            one.over.wait(one.seconds)
        status, kind, body = one.answer(self.path, self.headers.get("Authorization", ""))
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            # Who asked has had enough.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def server(one: VllmStandIn, host: str, port: int) -> ThreadingHTTPServer:
    """Return what lets `one` answer; it listens already."""
    return _Server((host, port), type("Handler", (_Handler,), {"stand_in": one}))


@contextmanager
def serving(one: VllmStandIn) -> Iterator[VllmStandIn]:
    """Let `one` answer on a free port."""
    listening = server(one, "127.0.0.1", 0)
    one.address = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield one
    finally:
        one.over.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


def main() -> None:
    """Serve for good, as the command line says; it is much like vLLM's own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--metrics", type=Path, default=RECORDED)
    options = parser.parse_args()
    one = VllmStandIn(options.metrics.read_bytes(), key=options.api_key)
    server(one, "0.0.0.0", options.port).serve_forever()  # noqa: S104 - in a container of its own


if __name__ == "__main__":
    main()
