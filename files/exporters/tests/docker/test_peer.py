"""How an engine behind a TCP port is reached: by a name that may hang, over a line that may die."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from exporter_testing.docker_api import DockerStandIn, serving
from exporter_testing.process import wait_for
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.client import DockerApi
from llm_monitor.base.docker.transport import TooLateError
from llm_monitor.base.errors import SourceError

PATH = "/containers/json"


@pytest.fixture
def engine() -> Iterator[DockerStandIn]:
    with serving(DockerStandIn()) as engine:
        yield engine


def test_a_name_that_hangs_is_given_up_and_looked_up_once_at_a_time(
    engine: DockerStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked, resolve = threading.Event(), list[object](), socket.getaddrinfo

    def hang(*question: Any, **options: Any) -> Any:
        asked.append(question)
        answers.wait(10)
        return resolve("127.0.0.1", *question[1:], **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    api = DockerApi(engine.address.replace("127.0.0.1", "docker-proxy"))
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(TooLateError):
            api.get(PATH, Deadline.after(0.05))
        assert time.monotonic() - began < 1
    assert len(asked) == 1
    answers.set()
    wait_for(lambda: api.get(PATH, Deadline.after(5)) == [])


def test_a_name_is_looked_up_anew_after_it_was_not_known(
    engine: DockerStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    api = DockerApi(engine.address.replace("127.0.0.1", "nowhere.invalid"))
    with pytest.raises(SourceError, match=r"nowhere\.invalid"):
        api.get(PATH, Deadline.after(5))
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, *rest, **options: resolve("127.0.0.1", *rest, **options)
    )
    assert api.get(PATH, Deadline.after(5)) == []


def test_who_asks_as_soon_as_a_name_is_said_to_be_unknown_has_it_looked_up_anew(
    engine: DockerStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    told = Future.set_exception
    over = threading.Event()

    def tell_and_wait(self: "Future[object]", error: BaseException | None) -> None:
        told(self, error)
        over.wait(30)

    monkeypatch.setattr(Future, "set_exception", tell_and_wait)
    api = DockerApi(engine.address.replace("127.0.0.1", "nowhere.invalid"))
    with pytest.raises(SourceError, match=r"nowhere\.invalid"):
        api.get(PATH, Deadline.after(5))
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, *rest, **options: resolve("127.0.0.1", *rest, **options)
    )
    try:
        assert api.get(PATH, Deadline.after(5)) == []
    finally:
        over.set()


def test_a_thread_that_can_not_be_started_costs_one_call(
    engine: DockerStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    api = DockerApi(engine.address)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(SourceError, match="thread"):
            api.get(PATH, Deadline.after(5))
    assert api.get(PATH, Deadline.after(5)) == []


def test_a_line_on_which_nothing_happens_is_watched(engine: DockerStandIn) -> None:
    with DockerApi(engine.address).events({"type": ["container"]}) as stream:
        assert stream.next(Deadline.after(0.05)) is None
        (timer,) = timers(int(engine.address.rpartition(":")[2]))
    kind, _, when = timer.partition(":")
    # The kernel's keepalive timer, in hundredths of a second.
    assert kind == "02"
    assert 0 < int(when, 16) <= 1500


def timers(port: int) -> list[str]:
    """Return the timers of this side's established connections to `port`."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return [row[5] for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "01"]
