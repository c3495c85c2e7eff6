from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops_monitoring.storage.base import StorageBackend
from llmops_monitoring.transport.worker import InProcessTransport
from llmops_testing.backends import settings
from llmops_testing.events import make
from llmops_testing.starting import Started


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Start transports that end with the test; what is spilled lies in the test's folder."""
    running = []

    def start(backend: StorageBackend, **given: Any) -> InProcessTransport:
        given.setdefault("spill_path", tmp_path / "spill.sqlite")
        maker = given.pop("make", make)
        transport = InProcessTransport(backend, settings(**given), maker)
        running.append(transport)
        transport.start()
        return transport

    yield start
    for transport in running:
        transport.stop(0.1)
