# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The proxy in front of the Docker engine: a real HAProxy lets through what reads, and nothing else in any disguise."""

from __future__ import annotations

import itertools
import json
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import ApiError, DockerClient
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from ansible_collections.llmops.monitoring.tests.integration.proxied_engine import (
    SHORT,
    Engine,
    proxied,
    recording,
    request,
    send,
    status,
)
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

PATHS = yaml.safe_load(Path(__file__).with_name("docker_api_paths.yml").read_text(encoding="utf-8"))
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"]
PREFIXES = ["", "/v1.24", "/v1.41", "/v1.100"]
MOST = 64


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return an engine that only writes down what reaches it."""
    with recording(tmp_path / "engine.sock") as engine:
        yield engine


@pytest.fixture
def proxy(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    """Return the socket of a proxy in front of that engine."""
    with proxied(tmp_path, engine.path, SHORT) as path:
        yield path


def calls(container: str) -> Iterator[tuple[str, str, bool]]:
    """Yield method and path of every call of the API in every version, and whether it is to be let through."""
    for method, prefix, kind in itertools.product(METHODS, PREFIXES, ("readable", "closed")):
        for template in PATHS[kind]:
            path = prefix + template.replace("ID", container).replace("NAME", "name")
            readable = kind == "readable"
            yield method, path, readable and (method == "GET" or (method, template) == ("HEAD", "/_ping"))


def try_all(proxy: Path, engine: Engine, container: str) -> None:
    """Make every call, and see that just the allowed ones reach the engine."""
    wrong, expected = [], []
    for method, path, allowed in calls(container):
        if path.endswith("/events") and allowed:
            # It has no end; a test of its own shows that it passes.
            continue
        if allowed:
            expected.append(f"{method} {path}")
        if (found := request(proxy, method, path)) not in ((200,) if allowed else (400, 403)):
            wrong.append((method, path, found))
    assert wrong == []
    assert engine.requests == expected


def test_of_all_the_api_only_what_reads_is_let_through(proxy: Path, engine: Engine) -> None:
    try_all(proxy, engine, "5f" * 32)
    engine.requests.clear()
    for name in ("vllm-llama", "my.model_7", "a", "json"):
        assert request(proxy, "GET", f"/containers/{name}/json") == 200
    assert len(engine.requests) == 4


@pytest.mark.parametrize("query", ["size=1", "siz%65=1", "all=1&size=1", "all=1;size=1", "x=%2f..%2f", "all=true"])
@pytest.mark.parametrize("path", ["/containers/json", "/containers/vllm/json", "/_ping"])
def test_no_query_makes_the_engine_work_more(proxy: Path, engine: Engine, path: str, query: str) -> None:
    assert request(proxy, "GET", f"{path}?{query}") == 403
    assert engine.requests == []
    assert request(proxy, "GET", f"{path}?all=1") == 200


def test_events_pass(proxy: Path, engine: Engine) -> None:
    for prefix in PREFIXES:
        answer = send(proxy, f"GET {prefix}/events?since=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode(), until=b"{}")
        assert status(answer) == 200
        assert b"{}" in answer
    assert engine.requests == [f"GET {prefix}/events?since=1" for prefix in PREFIXES]


@pytest.mark.parametrize(
    "target",
    [
        "//_ping",
        "//containers/json",
        "/containers//json",
        "/containers/json/",
        "/./_ping",
        "/_ping/.",
        "/_ping/",
        "/_ping;x=y",
        "/_ping%00",
        "/_ping%0a",
        "/%5fping",
        "/%2e/_ping",
        "/containers%2fjson",
        "/containers/..%2fimages%2fjson",
        "/containers/%2e%2e/json",
        "/containers/../json",
        "/containers/./json",
        "/containers/../images/json",
        "/containers/json/../../images/json",
        "/containers/a/../create",
        "/containers/a/json/../start",
        "/containers/a%20b/json",
        "/containers/a\\b/json",
        "/containers/a;b/json",
        "/containers/é/json",
        "/v1.41/../images/json",
        "/v1.41//_ping",
        "/v1./_ping",
        "/v2.0/_ping",
        "/v1.41x/_ping",
        "/v1.1000/_ping",
        "/v1.41/v1.41/_ping",
        "/_PING",
        "/Containers/json",
        "/images/json?/containers/json",
        "/images/json#/containers/json",
        "/images/json\t/containers/json",
        "_ping",
        "*",
        "http://docker/_ping",
        "http://docker/containers/json",
        "http://docker/images/json",
        "http:///_ping",
        "https://docker/_ping",
        "unix:///_ping",
        "docker:80",
    ],
)
def test_paths_in_disguise_are_refused(proxy: Path, engine: Engine, target: str) -> None:
    assert request(proxy, "GET", target) in (400, 403)
    assert engine.requests == []


@pytest.mark.parametrize("method", ["get", "Get", "GETS", "G", "POST\tGET", "", "PRI", "BREW"])
def test_methods_in_disguise_are_refused(proxy: Path, engine: Engine, method: str) -> None:
    assert request(proxy, method, "/_ping") in (400, 403)
    assert engine.requests == []


CREATE = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 2\r\n\r\n{}",
        b"Content-Length: 0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}",
        b"Content-Length: 0, 73\r\n\r\n" + CREATE,
        b"Content-Length: +2\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length : 2\r\n\r\n{}",
        b"Content-Length: 18446744073709551618\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + CREATE,
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + CREATE,
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + CREATE,
        b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + CREATE,
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + CREATE,
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + CREATE,
        b"X: y\r\n Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + CREATE,
        b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"Upgrade: tcp\r\n\r\n",
        b"Connection: keep-alive, upgrade\r\n\r\n",
        b"Host: other\r\n\r\n",
        b"X\x00: y\r\n\r\n",
        b"X: " + b"y" * 20_000 + b"\r\n\r\n",
        b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_bodies_upgrades_and_smuggling_are_refused(proxy: Path, engine: Engine, fields: bytes) -> None:
    answer = send(proxy, b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + fields)
    assert status(answer) in (400, 403, 422, 431)
    assert answer.count(b"HTTP/1.") == 1
    assert engine.requests == []


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
        b"GET /_ping\r\n",
        b"GET /_ping\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\0" * 64,
    ],
)
def test_other_protocols_are_refused(proxy: Path, engine: Engine, data: bytes) -> None:
    assert status(send(proxy, data)) in (0, 400, 403, 408)
    assert engine.requests == []


def test_what_follows_a_good_request_gets_nowhere(proxy: Path, engine: Engine) -> None:
    good = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
    answer = send(proxy, good + CREATE + good)
    assert answer.count(b"HTTP/1.") == 1
    assert status(answer) == 200
    assert engine.requests == ["GET /_ping"]


def test_headers_that_pass_change_nothing_for_the_engine(proxy: Path, engine: Engine) -> None:
    """An engine knows no such overrides."""
    fields = b"X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /images/json\r\nExpect: 100-continue\r\n"
    assert status(send(proxy, b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + fields + b"\r\n")) == 200
    assert engine.requests == ["GET /_ping"]


def test_refusals_say_so_in_the_engines_own_form_and_are_logged(proxy: Path, tmp_path: Path) -> None:
    request(proxy, "GET", "/_ping")
    with pytest.raises(ApiError, match="refused by the proxy in front of the Docker engine") as refused:
        DockerClient(str(proxy))._exchange("GET", "/images/json", "list its images")
    assert refused.value.status == 403
    log = tmp_path / "haproxy.log"
    wait_for(lambda: "/images/json" in log.read_text())
    assert "_ping" not in log.read_text()


# ---------------------------------------------------------------- what lasts


def listen(proxy: Path, stack: ExitStack) -> socket.socket:
    """Return a connection on which events have begun to come."""
    connection = stack.enter_context(socket.socket(socket.AF_UNIX))
    connection.settimeout(10)
    connection.connect(str(proxy))
    connection.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
    received = b""
    while b"{}" not in received:
        received += connection.recv(65536)
    return connection


def test_events_outlive_every_idle_time(proxy: Path, engine: Engine) -> None:
    with ExitStack() as stack:
        connection = listen(proxy, stack)
        # Twice what a silent connection is given otherwise.
        connection.settimeout(2.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        engine.streams[0].sendall(b"4\r\n[42]\r\n")
        assert b"[42]" in connection.recv(65536)


def test_who_has_enough_of_events_leaves_nothing_behind(proxy: Path, engine: Engine) -> None:
    with ExitStack() as stack:
        listen(proxy, stack)
        assert len(engine.streams) == 1
    wait_for(lambda: not engine.streams)


def test_an_engine_that_ends_the_stream_ends_it_for_who_listens(proxy: Path, engine: Engine) -> None:
    with ExitStack() as stack:
        connection = listen(proxy, stack)
        engine.streams[0].shutdown(socket.SHUT_RDWR)
        assert connection.recv(65536) == b""


def test_only_so_many_connect_at_once(proxy: Path, engine: Engine) -> None:
    with ExitStack() as stack:
        connections = [listen(proxy, stack) for _stream in range(MOST)]
        assert send(proxy, b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n", seconds=0.5) == b""
        for connection in connections[:2]:
            connection.close()
        assert request(proxy, "GET", "/_ping") == 200


def test_who_sends_slowly_is_cut_off(tmp_path: Path, engine: Engine) -> None:
    with proxied(tmp_path, engine.path, {"timeout http-request 5s": "timeout http-request 1s"}) as proxy:
        begun = time.monotonic()
        assert status(send(proxy, b"GET /_ping HTTP/1.1\r\nHo", seconds=10)) == 408
        assert 0.9 < time.monotonic() - begun < 5
    assert engine.requests == []


def test_an_engine_that_is_away_is_told_at_once_and_found_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with proxied(tmp_path, path) as proxy:
        for _try in range(3):
            begun = time.monotonic()
            assert request(proxy, "GET", "/_ping") == 503
            assert time.monotonic() - begun < 4
            with recording(path) as engine:
                assert request(proxy, "GET", "/_ping") == 200
                assert engine.requests == ["GET /_ping"]


def test_an_engine_that_hangs_is_told_in_time(proxy: Path, engine: Engine) -> None:
    engine.hangs = True
    begun = time.monotonic()
    answer = send(proxy, b"GET /containers/json HTTP/1.1\r\nHost: d\r\n\r\n", seconds=10)
    assert status(answer) == 504
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"] == "the Docker engine does not answer in time"
    assert time.monotonic() - begun < 5


# ---------------------------------------------------------------- the real engine


@contextmanager
def running(client: DockerClient) -> Iterator[str]:
    """Give the id of a real container that runs."""
    with imported("sleep", ["sleep"]) as image:
        config: dict[str, Any] = {"Image": image, "Entrypoint": ["/bin/sleep", "600"]}
        identifier = client.create_container(f"llm-monitor-test-{uuid.uuid4().hex[:8]}", config)
        client.start_container(identifier)
        try:
            yield identifier
        finally:
            client.remove_container(identifier)


@pytest.fixture
def container(client: DockerClient) -> Iterator[str]:
    with running(client) as identifier:
        yield identifier


def test_the_real_engine_answers_what_reads_and_is_left_as_it_was(
    client: DockerClient, container: str, tmp_path: Path
) -> None:
    # Every call that changes something would, if it were let through: so first, nobody's engine is tried.
    with recording(tmp_path / "engine.sock") as engine, proxied(tmp_path, engine.path) as proxy:
        try_all(proxy, engine, container)
    before = client.inspect_container(container)
    with proxied(tmp_path, Path(client.socket_path)) as proxy:
        through = DockerClient(str(proxy))
        assert through.ping() == client.ping()
        assert container in [one["Id"] for one in through.containers(include_stopped=True)]
        assert through.inspect_container(container) == before
        for method, path, allowed in calls(container):
            if not allowed:
                assert request(proxy, method, path) in (400, 403), (method, path)
        # An engine remembers its last 256 events only, and others' health checks are among them: so, one from just now.
        with running(client) as started:
            now = int(time.time())
            head = f"GET /events?since={now - 5}&until={now + 1} HTTP/1.1\r\nHost: d\r\n\r\n"
            assert started.encode() in send(proxy, head.encode())
    assert client.inspect_container(container) == before
