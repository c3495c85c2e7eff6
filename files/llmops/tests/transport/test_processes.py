"""The ends of real processes, and their forks."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.storage.parquet import SCHEMA, ParquetBackend
from llmops_testing.files import numbers

ROOT = Path(__file__).parents[2]
# Newer Pythons warn of each fork of a process with threads.
WARNINGS = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
ALL = list(range(95))


class Child:
    """A scenario of llmops_testing.child in a process of its own."""

    def __init__(self, scenario: str, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, *WARNINGS, "-m", "llmops_testing.child", scenario, str(folder)],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> list[str]:
        """Return what it says once it is ready."""
        assert self.process.stdout is not None
        word, *more = self.process.stdout.readline().split() or [""]
        assert word == "ready", self.process.communicate()[1]
        return more

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Return status and errors, after a signal if one is given."""
        if number is not None:
            self.process.send_signal(number)
        errors = self.process.communicate(timeout=30)[1]
        return self.process.returncode, errors


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Any]:
    children = []

    def start(scenario: str) -> Child:
        one = Child(scenario, tmp_path)
        children.append(one)
        return one

    yield start
    for one in children:
        one.process.kill()
        one.process.communicate()


def test_the_end_of_the_program_delivers(child: Any, tmp_path: Path) -> None:
    assert child("ends").end() == (0, "")
    assert numbers(tmp_path) == ALL


def test_an_error_of_the_program_stays_its_own(child: Any, tmp_path: Path) -> None:
    code, errors = child("fails").end()
    assert code == 1
    assert errors.endswith("RuntimeError: the application's own\n")
    assert numbers(tmp_path) == ALL


@pytest.mark.parametrize("scenario", ["terminated", "terminated_in_a_loop"])
def test_sigterm_delivers_and_ends_as_ever(child: Any, tmp_path: Path, scenario: str) -> None:
    one = child(scenario)
    one.ready()
    assert one.end(signal.SIGTERM) == (-signal.SIGTERM, "")
    assert numbers(tmp_path) == ALL


def test_who_handles_sigterm_keeps_it(child: Any, tmp_path: Path) -> None:
    one = child("terminated_by_itself")
    one.ready()
    assert one.end(signal.SIGTERM) == (3, "")
    assert numbers(tmp_path) == ALL


def test_sigterm_does_not_wait_longer_than_it_may(child: Any, tmp_path: Path) -> None:
    one = child("terminated_but_stuck")
    one.ready()
    begin = time.monotonic()
    code, _ = one.end(signal.SIGTERM)
    assert time.monotonic() - begin < 3
    assert code == -signal.SIGTERM
    assert numbers(tmp_path) == []


def test_sigterm_in_an_outage_leaves_all_to_the_next_process(child: Any, tmp_path: Path) -> None:
    one = child("terminated_while_spilling")
    one.ready()
    assert one.end(signal.SIGTERM)[0] == -signal.SIGTERM
    (tmp_path / "down").unlink()
    assert child("heir").end() == (0, "")
    assert numbers(tmp_path) == ALL
    assert {path.name for path in tmp_path.iterdir()} == {"numbers"}


def test_sigkill_in_an_outage_loses_nothing_that_was_spilled(child: Any, tmp_path: Path) -> None:
    one = child("killed_while_spilling")
    assert one.ready() == ["95"]
    one.end(signal.SIGKILL)
    (tmp_path / "down").unlink()
    assert child("heir").end() == (0, "")
    assert numbers(tmp_path) == ALL


def test_sigkill_loses_at_most_an_interval(child: Any, tmp_path: Path) -> None:
    one = child("killed")
    while int(one.ready()[0]) < 3000:
        pass
    one.process.send_signal(signal.SIGKILL)
    lines = one.process.communicate()[0].splitlines()
    count = int(lines[-1].split()[1]) if lines else 3000

    async def recover() -> None:
        await ParquetBackend(StorageConfig(output_dir=tmp_path)).initialize()

    asyncio.run(recover())
    table = ds.dataset(tmp_path, schema=SCHEMA).to_table()
    found = sorted(int(one, 16) for one in table["event_id"].to_pylist())
    assert found == list(range(len(found)))
    # A thousand a second, one second, and as much again for a busy machine.
    assert count - len(found) <= 2000


def test_a_forked_child_starts_clean(child: Any, tmp_path: Path) -> None:
    one = child("forked")
    assert one.ready() == ["0", "0", "False"]
    assert one.end() == (0, "")
    assert sorted(numbers(tmp_path)) == [*range(95), *range(100, 195)]


def test_forks_under_load_lose_nothing(child: Any, tmp_path: Path) -> None:
    one = child("forked_while_busy")
    assert one.ready() == ["0", "True"]
    assert one.end()[0] == 0
    found = numbers(tmp_path)
    assert len(found) == len(set(found))
    assert sorted(number for number in found if number < 1_000_000) == list(range(1500))
    parent = [number for number in found if number >= 1_000_000]
    assert sorted(parent) == list(range(1_000_000, 1_000_000 + len(parent)))


def test_pre_forked_workers_deliver(child: Any, tmp_path: Path) -> None:
    one = child("pre_forked")
    for _ in range(3):
        one.ready()
    assert one.process.stdin is not None
    one.process.stdin.write("end\n")
    one.process.stdin.flush()
    assert one.end() == (0, "")
    expected = [worker * 100 + number for worker in range(3) for number in range(95)]
    assert sorted(numbers(tmp_path)) == expected


def test_a_process_of_a_pool_delivers(child: Any, tmp_path: Path) -> None:
    assert child("pooled").end() == (0, "")
    assert numbers(tmp_path) == ALL


def test_a_child_that_ends_leaves_its_parent_alone(child: Any, tmp_path: Path) -> None:
    one = child("forked_and_left")
    assert one.ready() == ["True"]
    assert one.end() == (0, "")
    assert numbers(tmp_path) == ALL
