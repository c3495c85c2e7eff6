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
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = "http://127.0.0.1:23001"
FILE_SYSTEM = "llm_monitor_node_filesystem"
LABEL = "label=com.docker.compose.project=llm-monitor"


REAL = ("node", "container")
SIMULATED = ("gpu", "vllm", "litellm", "langfuse", "llmops")
# Of the simulated server's past.
DAYS = 0.5
# A scrape or two may have to pass.
PATIENCE_SECONDS = 90


def make(*words: str) -> str:
    """Run a make target and return what it printed; a failure shows all of it."""
    done = subprocess.run(
        ["make", *words], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"make {' '.join(words)} failed\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()


def ours() -> list[str]:
    """Return the containers, networks and volumes of the project on this machine."""
    kinds = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
    return [found for kind in kinds for found in docker(*kind, "--quiet", "--filter", LABEL)]


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def query(expression: str) -> list[dict[str, Any]]:
    url = f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    found: list[dict[str, Any]] = json.loads(read(url))["data"]["result"]
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
    yield make("demo", f"DAYS={DAYS}")
    make("demo-down")


@pytest.mark.parametrize("days", ["a week", "0.01", "400", "-1"])
def test_past_that_can_t_be_is_refused_before_anything_is_done(days: str) -> None:
    with pytest.raises(AssertionError, match=f"DAYS is {days}; it must be a number of days") as refused:
        make("demo", f"DAYS={days}")
    assert "PLAY" not in str(refused.value)


def test_it_ends_with_where_everything_is(demo: str) -> None:
    for url in (PROMETHEUS, "http://127.0.0.1:23003", "http://127.0.0.1:9100/metrics"):
        assert url in demo
    for port in (9445, 9902, 9901, 9903, 9904, 9910):
        assert re.search(rf"http://127\.0\.0\.1:{port}/.*[ (]simulat", demo), port
    assert not re.search(r"http://127\.0\.0\.1:(9100|8080)/.*simulat", demo)
    assert "GPUs, models, LiteLLM, Langfuse and applications are simulated" in demo


def test_every_target_is_up(demo: str) -> None:
    up = {series["metric"]["job"]: series["value"][1] for series in query('up{job!="vllm-engine"}')}
    assert up == dict.fromkeys((*REAL, *SIMULATED, "mock", "prometheus", "alertmanager"), "1")


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
    seen = value(f'llm_monitor_node_network_receive_bytes_total{{device="{device}"}}')
    received = int(Path(f"/sys/class/net/{device}/statistics/rx_bytes").read_text())
    assert 0 < seen <= received
    assert seen > received / 2


def test_simulated_gpus_are_watched(demo: str) -> None:
    assert value("llm_monitor_gpu_gpus") == 8
    assert value("sum(llm_monitor_gpu_memory_total_bytes)") > 8 * 140e9
    assert value("min(llm_monitor_gpu_collector_success)") == 1


def test_simulated_models_are_watched(demo: str) -> None:
    assert value("count(llm_monitor_vllm_up{container!=''} == 1)") == 5
    assert value("count(llm_monitor_litellm_up == 1)") == 1
    assert value("count(llm_monitor_langfuse_up == 1)") == 1
    assert value("count(llm_monitor_llmops_up == 1)") == 1
    models = {series["metric"]["model"] for series in query("llm_monitor_vllm_generation_tokens_total > 0")}
    wait_for(
        lambda: {series["metric"]["model"] for series in query('up{job="vllm-engine"} == 1')} == models,
        PATIENCE_SECONDS,
    )


def test_simulated_server_has_a_past_and_this_machine_has_its_own(demo: str) -> None:
    ago = f"offset {DAYS * 12:g}h"
    wait_for(lambda: bool(query(f'up{{job="gpu"}} {ago}')), 180)
    assert {one["metric"]["job"] for one in query(f"up {ago}")} == set(SIMULATED)
    assert value(f"sum(rate(llm_monitor_litellm_requests_total[10m] {ago}))") > 0
    # What is counted begins anew with the demo: nothing is counted twice where the two meet.
    hour = "sum(increase(llm_monitor_vllm_generation_tokens_total[1h]{}))"
    assert value(hour.format("")) < 2 * value(hour.format(f" offset {DAYS * 6:g}h"))
    # Recorded from what is recorded itself.
    assert value(f"min(model:llm_monitor_tokens_per_joule:rate5m {ago})") > 0
    assert value(f"count(model:llm_monitor_error_budget_left:ratio_rate30d {ago})") == 6


def test_what_is_simulated_says_so(demo: str) -> None:
    assert value('llm_monitor_mock_scenario_info{scenario="normal"}') == 1
    for port in (9445, 9902, 9901, 9903, 9904, 9910):
        assert "A simulation: " in read(f"http://127.0.0.1:{port}/")
    for port in (9100, 8080):
        assert "A simulation: " not in read(f"http://127.0.0.1:{port}/")


def test_containers_are_this_machines(demo: str) -> None:
    seen = {series["metric"]["container"] for series in query("llm_monitor_container_info")}
    assert set(docker("ps", "--format", "{{.Names}}")) <= seen
    assert not [name for name in seen if name.startswith("vllm-")]
    # None of them uses a GPU that does not exist.
    assert query("llm_monitor_container_gpu_assigned") == []


def test_simulation_fires_no_alert_on_a_usual_day(demo: str) -> None:
    alerts = json.loads(read(f"{PROMETHEUS}/api/v1/alerts"))["data"]["alerts"]
    firing = [one["labels"] for one in alerts if one["state"] == "firing"]
    assert "Watchdog" in {labels["alertname"] for labels in firing}
    # The host is real, and may well be busy while this runs.
    assert [labels for labels in firing if labels["component"] in ("gpu", "llm")] == []


def test_simulation_is_switched(demo: str) -> None:
    assert "* normal " in make("mock")
    assert "Now it plays degraded" in make("mock", "SCENARIO=degraded")
    wait_for(lambda: bool(query('llm_monitor_mock_scenario_info{scenario="degraded"}')), PATIENCE_SECONDS)
    assert "Now it plays normal" in make("mock", "SCENARIO=normal")


def test_alerts_reach_alertmanager(demo: str) -> None:
    known = json.loads(read(f"{PROMETHEUS}/api/v1/alertmanagers"))
    assert len(known["data"]["activeAlertmanagers"]) == 1


def test_a_second_run_changes_nothing(demo: str) -> None:
    told = make("demo")
    assert "Prometheus has a past already" in told
    recap = re.search(r"^demo\s+: ok=(\d+)\s+changed=(\d+).*skipped=(\d+)", told, re.MULTILINE)
    assert recap is not None
    ok, changed, skipped = (int(number) for number in recap.groups())
    assert changed == 0
    assert ok + skipped <= 90


def test_nothing_is_left_afterwards(demo: str) -> None:
    make("demo-down")
    assert ours() == []
    assert not Path("/opt/llm-monitor").exists()
