"""Our container exporter beside Docker's own stats call, over the same containers, in the same run.

So many containers run on this machine's engine, each with a CPU and a memory limit and with nothing to
do. Ours runs as in its image: with the pinned packages of requirements.txt and nothing else, and with
the environment that the image sets. It is scraped over loopback as a Prometheus would ask, "cold": every
scrape reads all control groups anew, as min_interval is 0. In turns with that, `docker stats --no-stream`
asks the engine for the same containers.

What a scrape costs is what our process used until the next one; the engine's CPU is not part of it, as no
scrape asks the engine for anything. What `docker stats` costs is what it used itself and what the engine
used meanwhile. It gives seven numbers a container, ours about fifty series.

Usage: python bench/container.py [--containers N] [--rounds N] [--scrapes N]
"""

import argparse
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from comparing import print_conditions, print_ratios
from measuring import (
    IMAGE_ENVIRONMENT,
    MIB,
    ROOT,
    Subject,
    free_port,
    install_ours,
    judge,
    print_table,
    running,
)

sys.path.append(str(ROOT / "collections"))

from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

PACE = 0.5
WARM_UP = 5


@dataclass
class Stats:
    """What `docker stats` took.

    Attributes:
        engine: The engine's process.
        seconds: Of each call.
        cpu: CPU seconds of each call, the engine's included.
    """

    engine: Subject
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, names: list[str]) -> None:
        """Ask once for the containers `names`."""
        before = self._cpu_used()
        began = time.perf_counter()
        command = ["docker", "stats", "--no-stream", *names]
        subprocess.run(command, check=True, capture_output=True)
        self.seconds.append(time.perf_counter() - began)
        self.cpu.append(self._cpu_used() - before)

    def _cpu_used(self) -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return self.engine.cpu_used() + children.ru_utime + children.ru_stime


def engine() -> int:
    """Return the engine's process: the oldest of its name, as others may run in containers."""
    found = [int(name.parent.name) for name in Path("/proc").glob("[0-9]*/comm") if name.read_text() == "dockerd\n"]
    if not found:
        sys.exit("no dockerd runs here")
    return min(found)


@contextmanager
def containers(count: int) -> Iterator[list[str]]:
    """Give the names of so many running containers, and remove them in the end."""
    run = uuid.uuid4().hex[:8]
    names = [f"llm-monitor-bench-{run}-{number}" for number in range(count)]
    limits = ["--memory", "64m", "--cpus", "0.5"]
    with imported("sleep", ["sleep"]) as image:
        try:
            for name in names:
                command = ["docker", "run", "--detach", "--name", name, *limits, image, "sleep", "3600"]
                subprocess.run(command, check=True, capture_output=True)
            yield names
        finally:
            subprocess.run(["docker", "rm", "--force", *names], check=False, capture_output=True)


def start_ours(stack: ExitStack) -> Subject:
    """Start our container exporter so that every scrape is cold."""
    port = free_port()
    command = [str(install_ours()), "container"]
    variables = {"LLM_MONITOR_CONTAINER__PORT": str(port), "LLM_MONITOR_MIN_INTERVAL": "0"}
    name = "llm-monitor container, cold"
    return stack.enter_context(running(name, command, port, **variables, **IMAGE_ENVIRONMENT))


def targets(ours: Subject) -> list[tuple[str, float, float]]:
    """Return what our exporter has to reach."""
    return [
        ("cold p95 in ms", ours.p95 * 1e3, 250.0),
        ("CPU ms of a cold scrape", ours.cpu_per_scrape * 1e3, 40.0),
        ("RSS in MiB", ours.resident() / MIB, 60.0),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Our container exporter beside docker stats.")
    parser.add_argument("--containers", type=int, default=60, help="containers (60)")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (5)")
    parser.add_argument("--scrapes", type=int, default=40, help="scrapes a round, two a second (40)")
    options = parser.parse_args()
    with ExitStack() as stack:
        names = stack.enter_context(containers(options.containers))
        ours = start_ours(stack)
        stats = Stats(Subject("dockerd", engine(), 0))
        for _round in range(options.rounds):
            ours.measure(options.scrapes, warm_up=WARM_UP, pace=PACE)
            stats.measure(names)
        print_conditions(f"{options.containers} containers, {options.rounds} rounds of {options.scrapes} scrapes")
        print_table([ours])
        seconds, cpu = median(stats.seconds), median(stats.cpu)
        print(f"{'docker stats --no-stream':<26}{seconds * 1e3:>9.2f}{'':>9}{cpu * 1e3:>15.2f}")
        ratios = {"time": ours.p50 / seconds, "CPU, the engine included": ours.cpu_per_scrape / cpu}
        print_ratios("ours / docker stats", ratios)
        judge(targets(ours))


if __name__ == "__main__":
    main()
