import asyncio
import gc
import threading
import time
from weakref import ref

import pytest

from exporter_testing.process import wait_for
from exporter_testing.toys import few_threads
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew, Isolation


def test_every_outcome_is_told() -> None:
    isolation: Isolation[int] = Isolation(Crew("test"))
    states = isolation.run({"one": lambda: 1, "broken": lambda: 1 // 0}, Deadline.after(5))
    assert states["one"].value == 1
    assert isinstance(states["broken"].error, ZeroDivisionError)
    assert states["broken"].value is None


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_a_call_that_wants_to_end_its_thread_is_not_stuck(kind: type[BaseException]) -> None:
    def leave() -> int:
        raise kind

    isolation: Isolation[int] = Isolation(Crew("test"))
    for _ in range(2):
        states = isolation.run({"leaving": leave, "fine": lambda: 7}, Deadline.after(1))
        assert isinstance(states["leaving"].error, kind)
        assert not states["leaving"].running
        assert states["fine"].value == 7


def test_a_healthy_batch_runs_in_one_thread() -> None:
    isolation: Isolation[int] = Isolation(Crew("test"))
    calls = {str(n): threading.get_ident for n in range(20)}
    states = isolation.run(calls, Deadline.after(5))
    assert len({state.value for state in states.values()}) == 1


def test_hung_calls_hold_up_nobody_and_are_not_started_again() -> None:
    release = threading.Event()
    starts = []

    def hang() -> int:
        starts.append(1)
        release.wait()
        return 0

    isolation: Isolation[int] = Isolation(Crew("test"), patience=0.01)
    calls = {"hung1": hang, "hung2": hang, "fine": lambda: 7}
    first = isolation.run(calls, Deadline.after(1))
    assert first["fine"].value == 7
    assert first["hung1"].running
    assert first["hung1"].seconds >= 0.2

    began = time.monotonic()
    second = isolation.run(calls, Deadline.after(5))
    assert time.monotonic() - began < 3
    assert second["fine"].value == 7
    assert second["hung2"].running
    assert second["hung2"].seconds > first["hung2"].seconds
    assert len(starts) == 2

    release.set()
    wait_for(lambda: isolation.running("hung1") is None and isolation.running("hung2") is None)
    third = isolation.run(calls, Deadline.after(5))
    assert third["hung1"].value == 0
    assert len(starts) == 4


def test_a_hung_call_is_remembered_while_nobody_asks_for_it() -> None:
    release = threading.Event()
    isolation: Isolation[bool] = Isolation(Crew("test"), patience=0.01)
    isolation.run({"hung": release.wait}, Deadline.after(1))
    isolation.run({"fine": lambda: True}, Deadline.after(5))
    assert isolation.run({"hung": release.wait}, Deadline.after(5))["hung"].running
    release.set()


def test_what_could_not_be_started_is_missing() -> None:
    release = threading.Event()
    isolation: Isolation[bool] = Isolation(Crew("test"), patience=10)
    states = isolation.run({"hung": release.wait, "late": lambda: True}, Deadline.after(1))
    assert states["hung"].running
    assert "late" not in states
    release.set()


def test_where_no_thread_can_be_started_it_is_tried_again() -> None:
    isolation: Isolation[int] = Isolation(Crew("test"), patience=0.01)
    with few_threads(0):
        assert isolation.run({"one": lambda: 1}, Deadline.after(0.05)) == {}
    assert isolation.run({"one": lambda: 1}, Deadline.after(5))["one"].value == 1


def test_idle_threads_are_used_again() -> None:
    isolation: Isolation[int] = Isolation(Crew("reused"))
    for _ in range(50):
        isolation.run({"one": lambda: 1}, Deadline.after(5))
    assert sum(thread.name == "reused" for thread in threading.enumerate()) <= 2


def test_a_crew_of_one_thread_lets_calls_wait_for_it() -> None:
    crew = Crew("test", most=1)
    release, ended = threading.Event(), threading.Event()
    seen: list[int] = []

    def first() -> None:
        release.wait()
        seen.append(threading.get_ident())

    def last() -> None:
        seen.append(threading.get_ident())
        ended.set()

    crew.submit(first)
    for _ in range(20):
        crew.submit(lambda: seen.append(threading.get_ident()))
    crew.submit(last)
    assert not seen
    release.set()
    assert ended.wait(5)
    assert len(seen) == 22
    assert len(set(seen)) == 1


def test_what_calls_returned_is_forgotten_but_not_that_one_hangs() -> None:
    class Value:
        pass

    release = threading.Event()
    isolation: Isolation[Value | bool] = Isolation(Crew("test"), patience=0.01)
    states = isolation.run({"hung": release.wait, "fine": Value}, Deadline.after(1))
    value = ref(states.pop("fine").value)
    isolation.forget()
    assert isolation.running("hung")
    release.set()
    wait_for(lambda: isolation.running("hung") is None)
    isolation.forget()
    gc.collect()
    assert value() is None
