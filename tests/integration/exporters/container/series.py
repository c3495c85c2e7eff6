# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Real containers, and what the container exporter says of them beside what their inspections do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ansible_collections.llmops.monitoring.tests.integration.exporters.running import Exporter
from prometheus_client.parser import text_string_to_metric_families

OWN = "llm_monitor_container_"

Run = Callable[..., str]
Labels = frozenset[tuple[str, str]]


class Series:
    """The series of one scrape."""

    def __init__(self, text: str) -> None:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        self._all = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(self._all) == len(samples), "a series is there twice"

    def one(self, metric: str, /, **labels: str) -> float | None:
        """Return the value of the one series that has these labels among its own, None without one."""
        found = self.each(metric, **labels)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def each(self, metric: str, /, **labels: str) -> dict[Labels, float]:
        wanted = set(labels.items())
        return {pairs: value for (one, pairs), value in self._all.items() if one == metric and wanted <= pairs}

    def own(self, metric: str, container: str, **labels: str) -> float | None:
        return self.one(OWN + metric, container=container, **labels)

    def failing(self) -> set[str]:
        success = self.each(f"{OWN}collector_success")
        return {dict(pairs)["collector"] for pairs, value in success.items() if not value}


def scrape(exporter: Exporter) -> Series:
    return Series(exporter.get("/metrics"))


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def inspect(container: str) -> Any:
    return json.loads(docker("inspect", container))[0]


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
