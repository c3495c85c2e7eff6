import asyncio
import gc
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from exporter_testing.scraping import ask
from exporter_testing.toys import (
    BAD,
    COUNTED,
    GOOD,
    HUNG,
    MANY,
    Hang,
    Toy,
    few_threads,
    good,
    toy_exporter,
)
from llm_monitor.base.collection.collector import Background, Deadline
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.collection.isolation import PATIENCE, Batch
from llm_monitor.base.collection.snapshot import Snapshot
from llm_monitor.base.errors import DeclarationError
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.metrics.family import GAUGE, Family, Sample

EAGER = Limits(min_interval=0)


def fail() -> Iterator[Sample]:
    yield BAD(1)
    message = "the source is gone"
    raise OSError(message)


def test_a_collector_that_raises_loses_its_own_series_only() -> None:
    async def check() -> None:
        found = await ask(Engine(toy_exporter(Toy("bad", (BAD,), fail), good()), EAGER))
        assert found["toy_good",] == 1
        assert ("toy_bad",) not in found
        assert found["llm_monitor_toy_up",] == 1
        assert found["llm_monitor_toy_collector_success", "good"] == 1
        assert found["llm_monitor_toy_collector_success", "bad"] == 0
        assert found["llm_monitor_toy_collector_duration_seconds", "bad"] >= 0
        assert ("llm_monitor_toy_last_success_timestamp_seconds", "bad") not in found
        moment = found["llm_monitor_toy_last_success_timestamp_seconds", "good"]
        assert abs(moment - time.time()) < 5

    asyncio.run(check())


def test_nothing_up_when_all_collectors_fail() -> None:
    async def check() -> None:
        found = await ask(Engine(toy_exporter(Toy("bad", (BAD,), fail)), EAGER))
        assert found["llm_monitor_toy_up",] == 0

    asyncio.run(check())


def test_up_is_what_the_vital_collectors_tell() -> None:
    async def check() -> None:
        bad = Toy("bad", (BAD,), fail)
        exporter = replace(toy_exporter(bad, good()), vital=frozenset({"bad"}))
        assert (await ask(Engine(exporter, EAGER)))["llm_monitor_toy_up",] == 0
        bad.give = list
        assert (await ask(Engine(exporter, EAGER)))["llm_monitor_toy_up",] == 1
        later = toy_exporter(good(), background=[Background(Hang(), 60)])
        waiting = Engine(replace(later, vital=frozenset({"hung"})), EAGER)
        assert ("llm_monitor_toy_up",) not in await ask(waiting)

    asyncio.run(check())


def test_a_vital_collector_has_to_be_there() -> None:
    with pytest.raises(DeclarationError, match="no collector is called bad"):
        replace(toy_exporter(good()), vital=frozenset({"bad"}))


def test_no_data_is_a_success() -> None:
    async def check() -> None:
        found = await ask(Engine(toy_exporter(Toy("bad", (BAD,), list)), EAGER))
        assert found["llm_monitor_toy_collector_success", "bad"] == 1
        assert found["llm_monitor_toy_up",] == 1

    asyncio.run(check())


def test_a_hung_collector_is_left_out_reported_and_never_started_twice() -> None:
    async def check() -> None:
        hang = Hang()
        engine = Engine(toy_exporter(hang, good()), Limits(min_interval=0, longest=2))
        began = time.monotonic()
        first = await ask(engine)
        assert 1.5 < time.monotonic() - began < 4
        assert first["toy_good",] == 1
        assert first["llm_monitor_toy_collector_success", "hung"] == 0
        for _ in range(3):
            began = time.monotonic()
            found = await ask(engine)
            assert time.monotonic() - began < 1
            assert found["toy_good",] == 1
            assert ("toy_hung",) not in found
            assert found["llm_monitor_toy_collector_success", "hung"] == 0
            assert found["llm_monitor_toy_collector_duration_seconds", "hung"] > 0.2
        assert hang.calls == 1

        hang.released.set()
        while (found := await ask(engine)).get(("toy_hung",)) is None:
            await asyncio.sleep(0.01)
        assert found["toy_hung",] == 2, "the late result was served"

    asyncio.run(check())


def test_a_scrape_gets_what_there_is_at_its_own_deadline() -> None:
    async def check() -> None:
        hang = Hang()
        engine = Engine(toy_exporter(good(), hang), EAGER)
        began = time.monotonic()
        answers = await asyncio.gather(ask(engine, 1), ask(engine, 2))
        assert 1.5 < time.monotonic() - began < 4
        assert all(answer["toy_good",] == 1 for answer in answers)
        hang.released.set()

    asyncio.run(check())


