# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The main job, as a user does it: `make demo` on this machine, and what a real Prometheus then holds."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = "http://127.0.0.1:23001"
FILE_SYSTEM = "llm_monitor_node_filesystem"
LABEL = "label=com.docker.compose.project=llm-monitor"


def make(target: str) -> str:
    """Run a make target and return what it printed; a failure shows all of it."""
    done = subprocess.run(
        ["make", target], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"make {target} failed\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()


def ours() -> list[str]:
    """Return the containers, networks and volumes of the project on this machine."""
    kinds = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
    return [found for kind in kinds for found in docker(*kind, "--quiet", "--filter", LABEL)]


def query(expression: str) -> list[dict[str, Any]]:
    url = f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def value(expression: str) -> float:
    found = query(expression)
    assert len(found) == 1, f"{expression} has {len(found)} series: {found}"
    return float(found[0]["value"][1])


def meminfo(name: str) -> int:
    text = Path("/proc/meminfo").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    assert not ours(), "this machine is monitored already, and the test would remove that with its data: make demo-down"
    yield make("demo")
    make("demo-down")


def test_it_ends_with_where_everything_is(demo: str) -> None:
    for url in (PROMETHEUS, "http://127.0.0.1:23003", "http://127.0.0.1:9100/metrics"):
        assert url in demo
    assert re.search(r"http://127\.0\.0\.1:9445/metrics .*simulated", demo)


def test_every_target_is_up(demo: str) -> None:
    jobs = {series["metric"]["job"]: series["value"][1] for series in query("up")}
    assert jobs == dict.fromkeys(("node", "gpu", "container", "vllm", "prometheus", "alertmanager"), "1")


def test_memory_is_this_machines(demo: str) -> None:
    assert value("llm_monitor_node_memory_total_bytes") == meminfo("MemTotal")


def test_boot_time_is_this_machines(demo: str) -> None:
    btime = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    assert btime is not None
    assert value("llm_monitor_node_boot_time_seconds") == pytest.approx(int(btime[1]), abs=1)


def test_file_systems_are_those_of_df(demo: str) -> None:
    told = {series["metric"]["mountpoint"]: int(series["value"][1]) for series in query(f"{FILE_SYSTEM}_size_bytes")}
    df = subprocess.run(["df", "--block-size=1", "--output=size", *told], capture_output=True, text=True, check=True)
    assert "/" in told
    assert [str(size) for size in told.values()] == df.stdout.split()[1:]


def test_network_counters_are_the_hosts(demo: str) -> None:
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    device = next(route[0] for route in routes if route[1] == "00000000")
    received = int(Path(f"/sys/class/net/{device}/statistics/rx_bytes").read_text())
    seen = value(f'llm_monitor_node_network_receive_bytes_total{{device="{device}"}}')
    assert 0 < seen <= received
    assert seen > received / 2


def test_simulated_gpus_are_watched(demo: str) -> None:
    assert value("llm_monitor_gpu_gpus") == 8
    assert value("sum(llm_monitor_gpu_memory_total_bytes)") > 8 * 140e9
    assert value("min(llm_monitor_gpu_collector_success)") == 1


def test_alerts_reach_alertmanager(demo: str) -> None:
    with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/alertmanagers", timeout=10) as answer:
        assert len(json.load(answer)["data"]["activeAlertmanagers"]) == 1


def test_a_second_run_changes_nothing(demo: str) -> None:
    recap = re.search(r"^demo\s+: ok=(\d+)\s+changed=(\d+).*skipped=(\d+)", make("demo"), re.MULTILINE)
    assert recap is not None
    ok, changed, skipped = (int(number) for number in recap.groups())
    assert changed == 0
    assert ok + skipped <= 90


def test_nothing_is_left_afterwards(demo: str) -> None:
    make("demo-down")
    assert ours() == []
    assert not Path("/opt/llm-monitor").exists()
