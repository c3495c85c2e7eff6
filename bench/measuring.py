"""What the benchmarks share: exporters as processes, scrapes as Prometheus makes them, and what they cost."""

import ctypes
import hashlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "files/exporters"
CACHE = ROOT / ".cache/bench"
HEADERS = {
    "Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
IMAGE_ENVIRONMENT = {"PYTHONOPTIMIZE": "2", "PYTHONNODEBUGRANGES": "1"}
MIB = 1 << 20

Target = tuple[str, float, float]


@dataclass
class Subject:
    """An exporter under measurement.

    Attributes:
        name: How the table calls it.
        pid: Its process.
        port: Its port on the loopback address.
        medians: Each round's p50, in seconds.
        tails: Each round's p95, in seconds.
        cpu: CPU seconds of all measured scrapes.
        scrapes: How many they were.
    """

    name: str
    pid: int
    port: int
    medians: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)
    cpu: float = 0.0
    scrapes: int = 0

    @property
    def p50(self) -> float:
        """The median of the rounds' medians, in seconds."""
        return statistics.median(self.medians)

    @property
    def p95(self) -> float:
        """The median of the rounds' 95th percentiles, in seconds."""
        return statistics.median(self.tails)

    @property
    def cpu_per_scrape(self) -> float:
        """CPU seconds, user and system, of one scrape and of what runs until the next one."""
        return self.cpu / self.scrapes

    def resident(self) -> int:
        """Return the resident set in bytes (statm)."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu_used(self) -> float:
        """Return the CPU seconds that the process has used, by its own clock (clock_getcpuclockid(3))."""
        clock = ctypes.c_int()
        error = ctypes.CDLL(None).clock_getcpuclockid(self.pid, ctypes.byref(clock))
        if error:
            raise OSError(error, os.strerror(error))
        return time.clock_gettime(clock.value)

    def measure(self, scrapes: int, *, warm_up: int, pace: float = 0.0) -> None:
        """Scrape so many times over one connection, at most once in `pace` seconds, and keep how long that took."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        for _scrape in range(warm_up):
            scrape(connection, HEADERS)
            time.sleep(pace)
        took = []
        before = self.cpu_used()
        began = time.monotonic()
        for number in range(scrapes):
            took.append(scrape(connection, HEADERS)[0])
            time.sleep(max(0.0, began + (number + 1) * pace - time.monotonic()))
        self.cpu += self.cpu_used() - before
        self.scrapes += scrapes
        took.sort()
        self.medians.append(took[scrapes // 2])
        self.tails.append(took[scrapes * 95 // 100])
        connection.close()

    def series(self) -> int:
        """Return how many series one scrape gives."""
        body = scrape(HTTPConnection("127.0.0.1", self.port, timeout=30), {})[1]
        return sum(bool(line) and not line.startswith(b"#") for line in body.splitlines())


def scrape(connection: HTTPConnection, headers: dict[str, str]) -> tuple[float, bytes]:
    """Return how long a scrape took, in seconds, and its body."""
    began = time.perf_counter()
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    if answer.status != 200:
        sys.exit(f"port {connection.port} answered {answer.status}")
    return took, body


@contextmanager
def running(name: str, command: list[str], port: int, patience: int = 20, /, **variables: str) -> Iterator[Subject]:
    """Run an exporter until the end of the block, and wait until it answers, `patience` seconds at most."""
    plain = {key: text for key, text in os.environ.items() if not key.startswith("LLM_MONITOR_")}
    process = subprocess.Popen(
        command,
        env={**plain, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(process, port, patience)
        yield Subject(name, process.pid, port)
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def paused(subjects: Sequence[Subject]) -> Iterator[None]:
    """Let these rest until the end of the block, so that what they do in the background disturbs nobody."""
    for one in subjects:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in subjects:
            os.kill(one.pid, signal.SIGCONT)


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int, patience: int = 20) -> None:
    """Wait until `process` listens on `port`, so many seconds at most."""
    end = time.monotonic() + patience
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"{process.args!r} does not answer on port {port}")


def free_port() -> int:
    """Return a port of the loopback address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def install_ours() -> Path:
    """Return our exporter's command, in an environment with the image's packages only."""
    requirements = PROJECT / "requirements.txt"

    def fill(pip: list[str]) -> None:
        subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
        subprocess.run([*pip, "--no-deps", "--editable", str(PROJECT)], check=True)

    return environment("venv", requirements.read_bytes(), fill) / "llm-monitor-exporter"


def environment(name: str, content: bytes, fill: Callable[[list[str]], None]) -> Path:
    """Return the programs' folder of a virtual environment in .cache/bench.

    `fill` installs into it with the command that it is given, unless that was done for the same `content` before.
    """
    folder, stamp = CACHE / name, CACHE / f"{name}.installed"
    wanted = hashlib.sha256(content + sys.version.encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"Installing packages into {folder.relative_to(ROOT)} ...", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        fill([str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"])
        stamp.write_text(wanted)
    return folder / "bin"


def print_table(subjects: Sequence[Subject]) -> None:
    """Print a line of figures for each exporter."""
    columns = ("exporter", "p50 ms", "p95 ms", "CPU ms/scrape", "RSS MiB", "series")
    print("{:<26}{:>9}{:>9}{:>15}{:>9}{:>8}".format(*columns))
    for one in subjects:
        print(
            f"{one.name:<26}{one.p50 * 1e3:>9.2f}{one.p95 * 1e3:>9.2f}"
            f"{one.cpu_per_scrape * 1e3:>15.2f}{one.resident() / MIB:>9.1f}{one.series():>8}"
        )


def judge(targets: Sequence[Target]) -> None:
    """Print what the exporter has to reach, and whether it does: each with its name, the figure and the most.

    Raises:
        SystemExit: One is missed.
    """
    print()
    print(f"{'target':<34}{'measured':>10}{'at most':>10}")
    for name, measured, most in targets:
        verdict = "met" if measured <= most else "MISSED"
        print(f"{name:<34}{measured:>10.2f}{most:>10.2f}  {verdict}")
    missed = [name for name, measured, most in targets if measured > most]
    if missed:
        sys.exit(f"\nmissed: {', '.join(missed)}")