def test_a_thread_that_can_not_be_started_costs_one_collection_at_most() -> None:
    async def check() -> list[dict[str, Any]]:
        engine = Engine(toy_exporter(good()), Limits(min_interval=0, longest=1))
        with structlog.testing.capture_logs() as lines:
            with few_threads(0):
                found = await ask(engine)
                assert found["llm_monitor_toy_up",] == 0
                assert found["llm_monitor_toy_collector_success", "good"] == 0
                waiting = asyncio.create_task(ask(engine))
                await asyncio.sleep(0)
            assert (await waiting)["toy_good",] == 1, "the limit was gone before its end"
            assert (await ask(engine))["llm_monitor_toy_up",] == 1
        return [dict(line) for line in lines]

    assert [line["event"] for line in asyncio.run(check())] == [
        "no thread can be started",
        "collector failed",
        "threads can be started again",
        "collector recovered",
    ]


def test_a_collection_ends_in_time_when_no_second_thread_can_be_started() -> None:
    async def check() -> None:
        hang = Hang()
        engine = Engine(toy_exporter(hang, good()), Limits(min_interval=0, longest=2))
        with few_threads(1):
            began = time.monotonic()
            found = await ask(engine)
            assert time.monotonic() - began < 4
        assert found["llm_monitor_toy_collector_success", "good"] == 0
        assert (await ask(engine))["toy_good",] == 1
        hang.released.set()

    asyncio.run(check())


def test_a_collection_that_can_not_begin_costs_nobody_else_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    async def check() -> None:
        engine = Engine(toy_exporter(good()), EAGER)
        with monkeypatch.context() as broken:
            broken.setattr(Batch, "add_thread", fail)
            with pytest.raises(MemoryError):
                await ask(engine)
        assert (await ask(engine))["toy_good",] == 1

    asyncio.run(check())


def test_a_hundred_thousand_series_and_nan() -> None:
    def flood() -> Iterator[Sample]:
        for number in range(100_000):
            yield MANY(math.nan if number % 2 else number, str(number))
            yield COUNTED(1, str(number))

    async def check() -> None:
        flooding = Toy("flood", (MANY, COUNTED), flood)
        found = await ask(Engine(toy_exporter(flooding, good()), EAGER), 8)
        names = [key[0] for key in found]
        assert names.count("toy_many") == 200
        assert names.count("toy_counted_total") == 200
        assert found["toy_counted_total", "other"] == 99_801
        assert found["llm_monitor_toy_series_dropped_total", "toy_many"] == 99_800
        assert ("llm_monitor_toy_series_dropped_total", "toy_counted_total") not in found
        assert found["toy_good",] == 1
        assert found["llm_monitor_toy_collector_success", "flood"] == 1

    asyncio.run(check())


def test_the_exporters_cap_counts_all_families() -> None:
    async def check() -> None:
        many = Toy("many", (MANY, COUNTED), lambda: [MANY(1, str(n)) for n in range(30)])
        limits = Limits(min_interval=0, per_family=200, total=20)
        found = await ask(Engine(toy_exporter(good(), many), limits))
        assert [key[0] for key in found].count("toy_many") == 19
        assert found["llm_monitor_toy_series_dropped_total", "toy_many"] == 11

    asyncio.run(check())


def test_an_undeclared_family_is_the_collectors_failure() -> None:
    async def check() -> None:
        odd = Toy("odd", (BAD,), lambda: [HUNG(1)])
        found = await ask(Engine(toy_exporter(odd, good()), EAGER))
        assert found["llm_monitor_toy_collector_success", "odd"] == 0
        assert ("toy_hung",) not in found

    asyncio.run(check())


def test_scrapes_at_the_same_time_share_one_collection() -> None:
    async def check() -> None:
        slow = Toy("slow", (BAD,), lambda: [BAD(time.sleep(0.1) or 1)])
        engine = Engine(toy_exporter(slow), EAGER)
        answers = await asyncio.gather(*(ask(engine) for _ in range(50)))
        assert slow.calls == 1
        assert all(answer["toy_bad",] == 1 for answer in answers)

    asyncio.run(check())


def test_a_young_sample_is_served_again_and_an_old_one_is_not() -> None:
    async def check() -> None:
        for interval, calls in ((60, 1), (0.01, 2)):
            toy = good()
            engine = Engine(toy_exporter(toy), Limits(min_interval=interval))
            first = await engine.snapshot(Deadline.after(5))
            await asyncio.sleep(0.02)
            second = await engine.snapshot(Deadline.after(5))
            assert (second is first, toy.calls) == (calls == 1, calls)

    asyncio.run(check())


def snapshots() -> list[Snapshot]:
    """Return the samples that the process keeps."""
    gc.collect()
    return [one for one in gc.get_objects() if type(one) is Snapshot]


def test_a_sample_that_is_forgotten_is_not_kept_anywhere() -> None:
    async def check() -> None:
        # Held here, what other tests left can't go meanwhile.
        toy, before = good(), snapshots()
        engine = Engine(toy_exporter(toy), Limits(min_interval=60))
        await engine.snapshot(Deadline.after(5))
        assert len(snapshots()) == len(before) + 1
        engine.forget()
        # A timer that has been cancelled is kept until its time.
        async with asyncio.timeout(5):
            while len(snapshots()) > len(before):
                await asyncio.sleep(PATIENCE)
        assert await engine.snapshot(Deadline.after(5))
        assert toy.calls == 2

    asyncio.run(check())


