"""Plays a Docker engine at the socket that the modules ask."""

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

Checker = Callable[[Mapping[str, Any]], tuple[int, str]]


@dataclass
class FakeEngine:
    """What the engine holds, how its one-shot containers behave, and what it was asked."""

    socket_path: str
    images: set[str] = field(default_factory=set)
    running: list[dict[str, Any]] = field(default_factory=list)
    checker: Checker = lambda config: (0, "")
    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    version: str = "28.2.2"

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        url = urlsplit(target)
        path = unquote(re.sub(r"^/v[\d.]+", "", url.path))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        parts = path.strip("/").split("/")
        if path == "/_ping":
            return 200, b"OK"
        if path == "/version":
            return 200, {"Version": self.version, "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"}
        if path == "/info":
            return 200, self.info
        if path == "/containers/json":
            return 200, [found for found in self.running if _selected(found, json.loads(query.get("filters", "{}")))]
        if path == "/containers/create":
            return self._create(query["name"], body)
        if parts[0] == "images":
            image = "/".join(parts[1:-1])
            return (200, {"Id": image}) if image in self.images else (404, {"message": f"No such image: {image}"})
        if parts[0] == "containers":
            return self._container(method, parts[1], parts[2] if len(parts) > 2 else "", query)
        return 404, {"message": f"page not found: {path}"}

    def _create(self, name: str, config: dict[str, Any]) -> tuple[int, Any]:
        if config["Image"] not in self.images:
            return 404, {"message": f"No such image: {config['Image']}"}
        self.created[name] = config
        return 201, {"Id": name, "Warnings": []}

    def _container(self, method: str, name: str, verb: str, query: Mapping[str, str]) -> tuple[int, Any]:
        if method == "DELETE":
            self.removed.append(name)
            return 204, b""
        if verb == "kill":
            self.signals.append((name, query["signal"]))
            return 204, b""
        if verb == "wait":
            return 200, {"StatusCode": self.checker(self.created[name])[0]}
        if verb == "logs":
            output = self.checker(self.created[name])[1].encode()
            return 200, b"\x01\0\0\0" + len(output).to_bytes(4, "big") + output
        return 204, b""


def _selected(container: Mapping[str, Any], filters: Mapping[str, list[str]]) -> bool:
    labels = {f"{name}={value}" for name, value in container["Labels"].items()} | set(container["Labels"])
    return all(label in labels for label in filters.get("label", []))


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        status, content = self.server.engine.answer(self.command, self.path, body)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _serve

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    engine: FakeEngine


@pytest.fixture
def fake_engine(tmp_path: Path) -> Iterator[FakeEngine]:
    engine = FakeEngine(str(tmp_path / "docker.sock"))
    with _Server(engine.socket_path, _Handler) as server:
        server.engine = engine
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield engine
        server.shutdown()
        thread.join()
