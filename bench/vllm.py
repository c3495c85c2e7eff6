"""Our vLLM exporter beside the plain way, over the same stand-ins for 12 vLLM servers, in the same run.

The stand-ins serve the recording of a real vLLM from processes of their own. The plain way
(plain_vllm.py) asks them one after the other with requests, reads all that they expose with
prometheus_client's parser, and exposes it again: no deadlines, no limits, nothing summed or renamed.
Ours runs as in its image: with the pinned packages of requirements.txt and nothing else, and with the
environment that the image sets. Both are scraped over loopback as a Prometheus would ask, in rounds
that alternate; whoever is not being measured is stopped.

"Cold" asks the servers on each scrape: its pace is a little over a second, because what was asked within
the last second serves again. "Warm" serves a sample younger than min_interval. The plain way asks on
each scrape too, so its figures compare with "cold".

Usage: python bench/vllm.py [--rounds N] [--scrapes N] [--servers N]
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from comparing import in_turn, print_conditions, print_ratios, with_packages
from measuring import (
    IMAGE_ENVIRONMENT,
    PROJECT,
    Subject,
    free_port,
    install_ours,
    paused,
    print_table,
    running,
    wait_until_it_answers,
)

STAND_IN = PROJECT / "tests/exporter_testing/vllm.py"
PEER = Path(__file__).with_name("plain_vllm.py")
PEER_PACKAGES = ["requests==2.34.2", "prometheus-client==0.26.0"]
SERVERS = 12
PACE = 1.1
WARM_SCRAPES = 200
WARM_UP = 3


@contextmanager
def stand_in() -> Iterator[int]:
    """Run a stand-in for a vLLM server, and give its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(STAND_IN), "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_until_it_answers(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def start_ours(stack: ExitStack, ports: list[int], name: str, min_interval: str) -> Subject:
    """Start our exporter with that min_interval."""
    port = free_port()
    variables = {
        "LLM_MONITOR_VLLM__PORT": str(port),
        "LLM_MONITOR_VLLM__ENDPOINTS": ",".join(f"s{one}=http://127.0.0.1:{one}" for one in ports),
        "LLM_MONITOR_MIN_INTERVAL": min_interval,
    }
    command = [str(install_ours()), "vllm"]
    return stack.enter_context(running(name, command, port, **variables, **IMAGE_ENVIRONMENT))


def start_peer(stack: ExitStack, ports: list[int]) -> Subject:
    """Start the plain way."""
    python = with_packages("plain-vllm", PEER_PACKAGES) / "python"
    port = free_port()
    command = [str(python), str(PEER), str(port), *map(str, ports)]
    return stack.enter_context(running("plain", command, port, **IMAGE_ENVIRONMENT))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Our vLLM exporter beside the plain way.")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (5)")
    parser.add_argument("--scrapes", type=int, default=20, help="scrapes a round (20)")
    parser.add_argument("--servers", type=int, default=SERVERS, help=f"vLLM servers ({SERVERS})")
    options = parser.parse_args()
    with ExitStack() as stack:
        ports = [stack.enter_context(stand_in()) for _server in range(options.servers)]
        peer = start_peer(stack, ports)
        cold = start_ours(stack, ports, "llm-monitor vllm, cold", "0")
        warm = start_ours(stack, ports, "llm-monitor vllm, warm", "1h")
        for one in (peer, cold, warm):
            one.series()
        plan = [(peer, options.scrapes, PACE), (cold, options.scrapes, PACE), (warm, WARM_SCRAPES, 0.0)]
        for subject, scrapes, pace in in_turn(plan, options.rounds):
            with paused([one[0] for one in plan if one[0] is not subject]):
                subject.measure(scrapes, warm_up=0 if pace else WARM_UP, pace=pace)
        print_conditions(f"{options.servers} servers, {options.rounds} rounds of {options.scrapes} scrapes")
        print_table([peer, cold, warm])
        ratios = {
            "CPU of a scrape": cold.cpu_per_scrape / peer.cpu_per_scrape,
            "p50": cold.p50 / peer.p50,
            "p95": cold.p95 / peer.p95,
            "RSS": cold.resident() / peer.resident(),
        }
        print_ratios("ours, cold / plain", ratios)


if __name__ == "__main__":
    main()
