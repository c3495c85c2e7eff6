"""The one host of this scenario, and the secrets that its inventory gives it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box


@pytest.fixture(scope="session")
def box() -> Box:
    """The host, which is both a GPU host and the monitoring host."""
    return Box("llm-monitor-molecule-box")


@pytest.fixture(scope="session")
def planted() -> dict[str, str]:
    """Secrets, by the name of their variable."""
    hosts = Path(__file__).resolve().parents[1] / "inventory/hosts.yml"
    settings = yaml.safe_load(hosts.read_text(encoding="utf-8"))["all"]["children"]["monitoring_hosts"]["vars"]
    secrets = {name: value for name, value in settings.items() if name.endswith(("_key", "_token", "_password"))}
    return {**secrets, "webhook": settings["alertmanager_receivers"][0]["webhook_configs"][0]["url"]}
