# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What becomes of containers and of the engine, while they are scraped."""

from __future__ import annotations

import json

from ansible_collections.llmops.monitoring.tests.integration.exporters.container.relay import Relay
from ansible_collections.llmops.monitoring.tests.integration.exporters.container.series import (
    OWN,
    Run,
    docker,
    inspect,
    same_as_inspect,
    scrape,
)
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import Exporter
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for

BUSY = "while :; do :; done"
# Out of memory when it is told to, and it ends when it is told to.
HUNGRY = "until [ -e /go ]; do sleep 0.1; done; tail /dev/zero; until [ -e /end ]; do sleep 0.1; done; exit 1"


def test_what_befalls_containers_is_told_as_the_engine_tells_it(
    exporter: Exporter, scraping: list[set[str]], run: Run
) -> None:
    checked = ("--health-interval=200ms", "--health-retries=1", "--health-cmd")
    names = {
        "fine": run("exec sleep 600"),
        "ends": run("exit 3"),
        "crashes": run("exit 7", "--restart", "on-failure:3"),
        # The engine knows of it only if it listens already, and hears of the kill before it hears of the end.
        "hungry": run(HUNGRY, "--memory", "24m", "--memory-swap", "24m"),
        "killed": run("exec sleep 600"),
        "paused": run("exec sleep 600"),
        "healthy": run("exec sleep 600", *checked, "true"),
        "unhealthy": run("exec sleep 600", *checked, "false"),
    }
    docker("kill", names["killed"])
    docker("pause", names["paused"])
    docker("exec", names["hungry"], "sh", "-c", ": >/go")
    wait_for(lambda: (scrape(exporter).own("events_total", names["hungry"], action="oom") or 0) >= 1)
    docker("exec", names["hungry"], "sh", "-c", ": >/end")
    wait_for(lambda: inspect(names["crashes"])["RestartCount"] == 3)
    wait_for(lambda: inspect(names["crashes"])["State"]["Status"] == "exited")
    wait_for(lambda: inspect(names["hungry"])["State"]["Status"] == "exited")
    wait_for(lambda: all(inspect(names[one])["State"]["Health"]["Status"] == one for one in ("healthy", "unhealthy")))
    wait_for(lambda: all(same_as_inspect(scrape(exporter), name) for name in names.values()))
    series = scrape(exporter)
    assert inspect(names["hungry"])["State"]["OOMKilled"] is True
    assert series.own("exit_code", names["ends"]) == 3
    assert series.own("restarts_total", names["crashes"]) == 3
    assert series.own("events_total", names["crashes"], action="start") == 4
    assert series.own("events_total", names["crashes"], action="die") == 4
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
        count = scrape(exporter).one("container_oom_events_total", name=name)
        counts.extend([] if count is None else [count])
        return bool(counts) and counts[-1] >= 6

    wait_for(enough)
    assert counts == sorted(counts)
    docker("update", "--restart", "no", name)
    wait_for(lambda: inspect(name)["State"]["Status"] == "exited")
    wait_for(lambda: scrape(exporter).own("restarts_total", name) == inspect(name)["RestartCount"])
    assert inspect(name)["RestartCount"] >= 1


def test_a_container_that_crashes_in_a_loop_is_followed(exporter: Exporter, scraping: list[set[str]], run: Run) -> None:
    name = run("exit 5", "--restart", "always")
    wait_for(lambda: (scrape(exporter).own("restarts_total", name) or 0) >= 4)
    told = scrape(exporter).own("restarts_total", name) or 0
    assert told <= inspect(name)["RestartCount"]
    docker("update", "--restart", "no", name)
    wait_for(lambda: inspect(name)["State"]["Status"] == "exited")
    wait_for(lambda: same_as_inspect(scrape(exporter), name))
    assert scrape(exporter).own("exit_code", name) == 5


def test_containers_are_renamed_and_removed(exporter: Exporter, scraping: list[set[str]], run: Run) -> None:
    name = run("exec sleep 600")
    usage = "container_memory_usage_bytes"
    wait_for(lambda: scrape(exporter).one(usage, name=name))
    docker("rename", name, f"{name}-new")
    wait_for(lambda: scrape(exporter).one(usage, name=f"{name}-new"))
    series = scrape(exporter)
    assert series.one(usage, name=name) is None
    assert series.own("state", name, state="running") is None
    assert same_as_inspect(series, f"{name}-new")
    docker("rm", "--force", f"{name}-new")
    wait_for(lambda: scrape(exporter).own("info", f"{name}-new") is None)
    assert scrape(exporter).one(usage, name=f"{name}-new") is None


def test_many_short_lives_cost_no_scrape(exporter: Exporter, scraping: list[set[str]], run: Run) -> None:
    long_lived = run("exec sleep 600")
    for _scrape in range(5):
        run("exit 0", "--rm")
    assert scrape(exporter).one("container_processes", name=long_lived) == 1


def test_an_engine_goes_away_and_comes_back(exporter: Exporter, relay: Relay, run: Run) -> None:
    name = run(BUSY, "--cpus", "0.2")
    usage = "container_cpu_usage_seconds_total"
    wait_for(lambda: scrape(exporter).one(usage, name=name))
    before_it = len(exporter.log.read_text())
    relay.close()
    wait_for(lambda: scrape(exporter).failing() == {"presence", "events", "gpu", "docker_events"})
    before = scrape(exporter).one(usage, name=name) or 0
    # What the kernel knows goes on.
    wait_for(lambda: (scrape(exporter).one(usage, name=name) or 0) > before)
    assert scrape(exporter).each(f"{OWN}state") == {}
    late = run("exec sleep 600")
    relay.open()
    wait_for(lambda: scrape(exporter).failing() == set())
    wait_for(lambda: same_as_inspect(scrape(exporter), late))
    docker("kill", late)
    wait_for(lambda: scrape(exporter).own("events_total", late, action="die") == 1)
    log = exporter.log.read_text()[before_it:]
    # Once when it goes and once when it comes back, whatever the number of scrapes.
    for collector in ("presence", "events", "gpu"):
        told = [line for line in log.splitlines() if f'"collector": "{collector}"' in line]
        assert [json.loads(line)["event"] for line in told] == ["collector failed", "collector recovered"]
