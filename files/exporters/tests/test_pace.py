import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import structlog

from exporter_testing.process import wait_for
from exporter_testing.scraping import Values, ask
from exporter_testing.toys import BAD, HUNG, Hang, Toy, few_threads, good, toy_exporter
from llm_monitor.base.collection import pace
from llm_monitor.base.collection.collector import Background, Deadline
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.metrics.family import Sample

EAGER = Limits(min_interval=0)


async def until_it(engine: Engine, shows: Callable[[Values], bool]) -> Values:
    """Scrape until the metrics are as wanted."""
    end = time.monotonic() + 5
    while True:
        found = await ask(engine)
        if shows(found):
            return found
        assert time.monotonic() < end, found
        await asyncio.sleep(0.01)


async def until(engine: Engine, key: tuple[str, ...], value: float | None) -> Values:
    """Scrape until `key` has `value`, or is gone when that is None."""
    return await until_it(engine, lambda found: found.get(key) == value)


def test_a_background_collector_runs_at_its_interval_not_per_scrape() -> None:
    async def check() -> None:
        toy = Toy("slow", (BAD,), lambda: [BAD(7)])
        engine = Engine(toy_exporter(good(), background=[Background(toy, 0.2)]), EAGER)
        began, scrapes = time.monotonic(), 0
        engine.start()
        found = await until(engine, ("toy_bad",), 7)
        assert found["llm_monitor_toy_collector_success", "slow"] == 1
        async with asyncio.timeout(10):
            while toy.calls < 3:
                await ask(engine)
                scrapes += 1
        assert time.monotonic() - began > 0.35
        assert scrapes > 3
        engine.stop()

    asyncio.run(check())


def test_before_its_first_run_has_ended_nothing_is_said_about_it() -> None:
    async def check() -> None:
        hang = Hang()
        engine = Engine(toy_exporter(good(), background=[Background(hang, 10)]), EAGER)
        engine.start()
        found = await ask(engine)
        assert found["toy_good",] == 1
        assert ("llm_monitor_toy_collector_success", "hung") not in found
        hang.released.set()
        await until(engine, ("toy_hung",), 1)
        engine.stop()

    asyncio.run(check())


def test_a_background_collector_that_fails_loses_its_series() -> None:
    class Moody:
        broken = False

        def give(self) -> Iterator[Sample]:
            if self.broken:
                message = "gone"
                raise OSError(message)
            yield BAD(7)

    async def check() -> None:
        moody = Moody()
        background = Background(Toy("moody", (BAD,), moody.give), 0.05)
        engine = Engine(toy_exporter(good(), background=[background]), EAGER)
        engine.start()
        await until(engine, ("toy_bad",), 7)
        moody.broken = True
        found = await until(engine, ("toy_bad",), None)
        assert found["llm_monitor_toy_collector_success", "moody"] == 0
        engine.stop()

    asyncio.run(check())


def test_stale_results_are_not_served_and_a_stuck_run_is_not_repeated() -> None:
    class Sticky:
        calls = 0
        sticks = False
        released = threading.Event()

        def give(self) -> list[Sample]:
            self.calls += 1
            if self.sticks:
                self.released.wait()
            return [HUNG(self.calls)]

    async def check() -> None:
        sticky = Sticky()
        background = Background(Toy("sticky", (HUNG,), sticky.give), 0.1)
        engine = Engine(toy_exporter(good(), background=[background]), EAGER)
        engine.start()
        await until_it(engine, lambda found: ("toy_hung",) in found)
        sticky.sticks = True
        found = await until(engine, ("toy_hung",), None)
        assert found["llm_monitor_toy_collector_success", "sticky"] == 0
        stuck = sticky.calls
        await asyncio.sleep(0.3)
        assert sticky.calls == stuck
        sticky.released.set()
        await until_it(engine, lambda found: found.get(("toy_hung",), 0) >= stuck)
        engine.stop()

    asyncio.run(check())


