"""An engine that isn't there: a Docker API on a Unix socket or TCP port, which can misbehave."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from exporter_testing.process import wait_for

Json = dict[str, Any]
# Writes a whole answer, its head included, in whatever shape.
Misbehave = Callable[[socket.socket], None]


def inspection(identifier: str, name: str, **changes: Any) -> Json:
    """Return the inspection of a running container; `changes` replace its sections' keys."""
    whole: Json = {
        "Id": identifier,
        "Name": f"/{name}",
        "Created": "2026-11-21T12:00:00.123456789Z",
        "Image": "sha256:" + "ab" * 32,
        "RestartCount": 0,
        "State": {
            "Status": "running",
            "Running": True,
            "Pid": 4242,
            "ExitCode": 0,
            "OOMKilled": False,
            "StartedAt": "2026-11-21T12:00:01.5Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "Config": {"Image": "vllm/vllm-openai:v0.32", "Cmd": ["serve"], "Labels": {}, "Env": []},
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}, "Ports": {}},
    }
    for key, change in changes.items():
        whole[key] = {**whole[key], **change} if isinstance(change, dict) else change
    return whole


def event(identifier: str, name: str, action: str, nanoseconds: int = 17 * 10**17) -> Json:
    """Return an event of a container as the engine writes it."""
    actor = {"ID": identifier, "Attributes": {"name": name, "image": "x"}}
    return {"Type": "container", "Action": action, "Actor": actor, "timeNano": nanoseconds}


@dataclass
class DockerStandIn:
    """What an engine knows, and what it was asked.

    Attributes:
        address: Where it answers.
        containers: Inspections by id.
        listed: Ids that are listed although there are no such containers.
        instead: How paths misbehave.
        requests: Paths that were asked for, with their queries.
        headers: Headers of the last request.
        streams: Connections on which events are awaited.
    """

    address: str = ""
    containers: dict[str, Json] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    instead: dict[str, Misbehave] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    streams: list[socket.socket] = field(default_factory=list)
    # Set in the end, for those that never end by themselves.
    over: threading.Event = field(default_factory=threading.Event)

    def add(self, identifier: str, name: str, **changes: Any) -> None:
        self.containers[identifier] = inspection(identifier, name, **changes)

    def emit(self, *events: Json) -> None:
        """Send events to all that wait for some, each in a chunk of its own."""
        for one in events:
            self.send(chunk(json.dumps(one).encode() + b"\n"))

    def send(self, data: bytes) -> None:
        """Send raw bytes on every stream of events."""
        for stream in self.streams:
            stream.sendall(data)

    def await_streams(self, count: int = 1) -> None:
        wait_for(lambda: len(self.streams) == count)

    def cut(self) -> None:
        """End all streams at once, as an engine does that is restarted."""
        for stream in list(self.streams):
            stream.shutdown(socket.SHUT_RDWR)
        self.await_streams(0)

    def asked(self, path: str) -> int:
        """Return how often a path was asked for, whatever its query."""
        return [urlsplit(one).path for one in self.requests].count(path)

    def answer(self, path: str) -> tuple[int, Any]:
        """Return the status and JSON that an engine would give."""
        if path == "/containers/json":
            known = [(one, whole["Name"]) for one, whole in self.containers.items()]
            listed = [*known, *((one, "/gone") for one in self.listed)]
            return 200, [{"Id": one, "Names": [name]} for one, name in listed]
        identifier = path.removeprefix("/containers/").removesuffix("/json")
        if identifier in self.containers:
            return 200, self.containers[identifier]
        return 404, {"message": f"No such container: {identifier}"}


def chunk(data: bytes) -> bytes:
    """Return a chunk of the chunked transfer coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: DockerStandIn

    def do_GET(self) -> None:
        engine = self.engine
        engine.requests.append(self.path)
        engine.headers = dict(self.headers)
        path = urlsplit(self.path).path
        self.close_connection = True
        if misbehave := engine.instead.get(path):
            misbehave(self.connection)
        elif path == "/events":
            self._stream()
        else:
            status, answer = engine.answer(path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _stream(self) -> None:
        assert parse_qs(urlsplit(self.path).query)["filters"] == ['{"type": ["container"]}']
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.engine.streams.append(self.connection)
        try:
            # Nothing more is said here: until the other side or the engine ends it.
            while self.connection.recv(1024):
                pass
        finally:
            self.engine.streams.remove(self.connection)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            # Who asked has had enough.
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def address_string(self) -> str:
        return "client"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class _TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


@contextmanager
def serving(engine: DockerStandIn, socket_path: Path | None = None) -> Iterator[DockerStandIn]:
    """Let `engine` answer on a Unix socket, else on a free TCP port."""
    handler = type("Handler", (_Handler,), {"engine": engine})
    server: _UnixServer | _TcpServer
    if socket_path is not None:
        server = _UnixServer(str(socket_path), handler)
        engine.address = str(socket_path)
    else:
        server = _TcpServer(("127.0.0.1", 0), handler)
        engine.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield engine
    finally:
        engine.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
        engine.cut()
        if socket_path is not None:
            socket_path.unlink()
