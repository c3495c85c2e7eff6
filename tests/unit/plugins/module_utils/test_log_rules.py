# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host's logs have a way to a Loki, as far as the inventory tells."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _log_rules as rules

ALLOY = ["exporters", "alloy"]


def problems(watcher: dict[str, Any] | None, services: list[str] | None = None, **settings: Any) -> list[str]:
    hosts = {} if watcher is None else {"watch": watcher}
    return rules.reach_problems(settings, ALLOY if services is None else services, hosts, list(hosts))


@pytest.mark.parametrize("address", [None, "127.0.0.1", "::1", "127.0.0.53"])
def test_a_loki_on_loopback_is_out_of_reach(address: str | None) -> None:
    (problem,) = problems({"loki_listen_address": address} if address else {})
    assert problem.startswith(
        f"Loki on watch listens on {address or '127.0.0.1'}, where this host's Alloy can't reach it"
    )
    assert "loki_listen_address" in problem
    assert "alloy_loki_url" in problem


@pytest.mark.parametrize(
    "watcher", [{"loki_listen_address": "10.0.0.20"}, {"llm_monitor_listen_address": "0.0.0.0"}], ids=["own", "all"]
)
def test_a_loki_on_the_network_is_reached(watcher: dict[str, Any]) -> None:
    assert problems(watcher) == []


def test_who_sends_no_logs_or_knows_a_way_needs_none() -> None:
    assert problems({}, ["exporters"]) == []
    assert problems({}, ["alloy", "loki"]) == []
    assert problems({}, alloy_loki_url="https://loki.example.com") == []
    assert rules.reach_problems({}, None, {}, []) == []


def test_logs_need_somebody_who_takes_them() -> None:
    for watcher in (
        None,
        {"llm_monitor_components": ["prometheus"]},
        {"llm_monitor_image_source": "distro"},
        {"loki_target": "read", "loki_listen_address": "10.0.0.20"},
    ):
        (problem,) = problems(watcher)
        assert "no monitoring host runs a loki that takes log lines: set alloy_loki_url" in problem


@pytest.mark.parametrize("day", ["20261201", "2026-13-01", "2024-01-01", "2026-12-1", "2026-12-01 ", 20261201, "soon"])
def test_only_a_day_to_come_begins_a_period(day: Any) -> None:
    settings = {"loki_s3_bucket": "logs", "loki_s3_from": day}
    (problem,) = rules.loki_problems(settings, ["loki"])
    assert problem.startswith(f"loki_s3_from is {str(day)!r}: must be a day")
    assert rules.loki_problems({**settings, "loki_s3_from": "2026-12-01"}, ["loki"]) == []
    assert rules.loki_problems(settings, ["prometheus"]) == []


PART = {
    "loki_s3_bucket": "logs",
    "loki_ring_members": ["10.0.0.1"],
    "loki_ring_address": "10.0.0.1",
    "loki_backend_address": "10.0.0.3",
}


@pytest.mark.parametrize(
    ("target", "services", "words"),
    [
        ("read", ["loki", "alloy"], "which takes no log lines"),
        ("backend", ["loki", "alloy"], "which takes no log lines"),
        ("write", ["loki", "alloy", "grafana"], "which answers no questions"),
        ("backend", ["loki", "grafana"], "which answers no questions"),
    ],
)
def test_a_part_of_loki_is_not_asked_for_what_another_does(target: str, services: list[str], words: str) -> None:
    (problem,) = rules.loki_problems({**PART, "loki_target": target}, services)
    assert problem.startswith(f"loki_target is {target}, {words}")


@pytest.mark.parametrize(
    ("target", "services"),
    [("write", ["loki", "alloy"]), ("read", ["loki", "grafana"]), ("backend", ["loki"]), ("all", ["loki", "alloy"])],
)
def test_a_part_of_loki_serves_what_it_can(target: str, services: list[str]) -> None:
    assert rules.loki_problems({**PART, "loki_target": target}, services) == []
    proxied = {**PART, "loki_target": "read", "alloy_loki_url": "https://logs.example.com"}
    assert rules.loki_problems(proxied, ["loki", "alloy", "grafana"]) == []
