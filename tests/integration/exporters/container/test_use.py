# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What containers use and what they are, beside what the kernel and the engine say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.integration.exporters.container.series import (
    Run,
    docker,
    inspect,
    scrape,
)
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import Exporter
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for

SECRET = "planted-9d1c"
BUSY = "while :; do :; done"


def group(pid: int, controller: str) -> Path:
    """Return the folder of a process' control group, of whatever version."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _number, names, path = line.split(":", 2)
        if controller in names.split(","):
            return Path("/sys/fs/cgroup", controller) / path.lstrip("/")
    return Path("/sys/fs/cgroup") / path.lstrip("/")


def cpu_seconds(pid: int) -> float:
    usage = group(pid, "cpuacct") / "cpuacct.usage"
    if usage.exists():
        return int(usage.read_text()) / 1e9
    return int((group(pid, "cpu") / "cpu.stat").read_text().split()[1]) / 1e6


def memory_used(pid: int) -> int:
    folder = group(pid, "memory")
    first = folder / "memory.usage_in_bytes"
    return int((first if first.exists() else folder / "memory.current").read_text())


def received(pid: int) -> int:
    (line,) = [one for one in Path(f"/proc/{pid}/net/dev").read_text().splitlines() if "eth0:" in one]
    return int(line.partition(":")[2].split()[0])


def test_what_a_busy_container_uses_is_what_its_group_says(exporter: Exporter, run: Run) -> None:
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null"
    name = run(f"{fill}; {BUSY}", "--cpus", "0.5", "--memory", "128m", "--shm-size", "64m")
    pid = inspect(name)["State"]["Pid"]
    wait_for(lambda: cpu_seconds(pid) > 3)
    before = cpu_seconds(pid), memory_used(pid)
    series = scrape(exporter)
    after = cpu_seconds(pid), memory_used(pid)
    usage = series.one("container_cpu_usage_seconds_total", name=name)
    memory = series.one("container_memory_usage_bytes", name=name)
    assert usage is not None
    assert memory is not None
    assert before[0] * 0.98 <= usage <= after[0] * 1.02
    assert min(before[1], after[1]) * 0.98 <= memory <= max(before[1], after[1]) * 1.02
    assert memory > 40 << 20
    user = series.one("container_cpu_user_seconds_total", name=name) or 0
    system = series.one("container_cpu_system_seconds_total", name=name) or 0
    assert user + system == pytest.approx(usage, rel=0.05)
    assert series.one("container_spec_memory_limit_bytes", name=name) == 128 << 20
    assert series.one("container_spec_cpu_quota", name=name) == 50_000
    assert series.one("container_spec_cpu_period", name=name) == 100_000
    assert series.one("container_processes", name=name) == 1
    periods = series.one("container_cpu_cfs_periods_total", name=name) or 0
    assert 0 < (series.one("container_cpu_cfs_throttled_periods_total", name=name) or 0) <= periods
    docker("update", "--cpus", "0.25", name)
    wait_for(lambda: scrape(exporter).one("container_spec_cpu_quota", name=name) == 25_000)


def test_a_network_is_that_of_the_container(exporter: Exporter, run: Run) -> None:
    name = run("exec sleep 600")
    shared = run("exec sleep 600", "--network", f"container:{name}")
    host = run("exec sleep 600", "--network", "host")
    pid = inspect(name)["State"]["Pid"]
    wait_for(lambda: scrape(exporter).own("state", host, state="running"))
    before = received(pid)
    series = scrape(exporter)
    total = series.one("container_network_receive_bytes_total", name=name, interface="eth0")
    assert total is not None
    assert before <= total <= received(pid)
    for other in (shared, host):
        assert series.each("container_network_receive_bytes_total", name=other) == {}
        assert series.one("container_memory_usage_bytes", name=other) is not None


def test_the_api_tells_what_a_container_is_and_no_secret(exporter: Exporter, run: Run) -> None:
    name = run(
        f"exec sleep 600 # {SECRET}",
        *("--env", f"HF_TOKEN={SECRET}", "--label", f"token={SECRET}", "--memory", "64m", "--cpus", "1.5"),
        *("--label", "com.docker.compose.project=llm", "--env", "NVIDIA_VISIBLE_DEVICES=1,3"),
    )

    def listed() -> list[dict[str, Any]]:
        return [one for one in json.loads(exporter.get("/api/v1/containers")) if one["name"] == name]

    # `docker run` has returned, but the event of the start may be on its way.
    wait_for(lambda: [one["state"] for one in listed()] == ["running"])
    (told,) = listed()
    inspected = inspect(name)
    assert told["id"] == inspected["Id"]
    assert told["image"] == inspected["Config"]["Image"]
    assert (told["health"], told["restarts"], told["exit_code"]) == (None, 0, None)
    assert 0 <= told["uptime_seconds"] < 60
    assert told["limits"] == {"memory_bytes": 64 << 20, "cpu_cores": 1.5}
    assert told["compose_project"] == "llm"
    assert told["gpus"] == {"method": "environment", "uuids": [], "indexes": [1, 3], "memory_used_bytes": {}}
    for text in (exporter.get("/metrics"), exporter.get("/api/v1/containers"), exporter.log.read_text()):
        assert SECRET not in text
