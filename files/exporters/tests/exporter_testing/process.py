"""Exporters as real processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

TESTS = Path(__file__).resolve().parent.parent
EXPORTER = str(Path(sys.executable).with_name("llm-monitor-exporter"))


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until `condition` holds; fail when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} did not hold within {seconds} s"
        time.sleep(0.01)


_HELD: list[socket.socket] = []


def free_port() -> int:
    """Return a port of loopback on which nobody listens, and that nobody else is given.

    It stays bound until the process ends. Who is told of it may listen there all the same, as
    servers do that set SO_REUSEADDR.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    port: int = held.getsockname()[1]
    return port


def plain_environment() -> dict[str, str]:
    """Return this environment without settings of exporters."""
    return {name: text for name, text in os.environ.items() if not name.startswith("LLM_MONITOR_")}


def tool(name: str) -> str:
    """Return the path of a program of Prometheus' packages."""
    places = os.pathsep.join([os.environ.get("LLM_MONITOR_TOOLS", ""), os.environ["PATH"]])
    found = shutil.which(name, path=places)
    assert found, f"{name} is neither in LLM_MONITOR_TOOLS nor on PATH"
    return found


@dataclass
class Running:
    """A process that serves on `port`."""

    process: subprocess.Popen[str]
    port: int
    output: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=15)

    def get(self, path: str = "/metrics", **headers: str) -> httpx.Response:
        return self.client.get(path, headers={n.replace("_", "-"): v for n, v in headers.items()})

    def answers(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        try:
            return self.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    def resident(self) -> int:
        """Return the resident set in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def most_resident(self) -> int:
        """Return the most that the resident set has been, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def terminate(self) -> float:
        """Send SIGTERM and return the seconds until the process ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=15)
        return time.monotonic() - began


Start = Callable[..., Running]