def test_a_background_collector_that_could_not_be_started_is_tried_again_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "_FIRST_PAUSE", 0.05)

    async def check() -> None:
        background = Background(Toy("slow", (BAD,), lambda: [BAD(7)]), 600)
        engine = Engine(toy_exporter(good(), background=[background]), EAGER)
        with few_threads(0):
            engine.start()
            found = await ask(engine, 0.2)
            assert ("llm_monitor_toy_collector_success", "slow") not in found
        await until(engine, ("toy_bad",), 7)
        engine.stop()

    asyncio.run(check())


def test_a_background_collector_that_never_was_started_has_failed_in_the_end() -> None:
    async def check() -> None:
        background = Background(Toy("slow", (BAD,), lambda: [BAD(7)]), 0.1)
        limits = Limits(min_interval=0, longest=0.05)
        engine = Engine(toy_exporter(good(), background=[background]), limits)
        with few_threads(0):
            engine.start()
            await until(engine, ("llm_monitor_toy_collector_success", "slow"), 0)
        await until(engine, ("toy_bad",), 7)
        engine.stop()

    asyncio.run(check())


class Doorbell:
    """A watcher that fails when it is told to, and counts how often it began."""

    name = "doorbell"

    def __init__(self) -> None:
        self.begun = 0
        self.fail = threading.Event()
        self.ended = threading.Event()

    def watch(self, stop: threading.Event) -> None:
        self.begun += 1
        while not stop.wait(0.01):
            if self.fail.is_set():
                message = "the line is dead"
                raise OSError(message)
        self.ended.set()


def test_a_watcher_watches_reports_and_ends() -> None:
    async def check() -> None:
        bell = Doorbell()
        engine = Engine(toy_exporter(good(), watchers=[bell]), EAGER)
        engine.start()
        key = ("llm_monitor_toy_collector_success", "doorbell")
        await until(engine, key, 1)
        bell.fail.set()
        await until(engine, key, 0)
        bell.fail.clear()
        await until(engine, key, 1)
        assert bell.begun == 2
        engine.stop()
        assert bell.ended.wait(5)

    asyncio.run(check())


def test_a_watcher_that_could_not_be_started_says_so_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "_FIRST_PAUSE", 0.05)

    async def check() -> None:
        bell = Doorbell()
        engine = Engine(toy_exporter(good(), watchers=[bell]), EAGER)
        key = ("llm_monitor_toy_collector_success", "doorbell")
        with few_threads(0):
            engine.start()
            assert (await ask(engine, 0.2))[key] == 0
        await until(engine, key, 1)
        assert bell.begun == 1
        engine.stop()
        assert bell.ended.wait(5)

    asyncio.run(check())


@dataclass
class Moods:
    """A watcher that does the next of `moods` each time it begins, then watches until the end."""

    moods: list[Callable[[], None]]
    name: str = "moods"

    def watch(self, stop: threading.Event) -> None:
        if self.moods:
            self.moods.pop(0)()
        else:
            stop.wait()


def leave() -> None:
    raise SystemExit


@pytest.mark.parametrize("mood", [leave, lambda: None])
def test_a_watcher_that_just_ends_has_failed_and_begins_anew(mood: Callable[[], None]) -> None:
    async def check() -> None:
        moods = Moods([mood])
        engine = Engine(toy_exporter(good(), watchers=[moods]), EAGER)
        engine.start()
        key = ("llm_monitor_toy_collector_success", "moods")
        await until(engine, key, 0)
        await until(engine, key, 1)
        engine.stop()

    asyncio.run(check())


def test_a_watcher_that_watched_for_long_is_not_kept_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError

    def watch_then_fail() -> None:
        time.sleep(0.3)
        raise OSError

    monkeypatch.setattr(pace, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(pace, "_LONGEST_PAUSE", 0.2)
    guardian = pace.Guardian("toy", Moods([fail, fail, fail, watch_then_fail, fail]))
    with structlog.testing.capture_logs() as lines:
        thread = threading.Thread(target=guardian.run)
        thread.start()
        wait_for(lambda: len(lines) == 5)
        guardian.stop.set()
        thread.join(5)
    assert [line["pause_seconds"] for line in lines] == [0.01, 0.02, 0.04, 0.01, 0.02]


def test_a_deadline_counts_down_to_zero() -> None:
    assert 4 < Deadline.after(5).remaining() <= 5
    assert Deadline.after(-1).remaining() == 0
