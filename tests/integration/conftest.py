# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What tests of roles share: a service's folder, placed by its role and checked in its real image."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import DEFAULT_SOCKET, DockerClient

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Placed:
    """A service's folder on this machine, and what the play printed."""

    folder: Path
    secrets: Path
    printed: str

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


@pytest.fixture(scope="session")
def client() -> DockerClient:
    """Return a client of the engine that answers on this machine."""
    found = DockerClient(os.environ.get("DOCKER_HOST", DEFAULT_SOCKET))
    found.ping()
    return found


Place = Callable[..., Placed]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a function that places a service with its role and the given variables below a temporary folder.

    It raises AssertionError, with all that the play printed, when the role or the service's checker refuses.
    """

    def run(service: str, **variables: Any) -> Placed:
        # Prometheus' configuration speaks of the exporters and of Alertmanager, so their defaults must be there.
        roles = [
            {"role": f"llmops.monitoring.{role}", "when": role == service}
            for role in (
                "docker_socket_proxy",
                "event_store",
                "exporters",
                "alertmanager",
                "prometheus",
                "loki",
                "alloy",
                "grafana",
            )
        ]
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "demo", "roles": roles}]))
        opt = tmp_path / "opt/llm-monitor"
        settings = {
            "llm_monitor_dir": str(opt),
            "llm_monitor_image_source": "distro",
            # The demo's; most tests are about exporters that are real.
            "exporters_mocked": [],
            **variables,
        }
        done = subprocess.run(
            ["ansible-playbook", "-i", "inventories/demo", "--diff", tmp_path / "play.yml", "-e", json.dumps(settings)],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return Placed(opt / service, opt / "secrets" / service, done.stdout)

    return run
