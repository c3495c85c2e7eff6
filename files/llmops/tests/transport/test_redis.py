import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pyarrow.dataset import dataset

from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.storage.parquet import SCHEMA
from llmops_monitoring.transport import consumer as transport_consumer
from llmops_monitoring.transport import redis as transport_redis
from llmops_monitoring.transport.base import Transport
from llmops_monitoring.transport.consumer import RedisConsumer
from llmops_monitoring.transport.redis import STREAM, RedisTransport
from llmops_testing.backends import BackAgain, Recorder, Stuck, settings
from llmops_testing.events import call, make
from llmops_testing.redis import RedisServer
from llmops_testing.waiting import wait_for


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    one = RedisServer()
    one.start()
    yield one
    one.remove()


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    running.clear()
    return running


def config(server: RedisServer, folder: Path, **given: Any) -> MonitorConfig:
    told = {"transport": "redis", "redis_url": server.url, "overflow": "spill"}
    return settings(spill_path=folder / "spill.sqlite", **told, **given)


def deliver(one: MonitorConfig, *numbers: int) -> RedisTransport:
    """Put calls and return the transport, which has ended."""
    transport = RedisTransport(one, make)
    transport.start()
    for number in numbers:
        transport.put(call(number))
    transport.stop(10)
    return transport


