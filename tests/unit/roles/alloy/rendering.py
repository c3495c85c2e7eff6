# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Alloy's configuration, rendered from the role's own variables as a rollout renders it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.unit.roles.alloy import syntax

ROOT = Path(__file__).resolve().parents[4]
TEMPLATE = ROOT / "templates/alloy/config.alloy.j2"
JOURNAL = {"results": [{"stat": {"exists": True, "path": "/var/log/journal", "gid": 101}}, {"stat": {"exists": False}}]}
# All sources of logs, and a proxy with a login in front of Loki.
EVERYTHING: dict[str, Any] = {
    "llm_monitor_services": ["docker_socket_proxy", "exporters", "loki", "alloy"],
    "exporters_enabled": ["node", "mock"],
    "__alloy_journals": JOURNAL,
    "alloy_files": [{"path": "/var/log/nginx/*.log", "service": "nginx"}],
    "alloy_ignored_containers": ["chatty", "a.b"],
    "alloy_scrub_rules": [{"expression": 'customer="(\\d+)"', "replace": "{{x}}"}, {"expression": "(badword)"}],
    "alloy_loki_url": "https://loki.example.com/",
    "alloy_loki_username": "shipper",
    "alloy_loki_password": "sw0rdfish",
}


def text(**variables: Any) -> str:
    """Return the file as it is on a host with these variables."""
    loader = DataLoader()
    values: dict[str, Any] = {}
    for path in ("llm_monitor/vars/main", "alloy/defaults/main", "alloy/vars/main"):
        values |= loader.load_from_file(str(ROOT / f"roles/{path}.yml"), cache="none", trusted_as_template=True)
    values |= {
        "inventory_hostname": "gpu-01",
        "llm_monitor_services": ["docker_socket_proxy", "loki", "alloy"],
        "exporters_enabled": [],
    }
    return alerts.render(TEMPLATE, values | variables)


def config(**variables: Any) -> syntax.Block:
    """Return the file, read."""
    return syntax.read(text(**variables))


def block(root: syntax.Block, address: str) -> syntax.Block:
    """Return a component by its address, such as loki.process.every."""
    (found,) = [one for one in root.blocks if one.address == address]
    return found
