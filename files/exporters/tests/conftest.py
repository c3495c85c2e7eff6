"""Fixtures that start exporters as real processes."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exporter_testing.process import (
    TESTS,
    Running,
    Start,
    free_port,
    plain_environment,
    wait_for,
)

# What the image sets, so that the tests run what users run.
IMAGE_ENVIRONMENT = {"PYTHONOPTIMIZE": "2", "PYTHONNODEBUGRANGES": "1"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes longer than ten seconds")


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what lets the processes of a test run share compiled modules, as in the image."""
    folder = tmp_path_factory.mktemp("bytecode")
    return {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}


@pytest.fixture
def start(tmp_path: Path, bytecode: dict[str, str]) -> Iterator[Start]:
    """Start a program that serves, wait until it is ready, and end it after the test."""
    running: list[Running] = []

    def run(
        command: list[str],
        port: int,
        environment: Mapping[str, str] | None = None,
        ready: bool = True,
    ) -> Running:
        output = tmp_path / f"output-{port}"
        with output.open("w") as sink:
            process = subprocess.Popen(
                command,
                env={**plain_environment(), **bytecode, **(environment or {})},
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=TESTS,
                text=True,
            )
        one = Running(process, port, output)
        running.append(one)
        if ready:
            # The first one compiles all modules, on a machine that may be busy.
            wait_for(one.answers, 30)
        return one

    yield run
    for one in running:
        one.client.close()
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


@pytest.fixture
def start_node(start: Start) -> Start:
    """Start a node exporter with the given settings."""

    def run(**settings: str) -> Running:
        port = free_port()
        environment = {f"LLM_MONITOR_{name}": text for name, text in settings.items()}
        environment.update(IMAGE_ENVIRONMENT)
        command = [str(Path(sys.executable).with_name("llm-monitor-exporter")), "node"]
        return start(command, port, {"LLM_MONITOR_NODE__PORT": str(port), **environment})

    return run
