"""Containers that come, go and change while an engine is watched."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from exporter_testing.docker_api import DockerStandIn, event, inspection
from exporter_testing.process import wait_for
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker import inventory
from llm_monitor.base.docker.client import DockerApi
from llm_monitor.base.docker.inventory import Inventory
from llm_monitor.base.errors import SourceError

ONE, TWO, THREE = "1a" * 32, "2b" * 32, "3c" * 32
EVENTS = "/events"
LIST = "/containers/json"


def names(known: Inventory, seconds: float = 5.0) -> list[str]:
    return sorted(one.name for one in known.containers(Deadline.after(seconds)))


@contextmanager
def watching(known: Inventory) -> Iterator[list[SourceError]]:
    """Let it watch, and again when it fails, as an exporter does; give the failures."""
    stop = threading.Event()
    failures: list[SourceError] = []

    def watch() -> None:
        while not stop.is_set():
            try:
                known.watch(stop)
            except SourceError as error:
                failures.append(error)
                stop.wait(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def known(engine: DockerStandIn) -> Inventory:
    engine.add(ONE, "one")
    return Inventory(DockerApi(engine.address))


def settled(engine: DockerStandIn, known: Inventory) -> None:
    """Wait until it follows events, so that nothing is asked for anew."""
    engine.await_streams()

    def follows() -> bool:
        before = len(engine.requests)
        known.containers(Deadline.after(5))
        return len(engine.requests) == before

    wait_for(follows)


def test_without_events_each_call_asks_but_not_twice_in_a_moment(
    engine: DockerStandIn, known: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.add(TWO, "two", State={"Status": "exited", "Running": False, "ExitCode": 1})
    assert names(known) == names(known) == ["one", "two"]
    assert engine.asked(LIST) == 1
    assert engine.requests[0] == "/containers/json?all=1"
    monkeypatch.setattr(inventory, "_SHARED_SECONDS", 0.0)
    del engine.containers[ONE]
    assert names(known) == ["two"]


def test_what_was_asked_for_before_events_came_is_not_told_after_them(
    engine: DockerStandIn, known: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_SHARED_SECONDS", 60.0)
    assert names(known) == ["one"]
    with watching(known):
        settled(engine, known)
        engine.add(TWO, "two")
        engine.emit(event(TWO, "two", "start"))
        wait_for(lambda: names(known) == ["one", "two"])
    assert names(known) == ["one", "two"]


def test_with_events_only_what_changes_is_asked_for(
    engine: DockerStandIn, known: Inventory
) -> None:
    with watching(known):
        settled(engine, known)
        engine.requests.clear()
        engine.add(TWO, 'two "quoted"\n')
        engine.emit(event(TWO, 'two "quoted"\n', "create"), event(TWO, 'two "quoted"\n', "start"))
        wait_for(lambda: names(known) == ["one", 'two "quoted"\n'])
        engine.add(ONE, "renamed")
        engine.emit(event(ONE, "renamed", "rename"))
        wait_for(lambda: names(known) == ["renamed", 'two "quoted"\n'])
        del engine.containers[TWO]
        engine.emit(event(TWO, 'two "quoted"\n', "destroy"))
        wait_for(lambda: names(known) == ["renamed"])
        assert engine.asked(LIST) == 0
    assert known.events() == {
        ('two "quoted"\n', "create"): 1,
        ('two "quoted"\n', "start"): 1,
        ("renamed", "rename"): 1,
        ('two "quoted"\n', "destroy"): 1,
    }


def test_details_of_actions_and_chatter_are_left_out(
    engine: DockerStandIn, known: Inventory
) -> None:
    with watching(known):
        settled(engine, known)
        engine.emit(
            event(ONE, "one", "exec_create: /bin/sh -c echo $SECRET"),
            event(ONE, "one", "exec_die"),
            event(ONE, "one", "health_status: unhealthy"),
            event(ONE, "one", "health_status: healthy"),
            event(ONE, "one", "died"),
            {"Type": "network", "Action": "connect", "Actor": {"ID": "x", "Attributes": {}}},
            {"Type": "container", "Action": "start", "Actor": None},
            {"status": "old"},
            event(ONE, "one", "die"),
        )
        wait_for(lambda: known.events().get(("one", "die")) == 2)
        assert known.events() == {("one", "health_status"): 2, ("one", "die"): 2}


def test_a_container_that_goes_between_list_and_inspection_is_left_out(
    engine: DockerStandIn, known: Inventory
) -> None:
    engine.listed = [TWO]
    assert names(known) == ["one"]


def test_an_engine_that_restarts_is_found_again_and_asked_for_what_was_missed(
    engine: DockerStandIn, known: Inventory
) -> None:
    with watching(known) as failures:
        settled(engine, known)
        engine.emit(event(ONE, "one", "die", nanoseconds=1_700_000_000_999_999_999))
        wait_for(lambda: ("one", "die") in known.events())
        engine.send(b'40\r\n{"Type": "con')
        engine.add(TWO, "two")
        engine.cut()
        settled(engine, known)
        assert names(known) == ["one", "two"]
        assert [str(one) for one in failures] == [
            f"{engine.address}: the stream of events has ended"
        ]
        assert "since" not in engine.requests[0]
        asked = [one for one in engine.requests if one.startswith(EVENTS)]
        assert asked[-1].endswith("&since=1700000001.000000000")
        engine.emit(event(TWO, "two", "start"))
        wait_for(lambda: ("two", "start") in known.events())
    assert known.events() == {("one", "die"): 1, ("two", "start"): 1}


def test_a_stream_that_breaks_before_its_first_event_loses_nothing(
    engine: DockerStandIn, known: Inventory
) -> None:
    before = time.time()
    with watching(known):
        settled(engine, known)
        engine.cut()
        settled(engine, known)
    first, second = [one for one in engine.requests if one.startswith(EVENTS)]
    assert "since" not in first
    assert before <= float(second.partition("since=")[2]) <= time.time()


def test_what_comes_while_everything_is_listed_is_not_lost(
    engine: DockerStandIn, known: Inventory
) -> None:
    listing = threading.Event()

    def late(connection: socket.socket) -> None:
        engine.await_streams()
        engine.add(TWO, "two")
        engine.emit(event(TWO, "two", "start"))
        listing.set()
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b'[{"Id": "%s"}]' % ONE.encode())

    engine.instead[LIST] = late
    with watching(known):
        assert listing.wait(10)
        wait_for(lambda: ("two", "start") in known.events())
        wait_for(lambda: names(known) == ["one", "two"])


def test_everything_is_listed_again_from_time_to_time(
    engine: DockerStandIn, known: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_TICK_SECONDS", 0.02)
    with watching(known):
        settled(engine, known)
        engine.add(TWO, "two")
        assert names(known) == ["one"]
        monkeypatch.setattr(inventory, "_REFRESH_SECONDS", 0.05)
        wait_for(lambda: names(known) == ["one", "two"])
        assert len(engine.streams) == 1


def test_a_stream_that_has_gone_quiet_for_good_is_not_believed(
    engine: DockerStandIn, known: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread hangs in a refresh, say."""
    with watching(known):
        settled(engine, known)
        engine.requests.clear()
        engine.add(TWO, "two")
        engine.instead[LIST] = lambda _: engine.over.wait() and None
        monkeypatch.setattr(inventory, "_REFRESH_SECONDS", 0.0)
        monkeypatch.setattr(inventory, "_REFRESH_PATIENCE_SECONDS", 1.0)
        wait_for(lambda: engine.asked(LIST) == 1)
        with pytest.raises(SourceError, match="no complete answer in time"):
            names(known, 0.2)
        del engine.instead[LIST]
        wait_for(lambda: names(known) == ["one", "two"])


