"""Our node exporter beside Debian's prometheus-node-exporter, on this machine, in the same run.

Both are scraped over loopback, one scrape after the other, as a Prometheus would ask, in rounds
that alternate so that what else the machine does hits both alike. "Cold" collects anew for every
scrape, "warm" serves a sample younger than min_interval. Our exporter runs as in its image: with the
pinned packages of requirements.txt and nothing else, in a virtual environment that is kept in
.cache, and with the environment that the image sets.

Usage: python bench/exporters.py [--rounds N] [--scrapes N]
"""

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from comparing import in_turn, print_conditions
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

PEER = "prometheus-node-exporter"
WARM_UP = 30


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Our node exporter beside Debian's.")
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds (7)")
    parser.add_argument("--scrapes", type=int, default=200, help="scrapes a round (200)")
    options = parser.parse_args()
    exporter = install_ours()
    with ExitStack() as stack:
        peer = start_peer(stack)
        cold = start_ours(stack, exporter, "llm-monitor node, cold", "0")
        warm = start_ours(stack, exporter, "llm-monitor node, warm", "1h")
        time.sleep(2)
        subjects = [peer, cold, warm]
        for subject in in_turn(subjects, options.rounds):
            subject.measure(options.scrapes, warm_up=WARM_UP)
        print_conditions(f"{options.rounds} rounds of {options.scrapes} scrapes")
        print_table(subjects)
        judge(
            [
                ("cold p50 / peer's p50", cold.p50 / peer.p50, 1.5),
                ("warm p50 / peer's p50", warm.p50 / peer.p50, 0.5),
                ("CPU per cold scrape / peer's", cold.cpu_per_scrape / peer.cpu_per_scrape, 1.0),
                ("RSS in MiB", max(cold.resident(), warm.resident()) / MIB, 45.0),
            ]
        )


if __name__ == "__main__":
    main()
