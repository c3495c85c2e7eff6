"""Fixtures that start exporters as real processes."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exporter_testing.process import (
    EXPORTER,
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
def start_exporter(start: Start) -> Start:
    """Start the exporter of that name with the given settings, as the image would."""

    def run(
        name: str, settings: Mapping[str, str], environment: Mapping[str, str] | None = None
    ) -> Running:
        port = free_port()
        settings = {f"{name.upper()}__PORT": str(port), **settings}
        variables = {f"LLM_MONITOR_{setting}": text for setting, text in settings.items()}
        return start(
            [EXPORTER, name], port, {**variables, **IMAGE_ENVIRONMENT, **(environment or {})}
        )

    return run


@pytest.fixture
def start_node(start_exporter: Start) -> Start:
    """Start a node exporter with the given settings."""
    return lambda **settings: start_exporter("node", settings)
