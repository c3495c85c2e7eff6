"""A LiteLLM that answers from pages, those of a real one to begin with.

It needs nothing but the standard library; `python -m` serves the recording for good.
"""

import argparse
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from exporter_testing.relay import relay

RECORDED = Path(__file__).resolve().parents[2] / "litellm" / "recorded"
KEY = "sk-planted-master-key-0123456789abcdef"
OPEN = "/health/readiness"
DETAILS = {"status": "healthy", "db": "Not connected", "litellm_version": "1.106.2"}

# An answer, or the address of a server that answers in its place.
Answer = tuple[int, bytes]
Page = Answer | str


def page(told: object, status: int = 200) -> Answer:
    return status, json.dumps(told).encode()


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


class StandIn(ThreadingHTTPServer):
    """Answers from `pages`, and counts what it is asked.

    With `filters`, /metrics gives only what it is asked for, as LiteLLM does with one worker;
    without, such a question gets nothing, as with several. With a `key`, it tells nobody else
    more than whether it is ready.
    """

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1", port: int = 0, key: str = "") -> None:
        super().__init__((address, port), _Handler)
        self.key = key
        self.asked: Counter[str] = Counter()
        self.keys: set[str | None] = set()
        self.filters = True
        self.pages: dict[str, Page] = {
            "/metrics/": (200, recorded("metrics.txt")),
            "/model/info": (200, recorded("model_info.json")),
            OPEN: (200, recorded("health_readiness.json")),
            "/health/readiness/details": page(DETAILS),
            "/health": (200, recorded("health.json")),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def admits(self, path: str, shown: str | None) -> bool:
        """Return whether it answers who shows `shown` in the header authorization."""
        return not self.key or path == OPEN or shown == f"Bearer {self.key}"

    def metrics(self, text: str) -> None:
        self.pages["/metrics/"] = 200, text.encode()

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Have counted nothing yet while the context lasts."""
        page = self.pages["/metrics/"]
        self.metrics("process_start_time_seconds 1\n")
        yield
        self.pages["/metrics/"] = page

    def models(self, *entries: dict[str, Any]) -> None:
        self.pages["/model/info"] = page({"data": list(entries)})


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        self.server.asked[asked.path] += 1
        shown = self.headers.get("authorization")
        self.server.keys.add(shown)
        found = self.server.pages.get(asked.path, (404, b"{}"))
        if not self.server.admits(asked.path, shown):
            found = page({"error": {"message": "Authentication Error", "code": "401"}}, 401)
        if isinstance(found, str):
            relay(found, self.connection)
            self.close_connection = True
            return
        status, body = found
        if names := parse_qs(asked.query).get("name[]"):
            body = _only(body, names) if self.server.filters else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _only(body: bytes, names: list[str]) -> bytes:
    lines = body.decode().splitlines(keepends=True)
    kept = (line for line in lines if line.partition("{")[0].partition(" ")[0] in names)
    return "".join(kept).encode()


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """Serve in a thread while the context lasts."""
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def deployment(model: str, id_: str, **info: object) -> dict[str, Any]:
    """Return an entry of /model/info."""
    given = {"model": f"openai/{model}", "api_base": "http://planted-host:8000/v1"}
    return {"model_name": model, "litellm_params": given, "model_info": {"id": id_, **info}}


def main() -> None:
    """Serve for good, to who shows the key."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=4000)
    # In a container of its own.
    with StandIn("0.0.0.0", parser.parse_args().port, KEY) as server:  # noqa: S104
        server.serve_forever()


if __name__ == "__main__":
    main()
