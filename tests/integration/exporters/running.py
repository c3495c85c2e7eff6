# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""An exporter as a process of its own, and the engine that it may ask."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.llmops.monitoring.plugins.module_utils._docker import DEFAULT_SOCKET
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from exporter_testing.process import free_port

EXPORTER = Path(sys.executable).with_name("llm-monitor-exporter")
ENGINE = os.environ.get("DOCKER_HOST", DEFAULT_SOCKET).removeprefix("unix://")


@dataclass
class Exporter:
    """A running exporter, which collects anew for each scrape."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=15) as answer:
            text: str = answer.read().decode()
        return text

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/ready") == "ready\n"
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def exporting(name: str, folder: Path, settings: dict[str, str], **environment: str) -> Iterator[Exporter]:
    """Run the exporter `name` with settings of its own section while the context lasts; it ends within 5 s."""
    port, log = free_port(), folder / "exporter.log"
    own = {f"LLM_MONITOR_{name.upper()}__{key}": text for key, text in {"PORT": str(port), **settings}.items()}
    others = {key: text for key, text in os.environ.items() if not key.startswith("LLM_MONITOR_")}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [EXPORTER, name],
            env={**others, **environment, **own, "LLM_MONITOR_MIN_INTERVAL": "0"},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    one = Exporter(port, log, process)
    try:
        wait_for(one.ready)
        yield one
    finally:
        process.terminate()
        process.wait(5)
