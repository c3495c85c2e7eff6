# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The GPU exporter beside a real engine: what it says of real containers whose processes use a (fake) GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import ENGINE, exporting
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "files/exporters/tests/fake_nvml/build.sh"


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with imported("sleep", ["sleep"]) as reference:
        yield reference


@pytest.fixture
def container(image: str) -> Iterator[str]:
    """Give the name of a running container, and remove it in the end."""
    name = f"llm-monitor-test-{uuid.uuid4().hex[:8]}"
    subprocess.run(
        ["docker", "run", "--detach", "--name", name, image, "sleep", "600"], check=True, capture_output=True
    )
    yield name
    subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Return a folder with a library that plays GPUs, and its state."""
    subprocess.run([BUILD, tmp_path], check=True)
    return tmp_path


@pytest.fixture
def ask(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Run the exporter beside the engine, and return a function that asks it."""
    folder = tmp_path_factory.mktemp("exporter")
    with exporting("gpu", folder, {"DOCKER": ENGINE}, LD_LIBRARY_PATH=str(library)) as exporter:
        yield exporter.get


def inspect(container: str, what: str) -> str:
    command = ["docker", "inspect", "--format", what, container]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_process_of_a_real_container_is_counted_under_its_name(
    container: str, library: Path, ask: Callable[[str], str]
) -> None:
    pid = inspect(container, "{{.State.Pid}}")
    mine = os.getpid()
    with (library / "state").open("a") as state:
        state.write(f"gpu.6.process.{pid}.memory = 3GiB\ngpu.6.process.{pid}.sm = 25\n")
        state.write(f"gpu.6.process.{mine}.memory = 1GiB\n")
    series = re.compile(rf'^llm_monitor_gpu_container_memory_used_bytes{{.*container="{container}"}} (\d+)$', re.M)
    wait_for(lambda: series.search(ask("/metrics")) is not None)
    (memory,) = series.findall(ask("/metrics"))
    assert int(memory) == 3 << 30
    processes = {one["pid"]: one for one in json.loads(ask("/api/v1/processes"))}
    assert processes[int(pid)]["name"] == "sleep"
    assert processes[int(pid)]["container"] == container
    assert processes[int(pid)]["container_id"] == inspect(container, "{{.Id}}")
    # This test itself runs on the host, or in a container that this engine does not know.
    assert processes[mine]["container"] != container
