# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The socket by which Alloy reads logs: a real HAProxy lets it find containers and read what they say, nothing else."""

from __future__ import annotations

import itertools
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import DockerClient
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from ansible_collections.llmops.monitoring.tests.integration.proxied_engine import (
    LOGS_SOCKET,
    PROXY_SOCKET,
    SHORT,
    Engine,
    configured,
    logs_of,
    proxied,
    recording,
    request,
    send,
    status,
)
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

PATHS = yaml.safe_load(Path(__file__).with_name("docker_api_paths.yml").read_text(encoding="utf-8"))
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
PREFIXES = ["", "/v1.24", "/v1.51"]
# As Docker's client asks for what Alloy wants.
READ = "follow=1&since=1763791984&stderr=1&stdout=1&tail=&timestamps=1"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return an engine that only writes down what reaches it."""
    with recording(tmp_path / "engine.sock") as engine:
        yield engine


@pytest.fixture
def proxy(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    """Return Alloy's socket of a proxy in front of that engine."""
    with proxied(tmp_path, engine.path, SHORT) as path:
        yield logs_of(path)


def test_without_alloy_there_is_no_such_socket() -> None:
    assert LOGS_SOCKET not in configured(["docker_socket_proxy", "exporters"])
    assert PROXY_SOCKET in configured(["docker_socket_proxy", "exporters"])


def test_of_all_the_api_only_what_finds_containers_is_let_through(proxy: Path, engine: Engine) -> None:
    wrong, expected = [], []
    templates = {template for kind in PATHS.values() for template in kind}
    for method, prefix, template in itertools.product(METHODS, PREFIXES, sorted(templates)):
        path = prefix + template.replace("ID", "5f" * 32).replace("NAME", "name")
        let = template in PATHS["findable"] and (method == "GET" or (method, template) == ("HEAD", "/_ping"))
        if let:
            expected.append(f"{method} {path}")
        if (found := request(proxy, method, path)) not in ((200,) if let else (400, 403)):
            wrong.append((method, path, found))
    assert wrong == []
    assert engine.requests == expected


@pytest.mark.parametrize("prefix", PREFIXES)
def test_logs_are_let_through(proxy: Path, engine: Engine, prefix: str) -> None:
    target = f"{prefix}/containers/vllm-llama/logs?{READ}"
    assert b"{}" in send(proxy, f"GET {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode(), until=b"{}")
    assert request(proxy, "GET", f"{prefix}/containers/vllm-llama/logs?stdout=1&tail=100") == 200
    assert engine.requests[0] == f"GET {target}"


@pytest.mark.parametrize(
    "target",
    [
        "/containers/vllm/logs",
        "/containers/vllm/logs?",
        "/containers/vllm/logs?details=1",
        "/containers/vllm/logs?stdout=1&details=1",
        "/containers/vllm/logs?stdout=1&&tail=1",
        "/containers/vllm/logs?stdout=2",
        "/containers/vllm/logs?tail=%31",
        "/containers/vllm/logs?stdout=1#x",
        "/containers/../images/logs?stdout=1",
        "/containers/a/b/logs?stdout=1",
        "/containers/a%2fb/logs?stdout=1",
        "/containers/vllm/logs/?stdout=1",
        "/services/vllm/logs?stdout=1",
        "/tasks/vllm/logs?stdout=1",
        "//containers/vllm/logs?stdout=1",
        "http://d/containers/vllm/logs?stdout=1",
        "/containers/json?all=1",
        "/containers/vllm/json?size=1",
        "/networks?filters={}",
        "/networks/name",
        "/events",
        "/events?since=1",
    ],
)
def test_all_else_is_refused_in_any_disguise(proxy: Path, engine: Engine, target: str) -> None:
    assert request(proxy, "GET", target) in (400, 403)
    assert engine.requests == []


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 2\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    ],
    ids=["body", "chunks", "upgrade"],
)
def test_bodies_and_upgrades_are_refused(proxy: Path, engine: Engine, fields: bytes) -> None:
    target = b"/containers/vllm/logs?stdout=1"
    assert status(send(proxy, b"GET " + target + b" HTTP/1.1\r\nHost: d\r\n" + fields)) in (400, 403)
    assert engine.requests == []


def test_the_exporters_may_not_read_logs_nor_alloy_hear_events(tmp_path: Path, engine: Engine) -> None:
    with proxied(tmp_path, engine.path, SHORT) as exporters:
        assert request(exporters, "GET", f"/containers/vllm/logs?{READ}") == 403
        assert request(exporters, "GET", "/networks") == 403
        assert request(logs_of(exporters), "GET", "/events") == 403
    assert engine.requests == []


def follow(proxy: Path, container: str) -> socket.socket:
    """Return a connection on which a container's logs have begun to come."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(proxy))
    connection.sendall(f"GET /containers/{container}/logs?{READ} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
    received = b""
    while b"{}" not in received:
        received += connection.recv(65536)
    return connection


def test_a_silent_container_is_listened_to_beyond_every_idle_time(proxy: Path, engine: Engine) -> None:
    with follow(proxy, "vllm") as connection:
        # Twice what a silent connection is given otherwise.
        connection.settimeout(2.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        engine.streams[0].sendall(b"4\r\n[42]\r\n")
        assert b"[42]" in connection.recv(65536)
    wait_for(lambda: not engine.streams)


def test_two_hundred_containers_are_listened_to_at_once(proxy: Path, engine: Engine) -> None:
    with ExitStack() as stack:
        for number in range(200):
            stack.enter_context(follow(proxy, f"c{number}"))
        assert len(engine.streams) == 200
        assert request(proxy, "GET", "/_ping") == 200


@pytest.fixture
def speaker(client: DockerClient) -> Iterator[str]:
    """Return a container of the real engine that has said something and goes on living."""
    script = "echo to-stdout; echo to-stderr >&2; exec sleep 600"
    with imported("speaker", ["/bin/sh", "sleep"]) as image:
        config = {"Image": image, "Cmd": ["/bin/sh", "-c", script]}
        identifier = client.create_container(f"llm-monitor-test-{uuid.uuid4().hex[:8]}", config)
        client.start_container(identifier)
        try:
            yield identifier
        finally:
            client.remove_container(identifier)


def test_the_real_engine_tells_what_a_container_said(client: DockerClient, speaker: str, tmp_path: Path) -> None:
    with proxied(tmp_path, Path(client.socket_path)) as exporters:
        proxy = logs_of(exporters)
        target = f"/containers/{speaker}/logs?{READ.replace('1763791984', '0')}"

        def said() -> bytes:
            return send(proxy, f"GET {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode(), seconds=1)

        wait_for(lambda: b"to-stdout" in (text := said()) and b"to-stderr" in text)
        through = DockerClient(str(proxy))
        assert speaker.encode() in send(proxy, b"GET /containers/json HTTP/1.1\r\nHost: d\r\n\r\n")
        assert through.inspect_container(speaker) == client.inspect_container(speaker)
        assert request(proxy, "GET", "/networks") == 200
        assert request(proxy, "POST", f"/containers/{speaker}/stop") == 403
    assert client.inspect_container(speaker)["State"]["Running"] is True
