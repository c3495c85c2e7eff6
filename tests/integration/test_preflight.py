# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Bad input to the whole rollout: what is wrong is said before anything on the host changes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISTRO = {"llm_monitor_image_source": "distro"}


def roll_out(folder: Path, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the whole rollout onto this machine, as far as it gets."""
    settings = {"llm_monitor_dir": str(folder / "opt" / "llm-monitor"), **DISTRO, **variables}
    command = ["ansible-playbook", "-i", "inventories/demo", "playbooks/site.yml", "-e", json.dumps(settings)]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def refused(done: subprocess.CompletedProcess[str], folder: Path) -> str:
    """Return what the refusal says; it came in the first play, and nothing was made."""
    output = done.stdout + done.stderr
    assert done.returncode != 0, output
    assert "Monitoring is rolled out" not in output
    assert "changed=0" in output
    assert not list(folder.iterdir())
    return output


@pytest.mark.parametrize(
    ("inventory", "groups"),
    [("all: {children: {gpu-hosts: {hosts: {a: }}, watch: {}}}", "gpu-hosts, watch"), ("all: {}", "all alone")],
    ids=["other-names", "none"],
)
def test_an_inventory_without_hosts_of_ours_is_no_success(tmp_path: Path, inventory: str, groups: str) -> None:
    (tmp_path / "hosts.yml").write_text(inventory, encoding="utf-8")
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), "playbooks/site.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    told = " ".join((done.stdout + done.stderr).split())
    assert f"in gpu_hosts or monitoring_hosts, so nothing would be rolled out. It has the groups {groups}:" in told


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"prometheus_port": "web"}, ["prometheus_port", "'web'", "from 1 to 65535"]),
        ({"alertmanager_port": 70000}, ["alertmanager_port", "70000", "from 1 to 65535"]),
        ({"alertmanager_port": 23001}, ["alertmanager_port", "prometheus_port", "23001"]),
        (
            {"llm_monitor_components": ["promtheus"]},
            ["llm_monitor_components", "'promtheus'", "Did you mean prometheus"],
        ),
        ({"llm_monitor_image_source": "hub"}, ["llm_monitor_image_source", "'hub'", "registry, bundle, distro"]),
        ({"prometheus_retenton": "30d"}, ["prometheus_retenton", "Did you mean prometheus_retention"]),
        ({"prometheus_retention_time": "a month"}, ["prometheus_retention_time", "'a month'", "15d"]),
        ({"prometheus_retention_size": "much"}, ["prometheus_retention_size", "'much'", "50GB"]),
        ({"llm_monitor_components": ["grafana"]}, ["grafana", "Debian"]),
        ({"llm_monitor_components": ["prometheus", "loki", "alloy"]}, ["'loki'", "'alloy'", "Debian has no package"]),
        (
            {"llm_monitor_image_source": "registry", "loki_port": 23001, "alloy_port": 23003},
            ["loki_port and prometheus_port are both 23001", "alertmanager_port and alloy_port are both 23003"],
        ),
        ({"llm_monitor_image_source": "bundle"}, ["llm_monitor_bundle"]),
        ({"llm_monitor_min_free_bytes": 10**18}, ["llm_monitor_min_free_bytes", "free"]),
        ({"exporters_listen_address": "0.0.0.0"}, ["exporters_bearer_token"]),
        (
            {"llm_monitor_components": ["exporters"], "exporters_enabled": ["vllm"], "exporters_mocked": []},
            ["exporters_enabled has 'vllm'", "docker_socket_proxy", "exporters_vllm_endpoints"],
        ),
        (
            {"exporters_enabled": ["node", "mock"]},
            ["exporters_mocked has 'gpu', which exporters_enabled lacks", "leave exporters_enabled unset"],
        ),
        ({"exporters_docker_socket": "/etc/hostname"}, ["exporters_docker_socket is /etc/hostname: that is no socket"]),
        (
            {"exporters_langfuse_database": "postgresql://reader@localhost/langfuse"},
            ["exporters_langfuse_database leads to 'localhost'", "host.docker.internal"],
        ),
        (
            {"llm_monitor_image_source": "registry", "llm_monitor_registry_mirror": "127.0.0.1:1"},
            ["127.0.0.1:1", "distro", "bundle"],
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_input_is_refused_before_anything_changes(
    tmp_path: Path, variables: dict[str, Any], words: list[str]
) -> None:
    said = refused(roll_out(tmp_path, **variables), tmp_path)
    for word in words:
        assert word in said


def test_a_port_that_is_taken_is_refused_with_who_has_it(tmp_path: Path, taken: int) -> None:
    said = refused(roll_out(tmp_path, prometheus_port=taken), tmp_path)
    for word in ("prometheus_port", str(taken), str(os.getpid())):
        assert word in said


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = refused(roll_out(tmp_path, prometheus_port=0, prometheus_retenton="1d", prometheus_memory=""), tmp_path)
    assert "prometheus_port" in said
    assert "prometheus_retenton" in said


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    said = refused(roll_out(tmp_path, exporters_bearer_token=["sw0rdfish"], prometheus_port=0), tmp_path)
    assert "sw0rdfish" not in said
