"""What tests of dashboards share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards import past


@pytest.fixture(scope="session")
def prometheus() -> Iterator[str]:
    """Give the address of a Prometheus that holds the simulated server's past."""
    with past.prometheus() as url:
        yield url
