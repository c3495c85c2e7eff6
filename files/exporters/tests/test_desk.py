"""The desk at which JSON APIs answer."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from exporter_testing.process import wait_for
from llm_monitor.base.web import desk as desks
from llm_monitor.base.web.desk import Desk


def test_a_request_that_waits_holds_up_neither_client_nor_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desks, "_PATIENCE_SECONDS", 0.05)
    desk = Desk("desk", "the driver")
    returns, asking = threading.Event(), list[threading.Thread]()

    def ask() -> list[dict[str, Any]]:
        asking.append(threading.current_thread())
        returns.wait(10)
        return [{"gpu": 0}]

    for _ in range(3):
        answer = desk.answer("gpus", ask)
        assert answer.status_code == 503
        assert b"the driver has not answered yet" in answer.body
    assert [thread.daemon for thread in asking] == [True]
    returns.set()
    wait_for(lambda: desk.answer("gpus", ask).body == b'[{"gpu":0}]')


def test_requests_that_wait_for_each_other_give_up_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that ends waits for all of them."""
    monkeypatch.setattr(desks, "_PATIENCE_SECONDS", 1.0)
    desk, never = Desk("desk", "the driver"), threading.Event()

    def ask() -> list[dict[str, Any]]:
        never.wait(0.5)
        return []

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: desk.answer("gpus", ask).status_code, range(8)))
    # One after the other they would take four seconds.
    assert time.monotonic() - begun < 3
    assert set(answers) == {200, 503}
