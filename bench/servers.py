"""Many simulated servers in one process, under a real Prometheus: what that costs on both sides.

The mock runs as in its image: with the pinned packages of requirements.txt and nothing else, and with the environment
that the image sets. A Prometheus finds all exporters of all servers by one http_sd job and scrapes each every 30
seconds. Measured is what happens once all have been scraped twice: a server is made at its first scrape.

Usage: python bench/servers.py [--servers N …] [--intervals N]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

from comparing import print_conditions
from measuring import (
    IMAGE_ENVIRONMENT,
    MIB,
    ROOT,
    Subject,
    free_port,
    install_ours,
    judge,
    running,
    wait_until_it_answers,
)

INTERVAL = 30
EXPORTERS = 6
# A start works out the 25 hours before it.
START_SECONDS = 180
MOST_SECONDS = 4 * INTERVAL
ONE = "static_configs: [{{targets: ['127.0.0.1:{port}']}}]"
MANY = "http_sd_configs: [{{url: 'http://127.0.0.1:{port}/api/v1/targets'}}]"


@dataclass(frozen=True)
class Cost:
    """What so many servers cost.

    Attributes:
        servers: How many they are.
        start: Seconds until the mock answers.
        up: The share of the targets that answer.
        p50: The median of the last scrapes' durations, in seconds.
        p95: Their 95th percentile.
        cpu: The share of a core that the mock uses.
        resident: Its resident set in bytes.
        samples: Samples a second that Prometheus takes in.
        prometheus_cpu: The share of a core that Prometheus uses.
        prometheus_resident: Its resident set in bytes.
    """

    servers: int
    start: float
    up: float
    p50: float
    p95: float
    cpu: float
    resident: int
    samples: float
    prometheus_cpu: float
    prometheus_resident: int


def find_prometheus() -> str:
    """Return the path of Prometheus: LLM_MONITOR_TOOLS, then .cache/tools, then PATH."""
    places = [
        os.environ.get("LLM_MONITOR_TOOLS", ""),
        str(ROOT / ".cache/tools/usr/bin"),
        os.environ.get("PATH", ""),
    ]
    found = shutil.which("prometheus", path=os.pathsep.join(places))
    if found is None:
        sys.exit("prometheus is neither in LLM_MONITOR_TOOLS, .cache/tools nor on PATH: `make bench`")
    return found


@contextmanager
def prometheus(port: int, discovery: str) -> Iterator[Subject]:
    """Run a Prometheus that scrapes what the mock on `port` has, until the end of the block."""
    own = free_port()
    with TemporaryDirectory() as folder:
        job = f"{{job_name: mock, scrape_interval: {INTERVAL}s, {discovery.format(port=port)}}}"
        Path(folder, "prometheus.yml").write_text(f"scrape_configs: [{job}]\n")
        command = [
            find_prometheus(),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{own}",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_it_answers(process, own)
            yield Subject("prometheus", process.pid, own)
        finally:
            process.terminate()
            process.wait(30)


def query(port: int, expression: str) -> float:
    """Return the value of a PromQL expression, 0 when it has none or Prometheus still starts."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(expression)}", timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
    except HTTPError:
        return 0.0
    return float(result[0]["value"][1]) if result else 0.0


def wait_until_scraped(port: int, targets: int) -> None:
    """Wait until all targets have been scraped twice."""
    end = time.monotonic() + MOST_SECONDS
    twice = f"count(count_over_time(up[1h]) >= 2) >= {targets}"
    while not query(port, twice):
        if time.monotonic() > end:
            sys.exit(f"not all {targets} targets were scraped twice in {MOST_SECONDS} s")
        time.sleep(1)


def measure(exporter: Path, servers: int, intervals: int) -> Cost:
    """Run so many servers and a Prometheus, and return what both cost."""
    port, began = free_port(), time.monotonic()
    command = [str(exporter), "mock"]
    variables = {"LLM_MONITOR_MOCK__PORT": str(port), "LLM_MONITOR_MOCK__SERVERS": str(servers)}
    with running("mock", command, port, START_SECONDS, **variables, **IMAGE_ENVIRONMENT) as mock:
        start = time.monotonic() - began
        with prometheus(port, MANY if servers > 1 else ONE) as peer:
            wait_until_scraped(peer.port, EXPORTERS * servers if servers > 1 else 1)
            before, since = (mock.cpu_used(), peer.cpu_used()), time.monotonic()
            time.sleep(intervals * INTERVAL)
            seconds = time.monotonic() - since
            return Cost(
                servers=servers,
                start=start,
                up=query(peer.port, "avg(up)"),
                p50=query(peer.port, "quantile(0.5, scrape_duration_seconds)"),
                p95=query(peer.port, "quantile(0.95, scrape_duration_seconds)"),
                cpu=(mock.cpu_used() - before[0]) / seconds,
                resident=mock.resident(),
                samples=query(peer.port, "sum(scrape_samples_scraped)") / INTERVAL,
                prometheus_cpu=(peer.cpu_used() - before[1]) / seconds,
                prometheus_resident=peer.resident(),
            )


def print_costs(costs: list[Cost]) -> None:
    """Print a line of figures for each number of servers."""
    print(f"{'':>40}{'scrapes':>18}{'mock':>18}{'Prometheus':>18}")
    columns = ("servers", "start s", "up %", "samples/s", "p50 ms", "p95 ms", "CPU %", "RSS MiB", "CPU %", "RSS MiB")
    print("{:>10}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}".format(*columns))
    for one in costs:
        print(
            f"{one.servers:>10}{one.start:>10.1f}{one.up * 100:>10.1f}{one.samples:>10.0f}"
            f"{one.p50 * 1e3:>9.1f}{one.p95 * 1e3:>9.1f}{one.cpu * 100:>9.1f}{one.resident / MIB:>9.0f}"
            f"{one.prometheus_cpu * 100:>9.1f}{one.prometheus_resident / MIB:>9.0f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Many simulated servers under a real Prometheus.")
    parser.add_argument("--servers", type=int, nargs="+", default=[200], help="how many, once or more (200)")
    parser.add_argument("--intervals", type=int, default=2, help="measured intervals of 30 s (2)")
    options = parser.parse_args()
    exporter = install_ours()
    costs = [measure(exporter, servers, options.intervals) for servers in options.servers]
    print_conditions(f"{options.intervals} scrapes of each target")
    print_costs(costs)
    most = max(costs, key=lambda one: one.servers)
    judge(
        [
            ("targets that do not answer, in %", (1 - most.up) * 100, 0.0),
            ("p95 of a scrape in ms", most.p95 * 1e3, 100.0),
            ("CPU of a server in ms per 30 s", most.cpu * INTERVAL / most.servers * 1e3, 60.0),
            ("RSS in MiB", most.resident / MIB, 120.0 + 2.0 * most.servers),
        ]
    )


if __name__ == "__main__":
    main()
