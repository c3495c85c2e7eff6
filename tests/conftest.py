"""What tests of every kind need: modules run as Ansible runs them, and a Docker engine made of prepared answers."""

from __future__ import annotations

import json
import socketserver
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.llmops.monitoring.tests.serving import serving


class RunModule(Protocol):
    """Runs a module's `main` and returns what it would hand to Ansible; `failed` is always in it."""

    def __call__(
        self, main: Callable[[], None], args: dict[str, Any], *, check_mode: bool = False
    ) -> dict[str, Any]: ...


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory) -> RunModule:
    """Return a function that runs a module with real arguments and reads its real answer."""

    def run(main: Callable[[], None], args: dict[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
        internal = {
            "_ansible_check_mode": check_mode,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(tmp_path_factory.mktemp("remote")),
        }
        capsys.readouterr()
        with patch_module_args({**args, **internal}), pytest.raises(SystemExit):
            main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        result.setdefault("failed", False)
        return result

    return run


@dataclass
class Answer:
    """What the engine says to one request; `action` runs before it, such as a wait."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    action: Callable[[], object] | None = None

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Request:
    """What the engine was asked: the path without API version and query."""

    method: str
    path: str
    version: str
    query: str
    body: Any


class PreparedEngine:
    """Answers from `answers`, keyed by method and path; a missing one is the engine's own 404."""

    def __init__(self, socket_path: str) -> None:
        self.socket_path = socket_path
        self.answers: dict[tuple[str, str], Answer] = {
            ("GET", "/_ping"): Answer(body=b"OK", headers={"Api-Version": "1.41"})
        }
        self.requests: list[Request] = []

    def runs(self, *inspections: dict[str, Any]) -> None:
        """Let these containers run."""
        self.answers["GET", "/containers/json"] = Answer(body=[{"Id": one["Id"]} for one in inspections])
        for one in inspections:
            self.answers["GET", f"/containers/{one['Id']}/json"] = Answer(body=one)

    def asked(self, method: str) -> list[str]:
        return [request.path for request in self.requests if request.method == method]

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        found = self.answers.get((request.method, request.path))
        return found or Answer(404, {"message": f"no answer for {request.method} {request.path}"})


class _EngineHandler(BaseHTTPRequestHandler):
    server: _EngineServer

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def address_string(self) -> str:
        return "unix"

    def _serve(self) -> None:
        path, _mark, query = self.path.partition("?")
        version = ""
        if path.startswith("/v1."):
            version, path = path[2:].split("/", 1)
            path = f"/{path}"
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else None
        answer = self.server.engine.answer(Request(self.command, path, version, query, body))
        if answer.action:
            answer.action()
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content())))
            self.end_headers()
            self.wfile.write(answer.content())
        except BrokenPipeError:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = _serve


class _EngineServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, engine: PreparedEngine) -> None:
        super().__init__(engine.socket_path, _EngineHandler)
        self.engine = engine


@pytest.fixture
def engine() -> Iterator[PreparedEngine]:
    """Return an engine with API 1.41 that runs nothing, on a socket whose path is short enough for the kernel."""
    with tempfile.TemporaryDirectory(prefix="engine") as folder:
        prepared = PreparedEngine(str(Path(folder, "docker.sock")))
        prepared.runs()
        with serving(_EngineServer(prepared)):
            yield prepared


@pytest.fixture
def answer() -> type[Answer]:
    """Return the class of the engine's answers, for tests that prepare some."""
    return Answer


@pytest.fixture
def framed() -> Callable[..., bytes]:
    """Return the function that frames text as the engine does in the output of a container without a terminal."""

    def frame(text: str, stream: int = 1) -> bytes:
        content = text.encode()
        return struct.pack(">BxxxL", stream, len(content)) + content

    return frame
