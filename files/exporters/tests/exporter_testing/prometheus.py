"""A real Prometheus that scrapes what a test tells it to."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from exporter_testing.process import free_port, tool


@contextmanager
def prometheus(folder: Path, scrape_configs: str) -> Iterator[int]:
    """Run a Prometheus in `folder`, with these scrape_configs in YAML, and give its port."""
    (folder / "prometheus.yml").write_text(f"scrape_configs:\n{scrape_configs}")
    port = free_port()
    command = [
        tool("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def query(port: int, expression: str) -> float:
    """Return the value of a PromQL expression as soon as it has one."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            url = f"http://127.0.0.1:{port}/api/v1/query"
            result = httpx.get(url, params={"query": expression}).json()["data"]["result"]
        except (httpx.TransportError, KeyError, ValueError):
            result = []
        if result:
            return float(result[0]["value"][1])
        time.sleep(0.2)
    pytest.fail(f"{expression} has no value after 30 s")
