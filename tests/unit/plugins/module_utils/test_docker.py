"""The engine's client against an engine made of hand-written answers, on a real unix socket."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    ApiError,
    DockerClient,
    DockerError,
    EngineStopped,
    EngineTimeout,
    EngineUnreachable,
    NotFound,
    PermissionDenied,
    RunTimeout,
    SocketMissing,
)


@pytest.fixture
def client(engine: Any) -> DockerClient:
    return DockerClient(engine.socket_path, timeout=5)


@pytest.mark.parametrize("version", ["1.41", "1.44", "1.52"])
def test_every_request_speaks_the_newest_api_version_of_the_engine(engine: Any, answer: Any, version: str) -> None:
    engine.answers["GET", "/_ping"] = answer(body=b"OK", headers={"Api-Version": version})
    engine.answers["GET", "/info"] = answer(body={"ID": "x"})
    client = DockerClient(f"unix://{engine.socket_path}")

    assert client.info() == {"ID": "x"}
    assert client.info() == {"ID": "x"}

    assert [(request.path, request.version) for request in engine.requests] == [
        ("/_ping", ""),
        ("/info", version),
        ("/info", version),
    ]


def test_version_and_images_come_from_the_engine(engine: Any, answer: Any, client: DockerClient) -> None:
    engine.answers["GET", "/version"] = answer(body={"Version": "29.0.1"})
    engine.answers["GET", "/images/reg.example:5000/a/b@sha256:1f/json"] = answer(body={"Id": "sha256:2e"})

    assert client.version()["Version"] == "29.0.1"
    assert client.inspect_image("reg.example:5000/a/b@sha256:1f")["Id"] == "sha256:2e"


def test_containers_can_be_filtered(engine: Any, client: DockerClient) -> None:
    client.containers(include_stopped=True, filters={"label": ["a=b"]})

    assert engine.requests[-1].query == "all=1&filters=%7B%22label%22%3A+%5B%22a%3Db%22%5D%7D"


def test_a_container_that_goes_away_between_list_and_inspection_is_left_out(
    engine: Any, answer: Any, client: DockerClient
) -> None:
    engine.runs({"Id": "aa"}, {"Id": "bb"})
    engine.answers["GET", "/containers/aa/json"] = answer(404, {"message": "No such container: aa"})

    assert client.inspect_containers() == [{"Id": "bb"}]


def test_a_signal_reaches_the_container_that_was_named(engine: Any, answer: Any, client: DockerClient) -> None:
    engine.answers["POST", "/containers/prometheus/kill"] = answer(204)

    client.kill_container("prometheus", "SIGHUP")

    assert engine.requests[-1].query == "signal=SIGHUP"


def test_starting_what_runs_already_is_no_error(engine: Any, answer: Any, client: DockerClient) -> None:
    engine.answers["POST", "/containers/aa/start"] = answer(304)

    client.start_container("aa")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"plain, from a terminal\r\n", "plain, from a terminal\n"),
        (b"\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n", "out\nerr\n"),
        (b"\x01\0\0\0\0\0\0\x02\xc3\xbc\x01\0\0\0\0\0\0\x01\xff", "ü�"),
        (b"\x01\0\0\0\0\0\0\x09cut", "cut"),
        (b"\x01\0\0", "\x01\0\0"),
    ],
)
def test_output_is_put_together_from_its_frames(
    engine: Any, answer: Any, client: DockerClient, body: bytes, text: str
) -> None:
    engine.answers["GET", "/containers/aa/logs"] = answer(body=body)

    assert client.container_output("aa") == text


# ------------------------------------------------------------ errors an operator can act on


def test_a_missing_socket_says_to_start_the_engine(tmp_path: Path) -> None:
    with pytest.raises(SocketMissing, match=r"There is no Docker engine's socket at .*Install and start the engine"):
        DockerClient(str(tmp_path / "docker.sock")).ping()


def test_a_socket_that_nobody_listens_on_says_where_to_look(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(path)
    with pytest.raises(EngineStopped, match=r"No Docker engine answers at .*journalctl -u docker"):
        DockerClient(path).ping()


def test_a_forbidden_socket_says_who_may_not_and_what_to_do(
    engine: Any, monkeypatch: pytest.MonkeyPatch, client: DockerClient
) -> None:
    def refuse(self: socket.socket, address: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(PermissionDenied, match=f"The user with id {os.geteuid()} may not open .*become"):
        client.ping()


def test_what_is_no_docker_engine_is_told_apart(engine: Any, answer: Any, client: DockerClient) -> None:
    engine.answers["GET", "/_ping"] = answer(body=b"OK")
    with pytest.raises(EngineUnreachable, match="does not name an API version, so it is no Docker engine"):
        client.ping()

    engine.answers["GET", "/_ping"] = answer(headers={"Api-Version": "1.41"})
    engine.answers["GET", "/info"] = answer(body=b"<html>")
    with pytest.raises(EngineUnreachable, match="sends no JSON when asked to tell its state"):
        client.info()


def test_what_does_not_speak_http_is_told_apart(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def greet() -> None:
            connection, _address = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(EngineUnreachable, match=r"does not speak HTTP as a Docker engine does \(BadStatusLine\)"):
            DockerClient(path, timeout=5).ping()
        thread.join()


def test_an_engine_that_hangs_is_given_up(engine: Any, answer: Any) -> None:
    release = threading.Event()
    engine.answers["GET", "/_ping"] = answer(action=release.wait)

    with pytest.raises(EngineTimeout, match=r"did not answer a ping within 0.2 s"):
        DockerClient(engine.socket_path, timeout=0.2).ping()
    release.set()


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (404, {"message": "No such image: a:1"}, NotFound, "No such image: a:1"),
        (409, {"message": "name in use"}, ApiError, "name in use"),
        (500, b"panic", ApiError, "panic"),
        (500, {"other": 1}, ApiError, '{"other": 1}'),
        (503, b"", ApiError, "no reason given"),
    ],
)
def test_a_refusal_carries_the_engines_own_words(
    engine: Any, answer: Any, client: DockerClient, status: int, body: Any, kind: type[ApiError], reason: str
) -> None:
    engine.answers["GET", "/images/a:1/json"] = answer(status, body)

    with pytest.raises(ApiError) as caught:
        client.inspect_image("a:1")

    assert caught.type is kind
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert str(caught.value) == f"The Docker engine refuses to inspect the image a:1 (status {status}): {reason}"


# ------------------------------------------------------------ one-shot containers


class OneShot:
    """Lets the engine create, start and remove any one-shot container; the rest is up to the test."""

    def __init__(self, engine: Any, answer: Any, framed: Any) -> None:
        self.engine = engine
        self.answer = answer
        self.respond = engine.answer
        self.steps: dict[str, Any] = {
            "create": answer(201, {"Id": "c1"}),
            "start": answer(204),
            "wait": answer(200, {"StatusCode": 1}),
            "logs": answer(200, framed("checking\n") + framed("FAILED: line 3\n", 2)),
            "DELETE": answer(204),
        }
        engine.answer = self._answer

    def _answer(self, request: Any) -> Any:
        fallback = self.respond(request)
        step = "DELETE" if request.method == "DELETE" else request.path.rsplit("/", 1)[-1]
        return self.steps.get(step, fallback)

    @property
    def created(self) -> Any:
        return next(request for request in self.engine.requests if request.path == "/containers/create")

    @property
    def removed(self) -> list[Any]:
        return [request for request in self.engine.requests if request.method == "DELETE"]


@pytest.fixture
def one_shot(engine: Any, answer: Any, framed: Any) -> OneShot:
    return OneShot(engine, answer, framed)


def test_a_checker_gives_its_exit_code_and_output_and_is_removed(one_shot: OneShot, client: DockerClient) -> None:
    result = client.run(
        "prom:1", ["check", "config", "/c/p.yml"], entrypoint=["promtool"], binds=["/srv/c:/c:ro"], user="65534"
    )

    assert result == (1, "checking\nFAILED: line 3\n")
    name = one_shot.created.query.removeprefix("name=")
    assert name.startswith("llm-monitor-run-")
    assert [(request.path, request.query) for request in one_shot.removed] == [(f"/containers/{name}", "force=1&v=1")]


def test_a_checker_gets_the_least_privilege(one_shot: OneShot, client: DockerClient) -> None:
    client.run("prom:1", ["x"], entrypoint=["promtool"], binds=["/srv/c:/c:ro", "/srv/d:/d"], user="65534")

    body = one_shot.created.body
    assert body["NetworkDisabled"] is True
    assert body["User"] == "65534"
    assert body["Entrypoint"] == ["promtool"]
    assert body["Cmd"] == ["x"]
    host = body["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["NetworkMode"] == "none"
    assert host["Mounts"] == [
        {"Type": "bind", "Source": "/srv/c", "Target": "/c", "ReadOnly": True},
        {"Type": "bind", "Source": "/srv/d", "Target": "/d", "ReadOnly": False},
    ]


def test_a_checker_can_not_take_the_host(one_shot: OneShot, client: DockerClient) -> None:
    client.run("prom:1", ["x"])

    host = one_shot.created.body["HostConfig"]
    assert (host["Memory"], host["PidsLimit"]) == (536870912, 256)


def test_a_container_of_ours_can_be_told_from_others(one_shot: OneShot, client: DockerClient) -> None:
    client.run("prom:1", ["x"])

    assert one_shot.created.body["Labels"] == {"llm-monitor.run": "one-shot"}


def test_devices_and_environment_come_on_top_of_the_least_privilege(one_shot: OneShot, client: DockerClient) -> None:
    client.run("prom:1", ["x"], environment=["A=b"], host_config={"Runtime": "nvidia"}, output_lines=9000)

    body = one_shot.created.body
    assert body["Env"] == ["A=b"]
    assert (body["HostConfig"]["Runtime"], body["HostConfig"]["CapDrop"]) == ("nvidia", ["ALL"])
    (logs,) = [request for request in one_shot.engine.requests if request.path.endswith("/logs")]
    assert "tail=9000" in logs.query


def test_without_user_and_entrypoint_the_images_own_are_used(one_shot: OneShot, client: DockerClient) -> None:
    client.run("prom:1", network_disabled=False, read_only=False)

    assert "Entrypoint" not in one_shot.created.body
    assert "User" not in one_shot.created.body
    assert one_shot.created.body["HostConfig"]["ReadonlyRootfs"] is False
    assert one_shot.created.body["HostConfig"]["NetworkMode"] == "default"


def test_a_checker_that_hangs_is_removed_and_its_output_kept(one_shot: OneShot, client: DockerClient) -> None:
    release = threading.Event()
    one_shot.steps["wait"] = one_shot.answer(200, {"StatusCode": 0}, action=release.wait)

    with pytest.raises(RunTimeout, match=r"of prom:1 did not end within 0.2 s.*Command: promtool check") as caught:
        client.run("prom:1", ["check"], entrypoint=["promtool"], timeout=0.2)
    release.set()

    assert caught.value.output == "checking\nFAILED: line 3\n"
    assert len(one_shot.removed) == 1


@pytest.mark.parametrize("step", ["create", "start", "wait", "logs"])
def test_whatever_step_fails_the_container_is_removed(one_shot: OneShot, client: DockerClient, step: str) -> None:
    one_shot.steps[step] = one_shot.answer(500, {"message": "no space left on device"})

    with pytest.raises(ApiError, match="no space left on device"):
        client.run("prom:1")

    assert len(one_shot.removed) == 1


def test_a_container_that_is_gone_already_needs_no_removal(one_shot: OneShot, client: DockerClient) -> None:
    one_shot.steps["DELETE"] = one_shot.answer(404, {"message": "No such container"})

    assert client.run("prom:1")[0] == 1


def test_a_bind_that_is_no_bind_is_refused_before_the_engine_is_asked(engine: Any, client: DockerClient) -> None:
    with pytest.raises(ValueError, match=r"'/a:/b:z' is not of the form"):
        client.run("prom:1", binds=["/a:/b:z"])
    assert engine.asked("POST") == []


def test_every_error_is_a_docker_error() -> None:
    for kind in (SocketMissing, PermissionDenied, EngineStopped, EngineTimeout, ApiError, NotFound, RunTimeout):
        assert issubclass(kind, DockerError)
