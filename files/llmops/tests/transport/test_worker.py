import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from llmops_monitoring.transport.base import Transport
from llmops_monitoring.transport.worker import InProcessTransport
from llmops_testing.backends import BackAgain, Recorder, Stuck, settings
from llmops_testing.events import call, make
from llmops_testing.starting import Started
from llmops_testing.waiting import wait_for


def put(transport: Transport, *numbers: int) -> None:
    for number in numbers:
        transport.put(call(number))


def look_first(transport: Transport) -> None:
    """Have call 99 written: the first look does not wait for a batch to be full."""
    put(transport, 99)
    assert transport.flush(5)


def test_all_arrives_in_order(started: Started) -> None:
    backend = Recorder()
    transport = started(backend)
    put(transport, *range(1005))
    assert transport.flush(5)
    assert backend.numbers == list(range(1005))
    assert transport.stop(5)
    assert backend.closed
    stats = transport.stats()
    assert (stats.enqueued, stats.written, stats.queued) == (1005, 1005, 0)
    assert stats.healthy
    assert stats.last_flush is not None
    assert not stats.running


def test_a_full_batch_does_not_wait_for_the_interval(started: Started) -> None:
    backend = Recorder()
    transport = started(backend, batch_size=10, flush_interval_seconds=600)
    look_first(transport)
    put(transport, *range(25))
    wait_for(lambda: len(backend.batches) == 3)
    assert backend.batches == [1, 10, 10]


def test_the_interval_does_not_wait_for_a_full_batch(started: Started) -> None:
    backend = Recorder()
    transport = started(backend, batch_size=10, flush_interval_seconds=0.05)
    put(transport, 1)
    wait_for(lambda: backend.numbers == [1])


def test_starting_twice_starts_one_thread(started: Started) -> None:
    before = set(threading.enumerate())
    transport = started(Recorder())
    transport.start()
    assert len(set(threading.enumerate()) - before) == 1


def test_stopping_twice_is_stopping_once(started: Started) -> None:
    transport = started(Recorder())
    put(transport, 1)
    assert transport.stop(5)
    assert transport.stop(5)


def test_calls_after_the_end_are_counted(started: Started) -> None:
    transport = started(Recorder())
    transport.stop(5)
    put(transport, 1, 2)
    assert transport.stats().dropped == {"stopped": 2}


def test_without_a_thread_nothing_is_delivered_but_all_is_stopped() -> None:
    transport = InProcessTransport(Recorder(), settings(), make)
    assert transport.stop(1)
    assert not transport.stats().running


