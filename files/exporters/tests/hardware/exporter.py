"""The GPU exporter as a process of its own, asked as Prometheus would."""

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from hardware.smi import Key

PREFIX = "llm_monitor_gpu_"
PATIENCE = 20.0
_COMMAND = (sys.executable, "-c", "from llm_monitor.base.cli import main; main()", "gpu")
# As in the image, but every scrape collects anew.
_SETTINGS = {
    "PYTHONOPTIMIZE": "2",
    "PYTHONNODEBUGRANGES": "1",
    "LLM_MONITOR_MIN_INTERVAL": "0",
}


class ExporterError(Exception):
    """The exporter does not run, or does not answer."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape gave.

    Attributes:
        values: By GPU (its UUID, "" for what is of no single one) and by key.
        info: The labels of llm_monitor_gpu_info by GPU.
        series: How many series there were.
        moment: When it ended, on the clock of `time.monotonic`.
        seconds: How long it took.
    """

    values: dict[str, dict[Key, float]]
    info: dict[str, dict[str, str]]
    series: int
    moment: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Exporter:
    """The running exporter.

    Attributes:
        pid: Its process.
        port: Where it listens on the loopback address.
    """

    pid: int
    port: int

    def scrape(self) -> Scrape:
        """Return what a scrape gives.

        Raises:
            ExporterError: When it does not answer.
        """
        began = time.monotonic()
        body = self._get("/metrics")
        moment = time.monotonic()
        return parsed(body, moment, moment - began)

    def processes(self) -> list[dict[str, Any]]:
        """Return what it says of the processes on the GPUs.

        Raises:
            ExporterError: When it does not answer.
        """
        told: list[dict[str, Any]] = json.loads(self._get("/api/v1/processes"))
        return told

    def unsupported(self) -> dict[str, str]:
        """Return the calls that some GPU does not support, each with the reason.

        Raises:
            ExporterError: When it does not answer.
        """
        told: dict[str, str] = {}
        for gpu in json.loads(self._get("/api/v1/gpus")):
            told |= gpu["unsupported"]
        return told

    def resident(self) -> int:
        """Return its resident set in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """Return the CPU seconds that it has used, by its own clock (clock_getcpuclockid(3))."""
        clock = ctypes.c_int()
        ctypes.CDLL(None).clock_getcpuclockid(self.pid, ctypes.byref(clock))
        return time.clock_gettime(clock.value)

    def _get(self, path: str) -> str:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
        except (OSError, HTTPException) as error:
            message = f"the exporter does not answer {path}: {error}"
            raise ExporterError(message) from error
        finally:
            connection.close()
        if answer.status != 200:
            message = f"the exporter answers {path} with {answer.status}: {body[:500]}"
            raise ExporterError(message)
        return body


def parsed(body: str, moment: float, seconds: float) -> Scrape:
    """Return what the text of a scrape says."""
    values: dict[str, dict[Key, float]] = {}
    info: dict[str, dict[str, str]] = {}
    series = 0
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            series += 1
            labels: Mapping[str, str] = sample.labels
            uuid = labels.get("gpu_uuid", "")
            name = sample.name.removeprefix(PREFIX)
            if name == "info":
                info[uuid] = dict(labels)
            others = (text for label, text in labels.items() if label not in ("gpu", "gpu_uuid"))
            values.setdefault(uuid, {})[name, *others] = sample.value
    return Scrape(values, info, series, moment, seconds)


@contextmanager
def running(log: Path) -> Iterator[Exporter]:
    """Run the exporter until the end of the block; what it logs goes to `log`.

    Raises:
        ExporterError: When it is not ready in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    plain = {name: text for name, text in os.environ.items() if not name.startswith("LLM_MONITOR_")}
    settings = {"LLM_MONITOR_GPU__PORT": str(port), **_SETTINGS}
    with log.open("w") as sink:
        process = subprocess.Popen(
            _COMMAND, env={**plain, **settings}, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        exporter = Exporter(process.pid, port)
        _wait(process, exporter, log)
        yield exporter
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", exporter: Exporter, log: Path) -> None:
    """Wait until the exporter has collected once."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            exporter.scrape()
        except ExporterError:
            time.sleep(0.1)
        else:
            return
    message = f"the exporter is not ready: {log.read_text()[-2000:]}"
    raise ExporterError(message)
