# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The container exporter beside a real engine, which may go away, and containers that suffer."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.integration.exporters.container.relay import Relay
from ansible_collections.llmops.monitoring.tests.integration.exporters.container.series import Run, docker, scrape
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import ENGINE, Exporter, exporting
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with imported("suffering", ["sh", "sleep", "tail", "dd", "rm"]) as reference:
        yield reference


@pytest.fixture
def run(image: str) -> Iterator[Run]:
    """Run a container with a script and the given options, return its name, and remove it in the end."""
    started: list[str] = []

    def start(script: str, *options: str) -> str:
        name = f"llm-monitor-test-{uuid.uuid4().hex[:8]}"
        started.append(docker("run", "--detach", "--name", name, *options, image, "sh", "-c", script))
        return name

    yield start
    # Some have removed themselves.
    subprocess.run(["docker", "rm", "--force", "--volumes", *started], check=False, capture_output=True)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """Return an open relay in front of the engine."""
    relay = Relay(tmp_path / "docker.sock", ENGINE)
    relay.open()
    yield relay
    relay.close()


@pytest.fixture
def exporter(tmp_path: Path, relay: Relay) -> Iterator[Exporter]:
    with exporting("container", tmp_path, {"DOCKER": str(relay.path)}) as running:
        wait_for(lambda: not scrape(running).failing())
        yield running


@pytest.fixture
def scraping(exporter: Exporter) -> Iterator[list[set[str]]]:
    """Scrape all the time, and in the end expect that no scrape has failed, nor any collector."""
    failing: list[set[str]] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def scrape_on() -> None:
        while not stop.wait(0.02):
            try:
                failing.append(scrape(exporter).failing())
            except BaseException as error:
                errors.append(error)
                return

    thread = threading.Thread(target=scrape_on)
    thread.start()
    try:
        yield failing
        wait_for(lambda: bool(errors) or len(failing) > 20)
    finally:
        stop.set()
        thread.join()
    assert not errors
    assert set().union(*failing) == set()
