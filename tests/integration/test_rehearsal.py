# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""A rehearsal of every component on a host that has none: it shows all but secrets, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = list(yaml.safe_load((ROOT / "roles/llm_monitor/vars/main.yml").read_text())["llm_monitor_catalogue"])
SECRETS = {
    "alloy_loki_username": "shipper",
    "alloy_loki_password": "sw0rdfish of the proxy's",
    "exporters_bearer_token": "sw0rdfish-of-the-exporters",
    "grafana_ini": {"auth.generic_oauth": {"client_secret": "/sw0rdfish+of+oauth="}},
    "loki_s3_bucket": "logs",
    "loki_s3_access_key_id": "id",
    "loki_s3_secret_access_key": "sw0rdfish-of-the-bucket",
}


def test_a_first_rehearsal_shows_everything_but_secrets_and_changes_nothing(tmp_path: Path) -> None:
    folder, made = tmp_path / "opt/llm-monitor", tmp_path / "secrets"
    roles = [{"role": f"llmops.monitoring.{name}"} for name in [*COMPONENTS, "stack"]]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "demo", "roles": roles}]))
    settings = {
        **SECRETS,
        "exporters_mocked": [],
        "llm_monitor_components": COMPONENTS,
        "llm_monitor_dir": str(folder),
        "llm_monitor_generated_secrets": str(made),
        "llm_monitor_image_source": "registry",
    }
    rehearsal = ["ansible-playbook", "-i", "inventories/demo", "--check", "--diff", "-e", json.dumps(settings)]
    done = subprocess.run(
        [*rehearsal, tmp_path / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not folder.exists()
    shown = [name for name in COMPONENTS if f"+++ after: {folder}/{name}/compose.yaml" in done.stdout]
    assert shown == COMPONENTS
    passwords = {path.name: path.read_text().strip() for path in made.iterdir()}
    assert "grafana_admin_password" in passwords
    told = done.stdout + done.stderr
    assert [name for name, password in passwords.items() if password in told] == []
    assert "sw0rdfish" not in told
