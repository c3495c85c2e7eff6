# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The container exporter beside a real engine, while real containers come, go and suffer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import DEFAULT_SOCKET
from ansible_collections.llmops.monitoring.tests.integration.relay import Relay
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported
from prometheus_client.parser import text_string_to_metric_families

EXPORTER = Path(sys.executable).with_name("llm-monitor-exporter")
ENGINE = os.environ.get("DOCKER_HOST", DEFAULT_SOCKET).removeprefix("unix://")
OWN = "llm_monitor_container_"
SECRET = "planted-9d1c"
BUSY = "while :; do :; done"

Labels = frozenset[tuple[str, str]]


class Series:
    """The series of one scrape."""

    def __init__(self, text: str) -> None:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        self._all = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(self._all) == len(samples), "a series is there twice"

    def one(self, name: str, /, **labels: str) -> float | None:
        """Return the value of the one series that has these labels among its own, None without one."""
        found = self.each(name, **labels)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def each(self, name: str, /, **labels: str) -> dict[Labels, float]:
        wanted = set(labels.items())
        return {pairs: value for (one, pairs), value in self._all.items() if one == name and wanted <= pairs}

    def own(self, name: str, container: str, **labels: str) -> float | None:
        return self.one(OWN + name, container=container, **labels)

    def failing(self) -> set[str]:
        success = self.each(f"{OWN}collector_success")
        return {dict(pairs)["collector"] for pairs, value in success.items() if not value}


