from collections.abc import Iterator

import pytest

from exporter_testing.event_store import EventStore


@pytest.fixture(scope="session")
def server() -> Iterator[EventStore]:
    one = EventStore()
    yield one
    one.server.remove()


@pytest.fixture
def store(server: EventStore) -> EventStore:
    """Return an event store without events."""
    server.anew()
    return server