def consume(
    one: MonitorConfig, backend: Recorder, enough: Callable[[RedisConsumer], bool]
) -> RedisConsumer:
    """Run a consumer until it is enough; return it."""

    async def main() -> RedisConsumer:
        consumer = RedisConsumer(one, backend)
        stop = asyncio.Event()
        running = asyncio.create_task(consumer.run(stop))
        async with asyncio.timeout(20):
            while not enough(consumer):
                await asyncio.sleep(0.005)
        stop.set()
        await running
        return consumer

    return asyncio.run(main())


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command with these settings and no others."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("LLMOPS_")}
    paths = os.pathsep.join(str(Path(one).absolute()) for one in sys.path if one)
    return subprocess.Popen(
        [sys.executable, "-m", "llmops_monitoring.transport.consumer", *arguments],
        env={**usual, "PYTHONPATH": paths, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_events_get_through_in_order(server: RedisServer, tmp_path: Path) -> None:
    one = config(server, tmp_path)
    transport = deliver(one, *range(105))
    assert isinstance(transport, Transport)
    stats = transport.stats()
    assert (stats.enqueued, stats.written) == (105, 105)
    assert server.length(STREAM) == 105
    backend = Recorder()
    consume(one, backend, lambda consumer: consumer.written == 105)
    assert backend.numbers == list(range(105))
    assert backend.closed
    assert server.length(STREAM) == 0


def test_an_outage_of_redis_is_spilled(tmp_path: Path) -> None:
    own = RedisServer()
    try:
        one = config(own, tmp_path)
        transport = RedisTransport(one, make)
        transport.start()
        for number in range(50):
            transport.put(call(number))
        wait_for(lambda: transport.stats().spilled == 50)
        own.start()
        wait_for(lambda: transport.stats().written == 50, 30)
        transport.stop(10)
        backend = Recorder()
        consume(one, backend, lambda consumer: consumer.written == 50)
        assert backend.numbers == list(range(50))
    finally:
        own.remove()


def test_an_outage_of_the_backend_waits_in_redis(server: RedisServer, tmp_path: Path) -> None:
    one = config(server, tmp_path)
    deliver(one, *range(25))
    backend = Recorder()
    backend.down = True
    seen = 0

    def enough(consumer: RedisConsumer) -> bool:
        nonlocal seen
        seen += 1
        backend.down = seen < 20
        return consumer.written == 25

    consume(one, backend, enough)
    assert backend.numbers == list(range(25))


def test_poison_is_dropped_and_its_batch_goes_through(server: RedisServer, tmp_path: Path) -> None:
    one = config(server, tmp_path)
    deliver(one, *range(20))
    with redis.Redis.from_url(server.url) as client:
        client.xadd(STREAM, {"event": "none"})
        client.xadd(STREAM, {"other": "none"})
    backend = Recorder()
    backend.poisoned = {3, 14}
    consumer = consume(one, backend, lambda consumer: consumer.written + consumer.dropped == 22)
    assert consumer.dropped == 4
    assert backend.numbers == sorted(set(range(20)) - {3, 14})
    assert server.length(STREAM) == 0


def test_poison_is_found_in_a_backend_that_does_not_tell_it_from_an_outage(
    server: RedisServer, tmp_path: Path
) -> None:
    one = config(server, tmp_path, max_retries=2)
    deliver(one, *range(20))
    backend = Recorder()
    backend.poisoned = {3, 14}
    backend.reject = OSError
    consumer = consume(one, backend, lambda consumer: consumer.written + consumer.dropped == 20)
    assert consumer.dropped == 2
    assert sorted(backend.numbers) == sorted(set(range(20)) - {3, 14})
    assert server.length(STREAM) == 0


def test_an_event_whose_last_try_came_just_too_early_is_written(
    server: RedisServer, tmp_path: Path
) -> None:
    one = config(server, tmp_path, max_retries=1)
    deliver(one, 1)
    backend = BackAgain(failing=2)
    consumer = consume(one, backend, lambda consumer: consumer.written + consumer.dropped == 1)
    assert (consumer.written, backend.numbers) == (1, [1])


def test_a_redis_that_lost_all_is_joined_again(server: RedisServer, tmp_path: Path) -> None:
    one = config(server, tmp_path)
    deliver(one, 1)
    backend = Recorder()

    def enough(consumer: RedisConsumer) -> bool:
        if consumer.written == 1 and not lost.is_set():
            lost.set()
            server.clear()
            deliver(one, 2)
        return consumer.written == 2

    lost = threading.Event()
    consume(one, backend, enough)
    assert backend.numbers == [1, 2]


def test_a_consumer_ends_in_time_while_its_backend_hangs(
    server: RedisServer, tmp_path: Path
) -> None:
    one = config(server, tmp_path, shutdown_timeout_seconds=0.1)
    deliver(one, 1)
    waits = Stuck()
    begin = time.monotonic()
    consumer = consume(one, waits, lambda _: server.pending(STREAM) == 1)
    assert time.monotonic() - begin < 10
    assert consumer.written == 0
    # It is not the group's any more, only where it took nothing along.
    assert server.consumers(STREAM) == 1
    consume(one, Recorder(), lambda _: True)
    assert server.consumers(STREAM) == 1


def test_the_command_writes_until_it_is_told_to_end(server: RedisServer, tmp_path: Path) -> None:
    deliver(config(server, tmp_path), *range(105))
    process = command(LLMOPS_REDIS_URL=server.url, LLMOPS_STORAGE__OUTPUT_DIR=str(tmp_path / "e"))
    wait_for(lambda: server.length(STREAM) == 0, 30)
    process.terminate()
    told = process.communicate(timeout=20)[1]
    assert process.returncode == 0, told
    assert "Wrote 105 events, dropped 0" in told
    assert dataset(tmp_path / "e", schema=SCHEMA).count_rows() == 105


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--help"], {}, "usage: python -m llmops_monitoring.transport.consumer"),
        ([], {}, "redis_url (LLMOPS_REDIS_URL) can't be read; expected redis://"),
        ([], {"LLMOPS_REDIS_URL": "redis://:secret:x"}, "redis_url (LLMOPS_REDIS_URL) can't be"),
        ([], {"LLMOPS_COLOR": "red"}, "LLMOPS_COLOR"),
        ([], {"LLMOPS_STORAGE": "{"}, "storage"),
        ([], {"LLMOPS_STORAGE__BACKEND": "mine"}, "there is no backend mine"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], environment: dict[str, str], told: str
) -> None:
    process = command(*arguments, **environment)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == 2
    assert told in error
    assert "secret" not in error
    assert "Traceback" not in error


def test_what_a_dead_consumer_took_is_taken_over(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_consumer, "_ABANDONED_MILLISECONDS", 10)
    one = config(server, tmp_path)
    deliver(one, *range(20))
    with redis.Redis.from_url(server.url) as client:
        client.xgroup_create(STREAM, transport_redis.GROUP, id="0")
        client.xreadgroup(transport_redis.GROUP, "dead", {STREAM: ">"}, count=15)
    backend = Recorder()
    consume(one, backend, lambda consumer: consumer.written == 20)
    assert sorted(backend.numbers) == list(range(20))


def test_a_stream_that_nobody_reads_counts_as_down(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_redis, "_MOST_ENTRIES", 30)
    transport = deliver(config(server, tmp_path), *range(50))
    stats = transport.stats()
    assert stats.enqueued == 50
    assert stats.written + stats.spilled == 50
    assert stats.written == server.length(STREAM) <= 30
