# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The vLLM exporter beside a real engine, in whose containers stand-ins for vLLM servers run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import ENGINE, exporting
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = ROOT / "files/exporters/tests/exporter_testing/vllm.py"
RECORDED = ROOT / "files/exporters/tests/vllm/recorded/metrics.txt"
PYTHON = os.path.realpath(sys.executable)
LIBRARY = sysconfig.get_paths()["stdlib"]

Run = Callable[..., str]
Ask = Callable[[str], str]


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, str]]:
    """Give two images with this machine's Python: one whose name says vLLM, and one whose name doesn't."""
    with imported("vllm-stand-in", [PYTHON]) as vllm, imported("stand-in", [PYTHON]) as other:
        yield {"vllm": vllm, "other": other}


@cache
def python_itself() -> dict[str, str]:
    """Return what this machine's Python needs beside its program: its modules, and the libraries that those need."""
    modules = [str(path) for path in Path(LIBRARY).glob("lib-dynload/*.so")]
    listing = subprocess.run(["ldd", *modules], check=True, capture_output=True, text=True).stdout
    return {path: path for path in [LIBRARY, *sorted(set(re.findall(r"=> (/\S+) \(0x", listing)))]}


@pytest.fixture
def run(images: dict[str, str]) -> Iterator[Run]:
    """Return a function that runs a stand-in in a container and gives its name; all are removed in the end."""
    with ExitStack() as stack:

        def start(
            image: str,
            *arguments: str,
            program: str = "/stand_in.py",
            labels: tuple[str, ...] = (),
            network: str = "bridge",
        ) -> str:
            name = f"llm-monitor-test-{uuid.uuid4().hex[:8]}"
            mounts = {**python_itself(), str(STAND_IN): program, str(RECORDED): "/metrics.txt"}
            options = [f"--volume={here}:{there}:ro" for here, there in mounts.items()]
            options += [f"--label={label}" for label in (*labels, "secret=planted-in-a-label")]
            options += [f"--env=PYTHONHOME={sys.base_prefix}", "--env=VLLM_API_KEY=planted-in-the-environment"]
            command = [f"/bin/{os.path.basename(PYTHON)}", program, *arguments, "--metrics=/metrics.txt"]
            subprocess.run(
                ["docker", "run", "--detach", "--name", name, "--network", network, *options, images[image], *command],
                check=True,
                capture_output=True,
            )
            stack.callback(subprocess.run, ["docker", "rm", "--force", "--volumes", name], capture_output=True)
            return name

        yield start


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Run the exporter beside the engine, and return a function that asks it."""
    with exporting("vllm", tmp_path, {"DOCKER": ENGINE, "API_KEY": "planted-key"}) as exporter:
        yield exporter.get
    assert "planted" not in exporter.log.read_text()


def up(ask: Ask) -> dict[str, str]:
    """Return which servers are up, of those that these tests have started."""
    found = re.findall(r'^llm_monitor_vllm_up\{container="(llm-monitor-test-[^"]+)"\} (.*)$', ask("/metrics"), re.M)
    return dict(found)


def by_name(ask: Ask, path: str) -> dict[str, dict[str, Any]]:
    return {one["container_name"]: one for one in json.loads(ask(path))}


def test_servers_are_found_by_label_image_and_command(run: Run, ask: Ask) -> None:
    labelled = run("other", "--port=8123", labels=("llm-monitor.vllm=true", "llm-monitor.port=8123"))
    by_image = run("vllm")
    serve = ("serve", "meta/llama", "--port", "9000", "--api-key", "planted-key")
    by_command = run("other", *serve, program="/usr/bin/vllm")
    refused = run("vllm", labels=("llm-monitor.vllm=false",))
    other = run("other")
    wait_for(lambda: up(ask) == dict.fromkeys((labelled, by_image, by_command), "1"))
    metrics = ask("/metrics")
    assert refused not in metrics
    assert other not in metrics
    for name in (labelled, by_image, by_command):
        assert f'llm_monitor_vllm_generation_tokens_total{{container="{name}",model="tiny"}} 950' in metrics
        assert f'max_model_length_tokens{{container="{name}",model="tiny"}} 512' in metrics
    told = by_name(ask, "/api/v1/containers")
    assert told[by_image]["status"] == "up"
    assert told[by_image]["version"] == "0.32.0"
    pages = [ask(f"/api/v1/{path}") for path in ("containers", "models", "gpu-map", "targets")]
    assert "planted" not in metrics + "".join(pages)


def test_prometheus_reaches_a_server_through_the_exporter(run: Run, ask: Ask) -> None:
    name = run("vllm")
    wait_for(lambda: up(ask) == {name: "1"})
    targets = {one["labels"]["container"]: one["labels"] for one in json.loads(ask("/api/v1/targets"))}
    assert targets[name]["model"] == "tiny"
    assert ask(targets[name]["__metrics_path__"]) == RECORDED.read_text()


def test_what_stops_is_down_until_it_is_removed(run: Run, ask: Ask) -> None:
    stays, stops, goes = (run("vllm") for _server in range(3))
    wait_for(lambda: up(ask) == dict.fromkeys((stays, stops, goes), "1"))
    subprocess.run(["docker", "stop", "--time=0", stops], check=True, capture_output=True)
    wait_for(lambda: up(ask) == {stays: "1", stops: "0", goes: "1"})
    removing = subprocess.Popen(["docker", "rm", "--force", goes], stdout=subprocess.DEVNULL)
    wait_for(lambda: up(ask) == {stays: "1", stops: "0"})
    assert removing.wait(30) == 0
    status = by_name(ask, "/api/v1/containers")
    assert (status[stays]["status"], status[stops]["status"]) == ("up", "exited")
    assert goes not in ask("/metrics")
    subprocess.run(["docker", "start", stops], check=True, capture_output=True)
    wait_for(lambda: up(ask) == {stays: "1", stops: "1"})


def test_a_server_that_can_not_be_reached_is_down_and_says_why(run: Run, ask: Ask, tmp_path: Path) -> None:
    name = run("vllm", network="none")
    wait_for(lambda: up(ask) == {name: "0"})
    assert (tmp_path / "exporter.log").read_text().count("no way to port 8000: its networks are none") == 1