def test_an_impatient_client_does_not_spoil_the_sample_of_others() -> None:
    async def check() -> None:
        free = threading.Event()
        slow = Toy("slow", (BAD,), lambda: [BAD(int(free.wait(30)))])
        engine = Engine(toy_exporter(slow, good()), Limits(min_interval=60))
        hasty = await ask(engine, 0.01)
        assert ("toy_bad",) not in hasty
        free.set()
        patient = await ask(engine)
        assert patient["toy_bad",] == 1
        assert slow.calls == 1

    asyncio.run(check())


def test_impatient_clients_do_not_raise_a_counter_of_what_was_left_out() -> None:
    async def check() -> None:
        free = threading.Event()
        slow = Toy("slow", (MANY,), lambda: [MANY(1, str(n)) for n in range(40) if free.wait(30)])
        counted = Toy("counted", (COUNTED,), lambda: [COUNTED(10, str(n)) for n in range(110)])
        engine = Engine(toy_exporter(slow, counted), Limits(min_interval=0, total=100))
        for least in (110, 510, 510):
            free.clear()
            hasty = await asyncio.gather(ask(engine, 1), ask(engine, 1))
            assert [one["toy_counted_total", "other"] for one in hasty] == [least, least]
            assert not any(key[0] == "toy_many" for one in hasty for key in one)
            free.set()
            patient = await ask(engine)
            assert patient["toy_counted_total", "other"] == 510

    asyncio.run(check())


def test_the_first_collection_makes_it_ready_even_when_it_fails() -> None:
    async def check() -> None:
        toy = Toy("bad", (BAD,), fail)
        engine = Engine(toy_exporter(toy), EAGER)
        assert not engine.ready
        engine.start()
        while not engine.ready:
            await asyncio.sleep(0.01)
        assert toy.calls == 1

    asyncio.run(check())


def test_a_stop_answers_waiting_scrapes_at_once() -> None:
    async def check() -> None:
        hang = Hang()
        engine = Engine(toy_exporter(good(), hang), EAGER)
        waiting = asyncio.create_task(ask(engine, 8))
        async with asyncio.timeout(5):
            while not hang.calls:
                await asyncio.sleep(0.01)
        began = time.monotonic()
        engine.stop()
        found = await waiting
        assert time.monotonic() - began < 1
        assert found["toy_good",] == 1
        hang.released.set()

    asyncio.run(check())


def test_failures_are_logged_once_and_so_are_recoveries() -> None:
    class Moody:
        broken = True

        def give(self) -> list[Sample]:
            if self.broken:
                message = "no such file"
                raise OSError(message)
            return [BAD(1)]

    async def check() -> list[dict[str, Any]]:
        moody = Moody()
        engine = Engine(toy_exporter(Toy("moody", (BAD,), moody.give)), EAGER)
        with structlog.testing.capture_logs() as lines:
            await ask(engine)
            await ask(engine)
            moody.broken = False
            await ask(engine)
            await ask(engine)
        return [dict(line) for line in lines]

    events = [(line["event"], line["collector"]) for line in asyncio.run(check())]
    assert events == [("collector failed", "moody"), ("collector recovered", "moody")]


def test_an_exporter_that_declares_wrongly_is_refused() -> None:
    with pytest.raises(DeclarationError, match="declared twice"):
        toy_exporter(good(), Toy("again", (GOOD,), list))
    with pytest.raises(DeclarationError, match="same name"):
        toy_exporter(good(), Toy("good", (BAD,), list))
    with pytest.raises(DeclarationError, match="toy_bad"):
        Exporter("toy", (GOOD, BAD), (good(),))


def test_those_that_are_asked_have_their_up_beside_the_exporter_s_own() -> None:
    up = Family("llm_monitor_toy_up", GAUGE, "1 when it answers.", ("server",))

    async def check() -> None:
        asking = Toy("asking", (up,), lambda: [up(0, "a"), up(1, "b")])
        snapshot = await Engine(toy_exporter(asking), EAGER).snapshot(Deadline.after(5))
        lines = [line for line in snapshot.body().decode().splitlines() if "toy_up" in line]
        assert lines == [
            "# HELP llm_monitor_toy_up 1 when it answers.",
            "# TYPE llm_monitor_toy_up gauge",
            "llm_monitor_toy_up 1",
            'llm_monitor_toy_up{server="a"} 0',
            'llm_monitor_toy_up{server="b"} 1',
        ]
        found = await ask(Engine(toy_exporter(Toy("asking", (up,), fail)), EAGER))
        assert found["llm_monitor_toy_up",] == 0

    asyncio.run(check())
    alone = Family("llm_monitor_toy_up", GAUGE, "1 when it answers.")
    with pytest.raises(DeclarationError, match="declared twice"):
        toy_exporter(Toy("asking", (alone,), list))
