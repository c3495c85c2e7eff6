"""Every call is written, dropped, queued or spilled, whatever the backend does."""

import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llmops_monitoring.transport.base import TransportStats
from llmops_monitoring.transport.queue import CallQueue, Dropped
from llmops_monitoring.transport.worker import InProcessTransport
from llmops_testing.backends import Unreliable, settings
from llmops_testing.events import call, make
from llmops_testing.waiting import wait_for

Overflow = Literal["drop_newest", "drop_oldest", "spill"]
# A million in all; what goes through SQLite costs several times as much as what doesn't.
EVENTS = {"drop_newest": 500_000, "drop_oldest": 400_000, "spill": 100_000}
OVERFLOWS = ("drop_newest", "drop_oldest", "spill")


def adds_up(stats: TransportStats) -> bool:
    gone = stats.written + sum(stats.dropped.values()) + stats.spilled
    return stats.enqueued == gone + stats.queued and min(stats.queued, stats.spilled) >= 0


def check_end(backend: Unreliable, transport: InProcessTransport, count: int) -> None:
    """Check the books of a stopped transport against what the backend saw."""
    stats = transport.stats()
    assert stats.queued == 0
    assert stats.enqueued == count
    assert stats.written == len(backend.acknowledged)
    assert backend.repeated == 0
    assert count == stats.written + sum(stats.dropped.values()) + stats.spilled


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    failing=st.floats(0, 0.9),
    poisoned=st.sets(st.integers(0, 299), max_size=5),
    batch_size=st.integers(1, 50),
    max_queue_size=st.integers(1, 200),
    max_retries=st.integers(0, 3),
    overflow=st.sampled_from(OVERFLOWS),
    spill_max_events=st.integers(1, 400),
    pauses=st.sets(st.integers(0, 299), max_size=4),
    patience=st.sampled_from([0.0, 0.05, 5.0]),
)
def test_books_add_up_under_random_failures(
    seed: int,
    failing: float,
    poisoned: set[int],
    overflow: Overflow,
    pauses: set[int],
    patience: float,
    **sizes: int,
) -> None:
    backend = Unreliable(seed, failing)
    backend.poisoned = poisoned
    with TemporaryDirectory() as folder:
        config = settings(
            overflow=overflow,
            spill_path=Path(folder) / "spill.sqlite",
            flush_interval_seconds=0.005,
            retry_backoff_seconds=0.0005,
            **sizes,
        )
        transport = InProcessTransport(backend, config, make)
        transport.start()
        for number in range(300):
            transport.put(call(number))
            if number in pauses:
                time.sleep(0.01)
                assert adds_up(transport.stats())
        transport.stop(patience)
        assert adds_up(transport.stats())
        check_end(backend, transport, 300)


@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_books_add_up_over_a_million_events(overflow: Overflow, tmp_path: Path) -> None:
    producers, each = 4, EVENTS[overflow] // 4
    backend = Unreliable(seed=7, failing=0.2)
    backend.poisoned = set(range(0, producers * each, 9973))
    config = settings(
        overflow=overflow,
        spill_path=tmp_path / "spill.sqlite",
        batch_size=500,
        max_queue_size=5_000,
        max_retries=3,
        retry_backoff_seconds=0.001,
    )
    transport = InProcessTransport(backend, config, make)
    transport.start()

    def produce(first: int) -> None:
        for number in range(first, first + each):
            transport.put(call(number))
            if number % 500 == 0:
                # As fast as the worker goes, so that not nearly all is dropped.
                wait_for(lambda: transport.stats().queued < 4_000, seconds=60)

    threads = [
        threading.Thread(target=produce, args=(number * each,)) for number in range(producers)
    ]
    for thread in threads:
        thread.start()
    enqueued = written = 0
    while any(thread.is_alive() for thread in threads):
        stats = transport.stats()
        assert adds_up(stats)
        assert stats.written >= written
        # Who drops the oldest has it out of the queue for a moment before it is counted.
        assert stats.enqueued >= enqueued - producers
        enqueued, written = stats.enqueued, stats.written
        time.sleep(0.001)
    wait_for(lambda: not (transport.stats().queued or transport.stats().spilled), seconds=60)
    transport.stop(60)
    assert backend.failed > 10
    check_end(backend, transport, producers * each)
    assert transport.stats().written > producers * each * 0.9


@given(
    st.lists(
        st.one_of(
            st.just("put"),
            st.integers(1, 7).map(lambda count: ("take", count)),
            st.sampled_from(["written", "dropped", "spilled", "replayed", "rearm", "close"]),
        ),
        max_size=200,
    ),
    st.sampled_from(OVERFLOWS),
)
def test_books_of_a_queue_add_up(steps: list[str | tuple[str, int]], overflow: Overflow) -> None:
    queue = CallQueue(5, 3, overflow, lambda: None)
    put = held = spilled = 0
    for step in steps:
        match step:
            case "put":
                queue.put(call(put))
                put += 1
            case ("take", count):
                held += len(queue.take(int(count)))
            case "written" | "dropped" | "spilled" if held:
                queue.settle(**{str(step): 1}, reason=Dropped.REJECTED)
                held -= 1
                spilled += step == "spilled"
            case "replayed" if spilled:
                queue.settle_spilled(written=1)
                spilled -= 1
            case "rearm":
                queue.rearm()
            case "close":
                queue.close()
            case _:
                continue
        stats = queue.stats()
        assert adds_up(stats)
        assert (stats.enqueued, stats.buffered, stats.spilled) == (put, held, spilled)
        assert len(queue) <= 5


def test_threads_that_drop_lose_no_count() -> None:
    queue = CallQueue(1, 1, "drop_newest", lambda: None)

    def produce() -> None:
        for number in range(50_000):
            queue.put(call(number))

    threads = [threading.Thread(target=produce) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert adds_up(queue.stats())
    assert queue.stats().enqueued == 200_000
