"""Our node exporter beside Debian's prometheus-node-exporter, on this machine, in the same run.

Both are scraped over loopback, one scrape after the other, as a Prometheus would ask, in rounds
that alternate so that what else the machine does hits both alike. "Cold" collects anew for every
scrape, "warm" serves a sample younger than min_interval. Our exporter runs as in its image: with the
pinned packages of requirements.txt and nothing else, in a virtual environment that is kept in
.cache, and with the environment that the image sets.

Usage: python bench/exporters.py [--rounds N] [--scrapes N]
"""

import argparse
import hashlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "files/exporters"
CACHE = ROOT / ".cache/bench"
PEER = "prometheus-node-exporter"
HEADERS = {
    "Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
IMAGE_ENVIRONMENT = {"PYTHONOPTIMIZE": "2", "PYTHONNODEBUGRANGES": "1"}
WARM_UP = 30
MIB = 1 << 20


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
        """CPU seconds, user and system, of one scrape."""
        return self.cpu / self.scrapes

    def resident(self) -> int:
        """Return the resident set in bytes (statm)."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu_used(self) -> float:
        """Return the CPU seconds that the process has used (utime and stime of stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measure(self, scrapes: int) -> None:
        """Scrape so many times over one connection and keep how long that took."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        for _scrape in range(WARM_UP):
            scrape(connection, HEADERS)
        before = self.cpu_used()
        took = sorted(scrape(connection, HEADERS)[0] for _scrape in range(scrapes))
        self.cpu += self.cpu_used() - before
        self.scrapes += scrapes
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
def running(name: str, command: list[str], port: int, **variables: str) -> Iterator[Subject]:
    """Run an exporter until the end of the block, and wait until it answers."""
    plain = {key: text for key, text in os.environ.items() if not key.startswith("LLM_MONITOR_")}
    process = subprocess.Popen(
        command,
        env={**plain, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(process, port)
        yield Subject(name, process.pid, port)
    finally:
        process.terminate()
        process.wait(10)


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until `process` listens on `port`, 20 seconds at most."""
    end = time.monotonic() + 20
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


def find_peer() -> str:
    """Return the path of Debian's exporter: LLM_MONITOR_TOOLS, then .cache/tools, then PATH."""
    places = [
        os.environ.get("LLM_MONITOR_TOOLS", ""),
        str(ROOT / ".cache/tools/usr/bin"),
        os.environ.get("PATH", ""),
    ]
    found = shutil.which(PEER, path=os.pathsep.join(places))
    if found is None:
        sys.exit(f"{PEER} is neither in LLM_MONITOR_TOOLS, .cache/tools nor on PATH: `make bench`")
    return found


def install() -> Path:
    """Return our exporter's command, in an environment with the image's packages only."""
    requirements = PROJECT / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = CACHE / "installed"
    if not stamp.is_file() or stamp.read_text() != wanted:
        print("Installing the image's packages into .cache/bench ...", flush=True)
        venv.create(CACHE / "venv", clear=True, with_pip=True)
        pip = [str(CACHE / "venv/bin/pip"), "install", "--quiet"]
        subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
        subprocess.run([*pip, "--no-deps", "--editable", str(PROJECT)], check=True)
        stamp.write_text(wanted)
    return CACHE / "venv/bin/llm-monitor-exporter"


def start_ours(stack: ExitStack, exporter: Path, name: str, min_interval: str) -> Subject:
    """Start our node exporter with that min_interval."""
    port = free_port()
    command = [str(exporter), "node"]
    variables = {"LLM_MONITOR_NODE__PORT": str(port), "LLM_MONITOR_MIN_INTERVAL": min_interval}
    return stack.enter_context(running(name, command, port, **variables, **IMAGE_ENVIRONMENT))


def start_peer(stack: ExitStack) -> Subject:
    """Start Debian's node exporter as its package does, but on loopback."""
    port = free_port()
    command = [find_peer(), f"--web.listen-address=127.0.0.1:{port}"]
    return stack.enter_context(running(PEER, command, port))


def print_table(subjects: list[Subject]) -> None:
    """Print a line of figures for each exporter."""
    columns = ("exporter", "p50 ms", "p95 ms", "CPU ms/scrape", "RSS MiB", "series")
    print("{:<26}{:>9}{:>9}{:>15}{:>9}{:>8}".format(*columns))
    for one in subjects:
        print(
            f"{one.name:<26}{one.p50 * 1e3:>9.2f}{one.p95 * 1e3:>9.2f}"
            f"{one.cpu_per_scrape * 1e3:>15.2f}{one.resident() / MIB:>9.1f}{one.series():>8}"
        )


def print_targets(cold: Subject, warm: Subject, peer: Subject) -> None:
    """Print what the exporter has to reach, and whether it does."""
    resident = max(cold.resident(), warm.resident()) / MIB
    targets = [
        ("cold p50 / peer's p50", cold.p50 / peer.p50, 1.5),
        ("warm p50 / peer's p50", warm.p50 / peer.p50, 0.5),
        ("CPU per cold scrape / peer's", cold.cpu_per_scrape / peer.cpu_per_scrape, 1.0),
        ("RSS in MiB", resident, 45.0),
    ]
    print()
    print(f"{'target':<34}{'measured':>10}{'at most':>10}")
    for name, measured, most in targets:
        verdict = "met" if measured <= most else "MISSED"
        print(f"{name:<34}{measured:>10.2f}{most:>10.2f}  {verdict}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Our node exporter beside Debian's.")
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds (7)")
    parser.add_argument("--scrapes", type=int, default=200, help="scrapes a round (200)")
    options = parser.parse_args()
    exporter = install()
    with ExitStack() as stack:
        peer = start_peer(stack)
        cold = start_ours(stack, exporter, "llm-monitor node, cold", "0")
        warm = start_ours(stack, exporter, "llm-monitor node, warm", "1h")
        time.sleep(2)
        subjects = [peer, cold, warm]
        for number in range(options.rounds):
            for subject in subjects[number % 3 :] + subjects[: number % 3]:
                subject.measure(options.scrapes)
        load = os.getloadavg()[0]
        python = platform.python_version()
        print(f"{options.rounds} rounds of {options.scrapes} scrapes; Python {python}, ", end="")
        print(f"{os.cpu_count()} CPUs, load {load:.1f}\n")
        print_table(subjects)
        print_targets(cold, warm, peer)


if __name__ == "__main__":
    main()