class Exporter:
    """A running exporter, which collects anew for each scrape."""

    def __init__(self, folder: Path, docker: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = {"CONTAINER__PORT": str(self.port), "CONTAINER__DOCKER": str(docker), "MIN_INTERVAL": "0"}
        environment = {f"LLM_MONITOR_{name}": text for name, text in settings.items()}
        others = {name: text for name, text in os.environ.items() if not name.startswith("LLM_MONITOR_")}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([EXPORTER, "container"], env={**others, **environment}, stdout=log)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    def scrape(self) -> Series:
        return Series(self.get("/metrics"))

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/ready") == "ready\n"
        except urllib.error.URLError:
            return False


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not hold within {seconds} s"
        time.sleep(0.1)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def inspect(container: str) -> Any:
    return json.loads(docker("inspect", container))[0]


Run = Callable[..., str]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with imported("suffering", ["sh", "sleep", "tail", "dd", "rm"]) as reference:
        yield reference


@pytest.fixture
def run(image: str) -> Iterator[Run]:
    """Run a container with a script and the given options, return its name, and remove it in the end."""
    started: list[str] = []

    def start(script: str, *options: str) -> str:
        name = f"llm-monitor-test-{uuid.uuid4().hex[:8]}"
        started.append(docker("run", "--detach", "--name", name, *options, image, "sh", "-c", script))
        return name

    yield start
    # Some have removed themselves.
    subprocess.run(["docker", "rm", "--force", "--volumes", *started], check=False, capture_output=True)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """Return an open relay in front of the engine."""
    relay = Relay(tmp_path / "docker.sock", ENGINE)
    relay.open()
    yield relay
    relay.close()


@pytest.fixture
def exporter(tmp_path: Path, relay: Relay) -> Iterator[Exporter]:
    running = Exporter(tmp_path, relay.path)
    try:
        wait_for(running.ready)
        wait_for(lambda: not running.scrape().failing())
        yield running
    finally:
        running.process.terminate()
        running.process.wait(10)


@pytest.fixture
def scraping(exporter: Exporter) -> Iterator[list[set[str]]]:
    """Scrape all the time, and in the end expect that no scrape has failed, nor any collector."""
    failing: list[set[str]] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def scrape() -> None:
        while not stop.wait(0.02):
            try:
                failing.append(exporter.scrape().failing())
            except BaseException as error:
                errors.append(error)
                return

    thread = threading.Thread(target=scrape)
    thread.start()
    yield failing
    stop.set()
    thread.join()
    assert not errors
    assert len(failing) > 20
    assert set().union(*failing) == set()


def same_as_inspect(series: Series, name: str) -> bool:
    """Return whether our own series of a container say what its inspection does."""
    inspected = inspect(name)
    state = inspected["State"]
    ended = state["Status"] not in ("running", "paused")
    health = state.get("Health", {}).get("Status")
    told = {
        "state": series.own("state", name, state=state["Status"]),
        "states": sum(series.each(f"{OWN}state", container=name).values()),
        "health": series.own("health", name, status=health) if health else None,
        "restarts": series.own("restarts_total", name),
        "exit code": series.own("exit_code", name),
        "out of memory": series.own("oom_killed", name),
        "started": round(series.own("started_timestamp_seconds", name) or 0, 3),
        "id": series.own("info", name, id=inspected["Id"], image_id=inspected["Image"]),
    }
    return told == {
        "state": 1,
        "states": 1,
        "health": 1 if health else None,
        "restarts": inspected["RestartCount"],
        "exit code": state["ExitCode"] if ended else None,
        "out of memory": int(state["OOMKilled"]),
        "started": round(datetime.fromisoformat(state["StartedAt"]).timestamp(), 3),
        "id": 1,
    }


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


def test_what_befalls_containers_is_told_as_the_engine_tells_it(
    exporter: Exporter, scraping: list[set[str]], run: Run
) -> None:
    checked = ("--health-interval=200ms", "--health-retries=1", "--health-cmd")
    names = {
        "fine": run("exec sleep 600"),
        "ends": run("exit 3"),
        "crashes": run("exit 7", "--restart", "on-failure:3"),
        # The engine knows of it only if it listens already, and hears of the kill before it hears of the end.
        "hungry": run("sleep 1; tail /dev/zero; sleep 1; exit 1", "--memory", "24m", "--memory-swap", "24m"),
        "killed": run("exec sleep 600"),
        "paused": run("exec sleep 600"),
        "healthy": run("exec sleep 600", *checked, "true"),
        "unhealthy": run("exec sleep 600", *checked, "false"),
    }
    docker("kill", names["killed"])
    docker("pause", names["paused"])
    wait_for(lambda: inspect(names["crashes"])["RestartCount"] == 3)
    wait_for(lambda: inspect(names["crashes"])["State"]["Status"] == "exited")
    wait_for(lambda: inspect(names["hungry"])["State"]["Status"] == "exited")
    wait_for(lambda: all(inspect(names[one])["State"]["Health"]["Status"] == one for one in ("healthy", "unhealthy")))
    wait_for(lambda: all(same_as_inspect(exporter.scrape(), name) for name in names.values()), 10)
    series = exporter.scrape()
    assert inspect(names["hungry"])["State"]["OOMKilled"] is True
    assert series.own("exit_code", names["ends"]) == 3
    assert series.own("restarts_total", names["crashes"]) == 3
    assert series.own("events_total", names["crashes"], action="start") == 4
    assert series.own("events_total", names["crashes"], action="die") == 4
    assert (series.own("events_total", names["hungry"], action="oom") or 0) >= 1
    assert series.own("events_total", names["killed"], action="kill") == 1
    assert series.own("events_total", names["fine"], action="die") == 0
    assert (series.own("events_total", names["unhealthy"], action="health_status") or 0) >= 1
    docker("unpause", names["paused"])


def test_memory_that_runs_out_again_and_again_is_counted(
    exporter: Exporter, scraping: list[set[str]], run: Run
) -> None:
    # Not the first process is killed, so that the container goes on; its next run begins a new group.
    script = "for i in 1 2 3; do tail /dev/zero; done; sleep 3; exit 1"
    name = run(script, "--memory", "24m", "--memory-swap", "24m", "--restart", "always")
    counts: list[float] = []

    def enough() -> bool:
        count = exporter.scrape().one("container_oom_events_total", name=name)
        counts.extend([] if count is None else [count])
        return bool(counts) and counts[-1] >= 6

    wait_for(enough)
    assert counts == sorted(counts)
    assert exporter.scrape().own("restarts_total", name) == inspect(name)["RestartCount"] >= 1


def test_a_container_that_crashes_in_a_loop_is_followed(exporter: Exporter, scraping: list[set[str]], run: Run) -> None:
    name = run("exit 5", "--restart", "always")
    wait_for(lambda: (exporter.scrape().own("restarts_total", name) or 0) >= 4)
    told = exporter.scrape().own("restarts_total", name) or 0
    assert told <= inspect(name)["RestartCount"]
    docker("update", "--restart", "no", name)
    wait_for(lambda: inspect(name)["State"]["Status"] == "exited")
    wait_for(lambda: same_as_inspect(exporter.scrape(), name), 10)
    assert exporter.scrape().own("exit_code", name) == 5


def test_containers_are_renamed_and_removed(exporter: Exporter, scraping: list[set[str]], run: Run) -> None:
    name = run("exec sleep 600")
    usage = "container_memory_usage_bytes"
    wait_for(lambda: exporter.scrape().one(usage, name=name), 5)
    docker("rename", name, f"{name}-new")
    wait_for(lambda: exporter.scrape().one(usage, name=f"{name}-new"), 5)
    series = exporter.scrape()
    assert series.one(usage, name=name) is None
    assert series.own("state", name, state="running") is None
    assert same_as_inspect(series, f"{name}-new")
    docker("rm", "--force", f"{name}-new")
    wait_for(lambda: exporter.scrape().own("info", f"{name}-new") is None, 5)
    assert exporter.scrape().one(usage, name=f"{name}-new") is None


def test_many_short_lives_cost_no_scrape(exporter: Exporter, scraping: list[set[str]], run: Run) -> None:
    long_lived = run("exec sleep 600")
    for _scrape in range(5):
        run("exit 0", "--rm")
    assert exporter.scrape().one("container_processes", name=long_lived) == 1


def test_what_a_busy_container_uses_is_what_its_group_says(exporter: Exporter, run: Run) -> None:
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null"
    name = run(f"{fill}; {BUSY}", "--cpus", "0.5", "--memory", "128m", "--shm-size", "64m")
    pid = inspect(name)["State"]["Pid"]
    wait_for(lambda: cpu_seconds(pid) > 3)
    before = cpu_seconds(pid), memory_used(pid)
    series = exporter.scrape()
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
    wait_for(lambda: exporter.scrape().one("container_spec_cpu_quota", name=name) == 25_000, 5)


def test_a_network_is_that_of_the_container(exporter: Exporter, run: Run) -> None:
    name = run("exec sleep 600")
    shared = run("exec sleep 600", "--network", f"container:{name}")
    host = run("exec sleep 600", "--network", "host")
    pid = inspect(name)["State"]["Pid"]
    wait_for(lambda: exporter.scrape().own("state", host, state="running"), 5)
    before = received(pid)
    series = exporter.scrape()
    total = series.one("container_network_receive_bytes_total", name=name, interface="eth0")
    assert total is not None
    assert before <= total <= received(pid)
    for other in (shared, host):
        assert series.each("container_network_receive_bytes_total", name=other) == {}
        assert series.one("container_memory_usage_bytes", name=other) is not None


def test_an_engine_goes_away_and_comes_back(exporter: Exporter, relay: Relay, run: Run) -> None:
    name = run(BUSY, "--cpus", "0.2")
    usage = "container_cpu_usage_seconds_total"
    wait_for(lambda: exporter.scrape().one(usage, name=name))
    relay.close()
    wait_for(lambda: exporter.scrape().failing() == {"presence", "events", "gpu", "docker_events"})
    before = exporter.scrape().one(usage, name=name) or 0
    # What the kernel knows goes on.
    wait_for(lambda: (exporter.scrape().one(usage, name=name) or 0) > before, 10)
    assert exporter.scrape().each(f"{OWN}state") == {}
    late = run("exec sleep 600")
    relay.open()
    wait_for(lambda: exporter.scrape().failing() == set())
    wait_for(lambda: same_as_inspect(exporter.scrape(), late), 5)
    docker("kill", late)
    wait_for(lambda: exporter.scrape().own("events_total", late, action="die") == 1, 5)
    log = exporter.log.read_text()
    # Once when it goes and once when it comes back, whatever the number of scrapes.
    for collector in ("presence", "events", "gpu"):
        told = [line for line in log.splitlines() if f'"collector": "{collector}"' in line]
        assert [json.loads(line)["event"] for line in told] == ["collector failed", "collector recovered"]


def test_the_api_tells_what_a_container_is_and_no_secret(exporter: Exporter, run: Run) -> None:
    name = run(
        f"exec sleep 600 # {SECRET}",
        *("--env", f"HF_TOKEN={SECRET}", "--label", f"token={SECRET}", "--memory", "64m", "--cpus", "1.5"),
        *("--label", "com.docker.compose.project=llm", "--env", "NVIDIA_VISIBLE_DEVICES=1,3"),
    )

    def listed() -> list[dict[str, Any]]:
        return [one for one in json.loads(exporter.get("/api/v1/containers")) if one["name"] == name]

    # `docker run` has returned, but the event of the start may be on its way.
    wait_for(lambda: [one["state"] for one in listed()] == ["running"], 5)
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
