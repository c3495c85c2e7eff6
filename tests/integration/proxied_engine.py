# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The Docker socket's proxy as a real HAProxy, an engine that only writes down what reaches it, and raw requests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import socketserver
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pytest
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from ansible_collections.llmops.monitoring.tests.serving import serving

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "templates/docker_socket_proxy/haproxy.cfg.j2"
PROXY_SOCKET, ENGINE_SOCKET = "unix@/run/docker-proxy/docker.sock", "unix@/run/docker.sock"
LOGS_SOCKET = "unix@/run/docker-logs/docker.sock"
# The idle times of the real configuration, shortened so that a test can wait for their end.
SHORT = {"timeout client 30s": "timeout client 1s", "timeout server 30s": "timeout server 1s"}


@dataclass
class Engine:
    """Answers everything, and keeps what was asked: the method and the path of each request."""

    path: Path
    requests: list[str] = field(default_factory=list)
    streams: list[socket.socket] = field(default_factory=list)
    hangs: bool = False

    def serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return
            head += part
        line = head.split(b"\r\n")[0].decode("latin-1")
        self.requests.append(line.removesuffix(" HTTP/1.1").removesuffix(" HTTP/1.0"))
        if self.hangs:
            connection.recv(1)
        elif line.split(" ")[1].partition("?")[0].endswith("/events") or "follow=1" in line:
            self.streams.append(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
            connection.recv(1)
            self.streams.remove(connection)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")


@contextmanager
def recording(path: Path) -> Iterator[Engine]:
    """Let an engine that writes down what reaches it answer at `path`."""
    engine = Engine(path)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                engine.serve(self.request)
            except ConnectionError:
                return

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True
        request_queue_size = 128

    path.unlink(missing_ok=True)
    try:
        with serving(Server(str(path), Handler)):
            yield engine
    finally:
        path.unlink()


@contextmanager
def proxied(folder: Path, engine: Path, changes: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Give the exporters' socket of a proxy in front of the engine's socket; Alloy's is `logs_of` it.

    `changes` replace parts of its configuration.
    """
    text = configured(["docker_socket_proxy", "alloy"])
    listening = folder / "proxy.sock"
    places = {
        PROXY_SOCKET: f"unix@{listening}",
        ENGINE_SOCKET: f"unix@{engine}",
        LOGS_SOCKET: f"unix@{logs_of(listening)}",
    }
    for part, replacement in {**places, **(changes or {})}.items():
        assert part in text, f"the configuration lacks {part}"
        text = text.replace(part, replacement)
    configuration = folder / "haproxy.cfg"
    configuration.write_text(text, encoding="utf-8")
    # No warning is let pass: later versions make errors of them.
    command = [haproxy(), "-dW", "-db", "-f", str(configuration)]
    with (folder / "haproxy.log").open("w") as log:
        process = subprocess.Popen(command, env=_environment(), stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: (_listens(listening) and _listens(logs_of(listening))) or process.poll() is not None)
        assert process.poll() is None, (folder / "haproxy.log").read_text()
        yield listening
    finally:
        # As its container is stopped, whoever still listens.
        process.send_signal(signal.SIGUSR1)
        process.wait(5)
        listening.unlink(missing_ok=True)
        logs_of(listening).unlink(missing_ok=True)


def configured(services: list[str]) -> str:
    """Return the proxy's configuration on a host that runs these services."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    template = environment.from_string(CONFIGURATION.read_text(encoding="utf-8"))
    return template.render(llm_monitor_managed="A test's.", llm_monitor_services=services)


def logs_of(proxy: Path) -> Path:
    """Return the socket on which the same proxy lets logs through."""
    return proxy.with_name("logs.sock")


def _listens(path: Path) -> bool:
    """Return whether somebody listens: the socket is there a moment before."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def haproxy() -> str:
    """Return the path of Debian's HAProxy: beside LLM_MONITOR_TOOLS, else on the path."""
    tools = os.environ.get("LLM_MONITOR_TOOLS", "")
    places = [os.path.join(tools, "../sbin"), os.environ["PATH"], "/usr/sbin"]
    found = shutil.which("haproxy", path=os.pathsep.join(places))
    if not found:
        pytest.fail(f"haproxy is neither beside LLM_MONITOR_TOOLS ({tools or 'not set'}) nor on the PATH; see `make`.")
    return found


def _environment() -> dict[str, str]:
    tools = Path(os.environ.get("LLM_MONITOR_TOOLS", ""))
    libraries = [str(folder) for folder in tools.parent.glob("lib/*-linux-gnu")]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)}


def send(path: Path, data: bytes, seconds: float = 5.0, until: bytes | None = None) -> bytes:
    """Return all that comes back for raw bytes until the other side closes or has sent `until`, or for `seconds`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(path))
        answer = b""
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                answer += part
                if until is not None and until in answer:
                    break
        except (TimeoutError, ConnectionError):
            return answer
        return answer


def request(path: Path, method: str, target: str) -> int:
    """Return the status that a plain request gets."""
    return status(send(path, f"{method} {target} HTTP/1.1\r\nHost: docker\r\n\r\n".encode("latin-1")))


def status(answer: bytes) -> int:
    """Return the status of a raw answer, 0 for none."""
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) == 3 and words[0].startswith(b"HTTP/") else 0