def test_one_container_that_the_engine_cannot_tell_about_costs_itself_only(
    engine: DockerStandIn, known: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_SHARED_SECONDS", 0.0)
    engine.add(TWO, "two")
    engine.containers[THREE] = inspection(THREE, "three") | {"State": "none of yours"}
    engine.instead[f"/containers/{TWO}/json"] = lambda connection: connection.sendall(
        b"HTTP/1.1 500 X\r\nContent-Length: 24\r\n\r\nlayer does not exist: 77"
    )
    with structlog.testing.capture_logs() as logged:
        assert names(known) == names(known) == ["one"]
    assert {one["container_id"] for one in logged} == {TWO, THREE}
    assert len(logged) == 2


def test_one_container_that_the_engine_holds_locked_costs_nobody_else(
    engine: DockerStandIn, known: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs in a start, say; the engine then answers no inspection of it."""
    monkeypatch.setattr(inventory, "_SHARED_SECONDS", 0.0)
    engine.add(TWO, "two")
    engine.add(THREE, "three")
    path = f"/containers/{TWO}/json"
    assert names(known) == ["one", "three", "two"]
    engine.instead[path] = lambda _: engine.over.wait() and None
    with structlog.testing.capture_logs() as logged:
        assert names(known, 4.0) == names(known, 4.0) == ["one", "three", "two"]
        assert [one["container_id"] for one in logged] == [TWO]
    with monkeypatch.context() as hurry, watching(known) as failures:
        hurry.setattr(inventory, "_INSPECT_PATIENCE_SECONDS", 0.1)
        settled(engine, known)
        engine.emit(event(TWO, "two", "kill"), event(THREE, "three", "die"))
        wait_for(lambda: ("three", "die") in known.events())
        assert names(known) == ["one", "three", "two"]
        assert failures == []
    newcomer = Inventory(DockerApi(engine.address))
    assert names(newcomer, 4.0) == ["one", "three"]


def test_an_engine_that_tells_of_no_container_in_time_is_not_believed(
    engine: DockerStandIn, known: Inventory
) -> None:
    for digit in "456789":
        engine.add(digit * 64, digit)
        engine.instead[f"/containers/{digit * 64}/json"] = lambda _: engine.over.wait() and None
    begun = time.monotonic()
    with pytest.raises(SourceError, match="no complete answer in time"):
        names(known, 1.0)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"",
    ],
)
def test_half_a_list_is_never_taken_for_all(
    engine: DockerStandIn, known: Inventory, answer: bytes
) -> None:
    """The engine goes away while it is asked for one container after the other."""
    engine.add(TWO, "two")
    engine.instead[f"/containers/{TWO}/json"] = lambda connection: connection.sendall(answer)
    with pytest.raises(SourceError, match=engine.address):
        names(known)


@pytest.mark.parametrize("body", [b"null", b"[7]", b'["x"]', b'[{"Names": []}]', b'{"a": 1}'])
def test_a_list_that_is_none_is_an_error(
    engine: DockerStandIn, known: Inventory, body: bytes
) -> None:
    engine.instead[LIST] = lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    with pytest.raises(SourceError, match=engine.address):
        names(known)


def test_calls_at_once_share_one_answer(engine: DockerStandIn, known: Inventory) -> None:
    go_on = threading.Event()

    def slow(connection: socket.socket) -> None:
        go_on.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n[]")

    engine.instead[LIST] = slow
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(names(known))) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_for(lambda: engine.asked(LIST) == 1)
    with pytest.raises(SourceError, match="no complete answer in time"):
        names(known, 0.1)
    go_on.set()
    for thread in threads:
        thread.join()
    assert found == [[]] * 5
    assert engine.asked(LIST) == 1


def test_events_of_containers_that_have_long_been_gone_are_forgotten(
    engine: DockerStandIn, known: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_TICK_SECONDS", 0.02)
    with watching(known):
        settled(engine, known)
        engine.emit(event(ONE, "one", "die"), event(TWO, "gone", "destroy"))
        wait_for(lambda: len(known.events()) == 2)
        monkeypatch.setattr(inventory, "_REMEMBERED_SECONDS", 0.01)
        monkeypatch.setattr(inventory, "_REFRESH_SECONDS", 0.05)
        wait_for(lambda: known.events() == {("one", "die"): 1})


def test_it_stops_soon_while_nothing_happens(engine: DockerStandIn, known: Inventory) -> None:
    with watching(known):
        settled(engine, known)
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
