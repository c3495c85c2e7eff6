"""Our GPU exporter beside nvitop-exporter, over the same fake NVML, in the same run.

The fake library of the tests plays 8 H200s, with a process on each, and adds 50 µs to every call; it
keeps a core busy meanwhile, so those 50 µs count as CPU of whoever calls. Ours runs as in its image:
with the pinned packages of requirements.txt and nothing else, and with the environment that the image
sets. Both are scraped over loopback as a Prometheus would ask, in rounds that alternate; whoever is
not being measured is stopped.

The two work differently. Ours asks the GPUs when it is scraped ("cold"; "warm" serves a sample younger
than min_interval). nvitop-exporter asks them in the background, at an interval, and a scrape serves
what it has. So that both do the same work, ours-cold and nvitop-exporter are scraped once a second and
nvitop-exporter's interval is a second: each scrape then costs one round of questions and one answer,
and that is what "CPU ms/scrape" compares. Of the latencies, "warm" compares with nvitop-exporter's:
both serve what has been asked before. "Cold" has no equal there.

Usage: python bench/gpu.py [--rounds N] [--scrapes N] [--idle SECONDS] [--delay MICROSECONDS]
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from comparing import in_turn, print_conditions, print_ratios, with_packages
from measuring import (
    IMAGE_ENVIRONMENT,
    MIB,
    PROJECT,
    Subject,
    free_port,
    install_ours,
    judge,
    paused,
    print_table,
    running,
)

sys.path.append(str(PROJECT / "tests"))

from exporter_testing.gpu.nvml import FakeNvml, Process

PEER = "nvitop-exporter"
PEER_PACKAGES = [f"{PEER}==1.7.2", "nvitop==1.7.2", "nvidia-ml-py==13.615.71", "prometheus-client==0.26.0"]
GPUS = 8
# The interval of nvitop-exporter and of scrapes. Ours asks again what GPUs there are after half a second.
PACE = 1.0
SCRAPE_INTERVAL = 30
WARM_SCRAPES = 200
WARM_UP = 3


def install_peer() -> Path:
    """Return nvitop-exporter's command, in an environment of its own."""
    return with_packages("nvitop", PEER_PACKAGES) / PEER


def busy_gpus(folder: Path, delay: int) -> FakeNvml:
    """Return 8 H200s that take `delay` µs longer for each call, with a process on each."""
    fake = FakeNvml(folder, {"delay_us": delay})
    for gpu in range(GPUS):
        fake.processes(gpu, [Process(os.getpid(), 120 << 30, sm=97)])
    return fake


def start_ours(stack: ExitStack, fake: FakeNvml, name: str, min_interval: str) -> Subject:
    """Start our GPU exporter with that min_interval."""
    port = free_port()
    variables = {"LLM_MONITOR_GPU__PORT": str(port), "LLM_MONITOR_MIN_INTERVAL": min_interval}
    command = [str(install_ours()), "gpu"]
    settings = {**variables, **IMAGE_ENVIRONMENT, **fake.environment()}
    return stack.enter_context(running(name, command, port, **settings))


def start_peer(stack: ExitStack, fake: FakeNvml) -> Subject:
    """Start nvitop-exporter, which then asks once in PACE seconds."""
    port = free_port()
    command = [str(install_peer()), "--port", str(port), "--interval", str(PACE)]
    return stack.enter_context(running(PEER, command, port, **fake.environment()))


def measure(subject: Subject, others: list[Subject], fake: FakeNvml, scrapes: int, pace: float) -> int:
    """Scrape `subject` while the others rest; return how many NVML calls that took."""
    before = sum(fake.calls().values())
    with paused(others):
        subject.measure(scrapes, warm_up=0 if pace else WARM_UP, pace=pace)
    return sum(fake.calls().values()) - before


def idle_cpu(subject: Subject, seconds: float) -> float:
    """Return the share of a core that `subject` uses while nobody scrapes it."""
    before = subject.cpu_used()
    time.sleep(seconds)
    return (subject.cpu_used() - before) / seconds


def targets(cold: Subject, warm: Subject, idle: float) -> list[tuple[str, float, float]]:
    """Return what our exporter has to reach."""
    return [
        ("cold p95 in ms", cold.p95 * 1e3, 60.0),
        ("warm p95 in ms", warm.p95 * 1e3, 10.0),
        ("RSS in MiB", max(cold.resident(), warm.resident()) / MIB, 50.0),
        (f"% of a core, a scrape in {SCRAPE_INTERVAL} s", (cold.cpu_per_scrape / SCRAPE_INTERVAL + idle) * 100, 0.2),
        ("series", cold.series(), 1000),
    ]


def ratios(cold: Subject, warm: Subject, peer: Subject) -> dict[str, float]:
    """Return our figures as multiples of nvitop-exporter's."""
    return {
        "CPU of asking and answering once": cold.cpu_per_scrape / peer.cpu_per_scrape,
        "p50 of serving what was asked before": warm.p50 / peer.p50,
        "p50, ours asking as well": cold.p50 / peer.p50,
        "RSS": max(cold.resident(), warm.resident()) / peer.resident(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Our GPU exporter beside nvitop-exporter.")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (5)")
    parser.add_argument("--scrapes", type=int, default=20, help="scrapes a round, one a second (20)")
    parser.add_argument("--idle", type=float, default=30, help="seconds without scrapes (30)")
    parser.add_argument("--delay", type=int, default=50, help="microseconds added to each NVML call (50)")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        fake = busy_gpus(Path(folder), options.delay)
        peer = start_peer(stack, fake)
        cold = start_ours(stack, fake, "llm-monitor gpu, cold", "0")
        warm = start_ours(stack, fake, "llm-monitor gpu, warm", "5s")
        for one in (peer, cold, warm):
            one.series()
        plan = [(peer, options.scrapes, PACE), (cold, options.scrapes, PACE), (warm, WARM_SCRAPES, 0.0)]
        calls = dict.fromkeys((one.name for one in (peer, cold, warm)), 0)
        for subject, scrapes, pace in in_turn(plan, options.rounds):
            others = [one[0] for one in plan if one[0] is not subject]
            calls[subject.name] += measure(subject, others, fake, scrapes, pace)
        with paused([peer, warm]):
            idle = idle_cpu(cold, options.idle)
        print_conditions(f"{options.rounds} rounds of {options.scrapes} scrapes, {options.delay} µs added to each call")
        print_table([peer, cold, warm])
        for one in (peer, cold):
            print(f"{one.name}: {calls[one.name] / one.scrapes:.0f} NVML calls a scrape")
        print(f"{cold.name}: {idle * 100:.3f} % of a core while nobody scrapes")
        print_ratios(f"ours / {PEER}'s", ratios(cold, warm, peer))
        judge(targets(cold, warm, idle))


if __name__ == "__main__":
    main()