def test_who_debugs_the_application_is_not_told_of_the_worker(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    debugged = []

    class Asks(Recorder):
        async def write_batch(self, events: Sequence[Any]) -> None:
            debugged.append(asyncio.get_running_loop().get_debug())
            await super().write_batch(events)

    transport = started(Asks())
    put(transport, 1)
    assert transport.flush(5)
    assert debugged == [False]


def test_a_failed_batch_is_tried_again(started: Started) -> None:
    backend = Recorder()
    transport = started(backend, max_retries=1000, retry_backoff_seconds=0.001)
    backend.down = True
    put(transport, *range(10))
    wait_for(lambda: transport.stats().retried >= 3)
    assert not transport.stats().healthy
    assert transport.stats().last_error == "ConnectionError: nobody answers"
    backend.down = False
    assert transport.flush(5)
    assert backend.numbers == list(range(10))
    assert transport.stats().healthy


def test_a_batch_is_dropped_after_its_last_try(started: Started) -> None:
    backend = Recorder()
    transport = started(backend, max_retries=2, flush_interval_seconds=600)
    look_first(transport)
    backend.down = True
    put(transport, *range(10))
    assert not transport.flush(5)
    stats = transport.stats()
    assert stats.dropped == {"unavailable": 10}
    assert stats.retried == 2


def test_a_backend_that_is_down_at_the_start_is_initialized_later(started: Started) -> None:
    backend = Recorder()
    backend.down = True
    transport = started(backend, max_retries=1000)
    put(transport, *range(3))
    wait_for(lambda: transport.stats().retried >= 2)
    backend.down = False
    assert transport.flush(5)
    assert backend.numbers == [0, 1, 2]


@pytest.mark.parametrize("spill", [False, True])
def test_a_poisoned_event_is_dropped_and_its_batch_goes_through(
    started: Started, *, spill: bool
) -> None:
    backend = Recorder()
    backend.poisoned = {13, 77, 78}
    transport = started(backend, batch_size=100, overflow="spill" if spill else "drop_newest")
    put(transport, *range(100))
    assert not transport.flush(5)
    assert sorted(backend.numbers) == sorted(set(range(100)) - backend.poisoned)
    assert transport.stats().dropped == {"rejected": 3}


def test_an_event_whose_last_try_came_just_too_early_is_written(started: Started) -> None:
    backend = BackAgain(failing=2)
    transport = started(backend, max_retries=1)
    put(transport, 1)
    assert transport.flush(5)
    assert backend.numbers == [1]


def test_poison_is_no_reason_to_call_a_backend_ill(started: Started) -> None:
    backend = Recorder()
    backend.poisoned = {0, 1, 2}
    transport = started(backend)
    put(transport, 0, 1, 2)
    wait_for(lambda: transport.stats().dropped == {"rejected": 3})
    assert transport.stats().healthy
    assert transport.stats().last_error == "RejectedError: poisoned"


class UnspeakableError(Exception):
    """Can't be told."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


def test_an_outage_is_told_once_and_whatever_its_error_is(
    started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    backend = Recorder()
    backend.poisoned = {3}
    backend.reject = UnspeakableError
    transport = started(backend, max_retries=2, flush_interval_seconds=600)
    look_first(transport)
    put(transport, *range(10))
    wait_for(lambda: transport.stats().dropped == {"rejected": 1})
    wait_for(lambda: transport.stats().written == 10)
    assert sorted(backend.numbers) == sorted({*range(10), 99} - {3})
    told = "The backend takes nothing: UnspeakableError: it can't be told (10 calls)"
    assert [one for one in caplog.messages if "takes nothing" in one] == [told]


@pytest.mark.parametrize("spill", [False, True])
def test_poison_is_found_in_a_backend_that_does_not_tell_it_from_an_outage(
    started: Started, *, spill: bool
) -> None:
    backend = Recorder()
    backend.poisoned = {5}
    backend.reject = OSError
    transport = started(backend, overflow="spill" if spill else "drop_newest", max_retries=1)
    put(transport, *range(10))
    wait_for(lambda: transport.stats().dropped == {"rejected": 1})
    wait_for(lambda: transport.stats().written == 9)
    assert sorted(backend.numbers) == sorted(set(range(10)) - {5})


def test_a_call_of_which_no_event_can_be_made_is_dropped(
    started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    def fussy(numbers: Sequence[Any]) -> Any:
        if any(number % 2 for number in numbers):
            message = "odd"
            raise ValueError(message)
        return make(numbers)

    backend = Recorder()
    transport = started(backend, make=fussy)
    put(transport, *range(10))
    assert not transport.flush(5)
    assert backend.numbers == [0, 2, 4, 6, 8]
    assert transport.stats().dropped == {"invalid": 5}
    # One line, not one for each.
    assert len(caplog.records) == 1


def test_a_full_queue_drops_the_newest(started: Started) -> None:
    backend = Stuck()
    transport = started(backend, batch_size=1, max_queue_size=5)
    put(transport, 0)
    wait_for(lambda: transport.stats().buffered == 1)
    put(transport, *range(1, 11))
    assert transport.stats().dropped == {"queue_full": 5}
    backend.free = True
    assert transport.flush(5)
    assert backend.numbers == [0, 1, 2, 3, 4, 5]


def test_a_full_queue_drops_the_oldest(started: Started) -> None:
    backend = Stuck()
    transport = started(backend, batch_size=1, max_queue_size=5, overflow="drop_oldest")
    put(transport, 0)
    wait_for(lambda: transport.stats().buffered == 1)
    put(transport, *range(1, 11))
    assert transport.stats().dropped == {"oldest": 5}
    backend.free = True
    assert transport.flush(5)
    assert backend.numbers == [0, 6, 7, 8, 9, 10]


def test_a_write_that_hangs_ends_with_the_transport(started: Started) -> None:
    transport = started(Stuck(), batch_size=10)
    put(transport, *range(15))
    wait_for(lambda: transport.stats().buffered > 0)
    begin = time.monotonic()
    assert not transport.stop(0.2)
    assert time.monotonic() - begin < 1.5
    stats = transport.stats()
    assert stats.dropped == {"stopped": 15}
    assert stats.queued == 0


def test_stopping_delivers_what_is_left(started: Started) -> None:
    backend = Recorder()
    transport = started(backend, batch_size=10, flush_interval_seconds=600)
    put(transport, *range(95))
    assert transport.stop(5)
    assert backend.numbers == list(range(95))


def test_flushing_in_vain_ends_in_time(started: Started) -> None:
    transport = started(Stuck(), batch_size=1)
    put(transport, 1)
    begin = time.monotonic()
    assert not transport.flush(0.1)
    assert time.monotonic() - begin < 1


def test_a_flush_tells_once_of_what_was_lost_before_it(started: Started) -> None:
    backend = Recorder()
    backend.poisoned = {1}
    transport = started(backend)
    put(transport, 0, 1)
    wait_for(lambda: transport.stats().dropped == {"rejected": 1})
    wait_for(lambda: transport.stats().queued == 0)
    assert not transport.flush(5)
    assert transport.flush(5)


def test_flushing_under_load_ends(started: Started) -> None:
    backend = Recorder()
    transport = started(backend, max_queue_size=200)
    go_on = True

    def produce() -> None:
        number = 0
        while go_on:
            transport.put(call(number))
            number += 1

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        wait_for(lambda: backend.numbers)
        assert transport.flush(5)
    finally:
        go_on = False
        thread.join()
    assert transport.stop(30)
    assert transport.stats().written == len(backend.numbers)


def test_a_backend_that_raises_a_cancellation_ends_nothing(started: Started) -> None:
    backend = Recorder()
    backend.poisoned = {1}
    backend.reject = asyncio.CancelledError  # type: ignore[assignment]
    transport = started(backend, batch_size=1, max_retries=0)
    put(transport, 0, 1, 2)
    assert not transport.flush(5)
    assert backend.numbers == [0, 2]


def test_a_running_loop_is_not_touched(started: Started) -> None:
    backend = Recorder()
    transport = started(backend)

    async def notebook() -> None:
        put(transport, *range(5))
        await asyncio.sleep(0)
        put(transport, *range(5, 10))
        assert await asyncio.to_thread(transport.flush, 5)

    asyncio.run(notebook())
    # A loop of another thread, and another one after it, as `asyncio.run` makes them.
    thread = threading.Thread(target=asyncio.run, args=(notebook(),))
    thread.start()
    thread.join()
    assert backend.numbers == [*range(10), *range(10)]


def test_the_end_of_the_worker_by_its_own_mistake_is_told(
    started: Started, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    transport = started(Recorder(), batch_size=1, flush_interval_seconds=600)
    look_first(transport)
    monkeypatch.setattr("llmops_monitoring.transport.delivery.Delivery.send", None)
    with caplog.at_level(logging.ERROR):
        put(transport, 1)
        wait_for(lambda: not transport.stats().running)
    assert "its own mistake" in caplog.text
    put(transport, 2)
    stats = transport.stats()
    assert (stats.enqueued, stats.queued, stats.dropped) == (3, 1, {"stopped": 1})


def test_is_a_transport() -> None:
    assert isinstance(InProcessTransport(Recorder(), settings(), make), Transport)
