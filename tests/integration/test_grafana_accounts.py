# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The role's tasks for a Grafana that runs: the administrator's password, and accounts for programs.

The server that answers is the stand-in. Its container has a program `grafana` that writes down how it was called, so
that Compose and its `exec` are the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.grafana_stand_in.server import GrafanaStandIn, running

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "inventory-pa55-w0rd"
PROJECT = f"llm-monitor-test-{uuid.uuid4().hex[:8]}"
PROGRAM = """#!/bin/sh
echo "$@" > /tmp/called/arguments
cat > /tmp/called/input
"""


@pytest.fixture
def grafana() -> Iterator[GrafanaStandIn]:
    with running() as stand_in:
        yield stand_in


@pytest.fixture
def called(tmp_path: Path) -> Iterator[Path]:
    """Run a project with a container `grafana`, and give the folder in which its program writes how it was called."""
    folder = tmp_path / "called"
    folder.mkdir()
    (tmp_path / "grafana").write_text(PROGRAM)
    (tmp_path / "grafana").chmod(0o755)
    (tmp_path / "password").write_text(PASSWORD)
    image = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "llm-monitor/debian"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert image, "the engine has no image of Debian: run `make engine`"
    service = {
        "image": image[0],
        "command": ["sleep", "600"],
        "init": True,
        "volumes": [
            f"{folder}:/tmp/called",
            f"{tmp_path / 'grafana'}:/usr/local/bin/grafana:ro",
            f"{tmp_path / 'password'}:/run/secrets/security-admin_password:ro",
        ],
    }
    (tmp_path / "compose.yaml").write_text(json.dumps({"name": PROJECT, "services": {"grafana": service}}))
    compose = ["docker", "compose", "--file", str(tmp_path / "compose.yaml")]
    subprocess.run([*compose, "up", "--detach"], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run([*compose, "down", "--timeout=2"], check=True, capture_output=True)


@pytest.fixture
def accounts(grafana: GrafanaStandIn, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs the role's tasks and returns all that Ansible printed."""

    def run(*accounts: dict[str, Any]) -> str:
        tasks = {"ansible.builtin.import_role": {"name": "llmops.monitoring.grafana", "tasks_from": "accounts"}}
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "demo", "gather_facts": False, "tasks": [tasks]}]))
        settings = {
            "grafana_url": f"{grafana.url}/",
            "grafana_admin_password": PASSWORD,
            "grafana_service_accounts": list(accounts),
            "llm_monitor_project": PROJECT,
        }
        done = subprocess.run(
            ["ansible-playbook", "-i", "inventories/demo", "-vvv", tmp_path / "play.yml", "-e", json.dumps(settings)],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "glsa_" not in done.stdout
        assert PASSWORD not in done.stdout
        return done.stdout

    return run


def test_a_password_that_grafana_does_not_take_is_set_in_its_container(
    accounts: Callable[..., str], grafana: GrafanaStandIn, called: Path
) -> None:
    said = accounts()
    assert "changed=1" in said
    arguments = (called / "arguments").read_text().split()
    assert arguments[0] == "cli"
    assert arguments[-3:] == ["admin", "reset-admin-password", "--password-from-stdin"]
    assert (called / "input").read_text().strip() == PASSWORD


def test_a_password_that_grafana_takes_is_left_alone(
    accounts: Callable[..., str], grafana: GrafanaStandIn, called: Path, tmp_path: Path
) -> None:
    grafana.passwords["admin"] = PASSWORD
    reports = {"name": "reports", "token_file": str(tmp_path / "reports")}
    assert "changed=1" in accounts(reports)
    assert not list(called.iterdir())
    assert grafana.accounts.role_of_token((tmp_path / "reports").read_text().strip()) == "Viewer"
    assert "changed=0" in accounts(reports)
    assert "changed=1" in accounts({**reports, "state": "absent"})
    assert not (tmp_path / "reports").exists()
