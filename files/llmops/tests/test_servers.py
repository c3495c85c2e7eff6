"""Servers that fork their workers: what these measured is there when they have ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.dataset as ds
import pytest

from llmops_monitoring.storage.parquet import SCHEMA
from llmops_testing.programs import free_port
from llmops_testing.redis import RedisServer
from llmops_testing.waiting import wait_for

ROOT = Path(__file__).parents[1]


class Server:
    """A program that serves until it is told to end."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder / "events"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}",
                    "REPORTING_FOLDER": str(self.folder),
                    **environment,
                },
                stdout=log,
                stderr=log,
            )

    def count(self, words: str) -> int:
        """Return how often it wrote `words`, while it runs."""
        assert self._process.poll() is None, self._log.read_text()
        return self._log.read_text().count(words)

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self) -> None:
        """End it as an operator does, and wait for it."""
        self.send(signal.SIGTERM)
        assert self._process.wait(30) == 0, self._log.read_text()

    def kill(self) -> None:
        """Leave nothing that runs."""
        self._process.kill()
        self._process.wait()

    def sessions(self) -> list[str]:
        """Return the sessions of all events, in order."""
        table = ds.dataset(self.folder, schema=SCHEMA).to_table(columns=["session_id"])
        return sorted(table["session_id"].to_pylist())


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    servers = []

    def start(*arguments: str, **environment: str) -> Server:
        servers.append(Server(tmp_path, *arguments, **environment))
        return servers[-1]

    yield start
    for one in servers:
        one.kill()


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["usual", "preloaded"])
def test_gunicorn_workers_deliver_when_they_end(serve: Any, options: list[str]) -> None:
    port = free_port()
    told = ["--bind", f"127.0.0.1:{port}", "--workers", "2", *options]
    server = serve("gunicorn", *told, "llmops_testing.served:application")
    wait_for(lambda: server.count("Booting worker") == 2, 30)
    paths = [f"/{number:02}" for number in range(40)]
    workers = {_ask(port, path) for path in paths[:20]}
    # As an operator does after a new release: workers end when others have taken their place.
    server.send(signal.SIGHUP)
    wait_for(lambda: server.count("Worker exiting") == 2, 30)
    workers |= {_ask(port, path) for path in paths[20:]}
    assert len(workers) > 1
    server.end()
    assert server.sessions() == paths


def _ask(port: int, path: str) -> str:
    """Return which process answers."""
    answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30)
    process, said = answer.text.split()
    assert said == path
    return process


def test_celery_workers_deliver_when_they_end(serve: Any, tmp_path: Path) -> None:
    redis = RedisServer()
    redis.start()
    try:
        broker = {"REPORTING_BROKER": redis.url}
        told = ["--concurrency", "2", "--max-tasks-per-child", "7", "--loglevel", "INFO"]
        server = serve("celery", "-A", "llmops_testing.tasks", "worker", *told, **broker)
        wait_for(lambda: server.count(" ready."), 30)
        numbers = [f"{number:02}" for number in range(40)]
        _send(redis.url, numbers)
        done = tmp_path / "done"
        wait_for(lambda: done.exists() and len(done.read_text().splitlines()) == 40, 30)
        server.end()
        assert server.sessions() == numbers
        assert len({line.split()[1] for line in done.read_text().splitlines()}) > 2
    finally:
        redis.remove()


def _send(broker: str, numbers: list[str]) -> None:
    # Not the module of the tasks: it would report from here, too.
    from celery import Celery

    with Celery("sender", broker=broker) as app:
        for number in numbers:
            app.send_task("answer", [number])
