"""The hosts of this scenario."""

from __future__ import annotations

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box


@pytest.fixture(scope="session")
def watch() -> Box:
    """The monitoring host."""
    return Box("llm-monitor-molecule-watch")


@pytest.fixture(scope="session")
def gpu() -> Box:
    """The GPU host, which runs exporters only."""
    return Box("llm-monitor-molecule-gpu")


@pytest.fixture(scope="session")
def stranger() -> Box:
    """Somebody else in the hosts' network."""
    return Box("llm-monitor-molecule-stranger")
