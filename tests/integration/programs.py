# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What tests that run real programs share: where those are, where they may listen, and waiting for what they do."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """Return the path of one of the tools that the Makefile fetches, or of an installed one."""
    folder = os.environ.get("LLM_MONITOR_TOOLS", "")
    found = shutil.which(name, path=os.pathsep.join(filter(None, [folder, os.environ["PATH"]])))
    if found is None:
        pytest.fail(f"{name} is neither in LLM_MONITOR_TOOLS ({folder or 'not set'}) nor on the PATH; see `make`.")
    return found


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until `condition` holds; fail when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} did not hold within {seconds} s"
        time.sleep(0.05)


@contextmanager
def running_prometheus(folder: Path, port: int, *flags: str) -> Iterator[str]:
    """Run a Prometheus with the `prometheus.yml` and the `data` of a folder, and give its address once it is ready."""
    url = f"http://127.0.0.1:{port}"
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *flags,
    ]
    log = folder / "log"

    def ready() -> bool:
        assert process.poll() is None, f"Prometheus ends by itself: {log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            # It reads all of its data first, which may be a month.
            wait_for(ready, 120)
            yield url
        finally:
            process.terminate()
            process.wait(60)
