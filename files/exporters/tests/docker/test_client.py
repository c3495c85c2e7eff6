"""What an engine answers that is slow, huge, garbled or gone."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exporter_testing.docker_api import DockerStandIn, chunk
from exporter_testing.process import free_port
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.client import DockerApi, RefusedError
from llm_monitor.base.errors import SourceError, SourceMissingError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PATH = "/containers/json"


def get(engine: DockerStandIn, seconds: float = 5.0) -> object:
    return DockerApi(engine.address).get(PATH, Deadline.after(seconds))


def answer(engine: DockerStandIn, data: bytes) -> None:
    engine.instead[PATH] = lambda connection: connection.sendall(data)


def test_what_is_asked_for_comes_back_as_json(engine: DockerStandIn) -> None:
    name = 'quote " and\nnewline \\ and ü'
    engine.add("1a", name)
    api = DockerApi(engine.address)
    found = api.get("/containers/1a/json", Deadline.after(5))
    assert found["Name"] == f"/{name}"
    assert engine.headers["Accept"] == "application/json"


def test_an_answer_in_chunks(engine: DockerStandIn) -> None:
    answer(engine, CHUNKED + chunk(b"[1,") + chunk(b"2]") + chunk(b""))
    assert get(engine) == [1, 2]


def test_what_is_not_there_is_missing(engine: DockerStandIn) -> None:
    with pytest.raises(SourceMissingError, match="GET /containers/1a/json: not found"):
        DockerApi(engine.address).get("/containers/1a/json", Deadline.after(5))


@pytest.mark.parametrize("status", [301, 400, 403, 500, 503])
def test_errors_keep_their_status_and_words(engine: DockerStandIn, status: int) -> None:
    head = b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 3\r\n" % status
    answer(engine, head + b"\r\nno\n")
    with pytest.raises(RefusedError, match=f"status {status}: 'no'") as caught:
        get(engine)
    assert caught.value.status == status
    assert len(engine.requests) == 1


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 2\r\n\r\n[{",
        HEAD + b'Content-Length: 90\r\n\r\n["cut',
        HEAD + b'\r\n"\xff\xfe"',
        HEAD + b"\r\n",
        HEAD + b"\r\n<html>",
        HEAD + b"\r\n" + b"[" * 100_000,
        CHUNKED + b"zz\r\n",
        CHUNKED + b"5\r\n[1",
        HEAD + b"X: y\r\n" * 1000 + b"\r\n[]",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_nonsense_is_an_error_of_the_source(engine: DockerStandIn, data: bytes) -> None:
    answer(engine, data)
    with pytest.raises(SourceError, match=engine.address):
        get(engine)


@pytest.mark.parametrize("before", [b"", HEAD, HEAD + b"\r\n", HEAD + b"\r\n[1, "])
def test_an_engine_that_hangs_costs_no_more_than_the_deadline(
    engine: DockerStandIn, before: bytes
) -> None:
    def hang(connection: socket.socket) -> None:
        connection.sendall(before)
        engine.over.wait()

    engine.instead[PATH] = hang
    expect_late(engine)


@pytest.mark.parametrize(
    ("before", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"\r\n[", b" "),
        (CHUNKED, chunk(b" ")),
    ],
)
def test_a_drip_that_never_ends_does_neither(
    engine: DockerStandIn, before: bytes, drop: bytes
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(before)
        while not engine.over.wait(0.02):
            connection.sendall(drop)

    engine.instead[PATH] = drip
    expect_late(engine)


def expect_late(engine: DockerStandIn) -> None:
    begun = time.monotonic()
    with pytest.raises(SourceError, match="no complete answer in time"):
        get(engine, 0.3)
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("chunked", [False, True])
def test_of_a_huge_answer_only_a_part_is_taken(engine: DockerStandIn, chunked: bool) -> None:
    sent = []

    def flood(connection: socket.socket) -> None:
        coding = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (1 << 30)
        connection.sendall(HEAD + coding + b"\r\n\r\n[")
        part = chunk(b" " * 65536) if chunked else b" " * 65536
        with suppress(OSError):
            for _ in range((1 << 30) // 65536):
                connection.sendall(part)
                sent.append(len(part))

    engine.instead[PATH] = flood
    with pytest.raises(SourceError):
        get(engine, 20)
    assert sum(sent) < 64 << 20


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    for address, words in (
        (str(tmp_path / "none.sock"), "No such file"),
        (f"http://127.0.0.1:{free_port()}", "refused"),
        ("http://nowhere.invalid:2375", "nowhere.invalid"),
    ):
        with pytest.raises(SourceError, match=words) as caught:
            DockerApi(address).get(PATH, Deadline.after(5))
        # Only what an engine does not know is missing.
        assert not isinstance(caught.value, SourceMissingError)


def events(engine: DockerStandIn, count: int) -> Iterator[object]:
    """Read so many events, after which no other comes."""
    with DockerApi(engine.address).events({"type": ["container"]}) as stream:
        for _ in range(count):
            yield stream.next(Deadline.after(10))
        assert stream.next(Deadline.after(0.05)) is None


def play(engine: DockerStandIn, *parts: bytes) -> None:
    """Let the engine send events in these parts, each on its own."""

    def send(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        for part in (CHUNKED, *parts):
            connection.sendall(part)
            # So that each is read by itself.
            engine.over.wait(0.01)
        engine.over.wait()

    engine.instead["/events"] = send


def test_events_come_however_they_are_cut(engine: DockerStandIn) -> None:
    text = b'{"Action": "start"}\n{"Action": "d\xc3\xbc"}\n\n'
    # Cut within an event, within a letter and within a chunk's size.
    whole = chunk(text[:7]) + chunk(text[7:34]) + b"000A;x=y\r\n" + text[34:44].ljust(10) + b"\r\n"
    for size in (1, 2, 3, 7, len(whole)):
        play(engine, *(whole[at : at + size] for at in range(0, len(whole), size)))
        assert list(events(engine, 2)) == [{"Action": "start"}, {"Action": "dü"}], size


def test_events_may_come_with_the_headers_and_without_chunks(engine: DockerStandIn) -> None:
    engine.instead["/events"] = lambda connection: (
        connection.sendall(HEAD + b'\r\n{"a": 1}\n{"a": 2}\n'),
        engine.over.wait(),
    )[0]
    assert list(events(engine, 2)) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "data",
    [
        chunk(b"[1]\n"),
        chunk(b"{\n"),
        chunk(b'"\xff"\n'),
        b"no chunk\r\n",
        b"-5\r\n",
        b"1" * 2000,
        chunk(b"x" * (3 << 20)),
        chunk(b'{"a": 1}') + chunk(b""),
    ],
)
def test_a_stream_that_ends_or_is_none_is_an_error(engine: DockerStandIn, data: bytes) -> None:
    play(engine, data)
    with pytest.raises(SourceError, match=engine.address):
        list(events(engine, 2))


def test_a_stream_stays_open_while_nothing_happens(engine: DockerStandIn) -> None:
    with DockerApi(engine.address).events({"type": ["container"]}, "17.000000001") as stream:
        for _ in range(3):
            assert stream.next(Deadline.after(0.05)) is None
        engine.await_streams()
        threading.Timer(0.05, engine.emit, [{"a": 1}]).start()
        assert stream.next(Deadline.after(5)) == {"a": 1}
    assert "since=17.000000001" in engine.requests[0]


def test_an_engine_that_does_not_begin_a_stream(engine: DockerStandIn) -> None:
    engine.instead["/events"] = lambda connection: connection.sendall(
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    )
    with pytest.raises(RefusedError, match="GET /events: status 403"):
        list(events(engine, 2))
