"""The one host of this scenario."""

from __future__ import annotations

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box


@pytest.fixture(scope="session")
def box() -> Box:
    """The host, which is both a GPU host and the monitoring host."""
    return Box("llm-monitor-molecule-box")
