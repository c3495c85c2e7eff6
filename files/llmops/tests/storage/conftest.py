from collections.abc import Iterator

import pytest

from llmops_testing.postgres import Postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    postgres = Postgres()
    yield postgres
    postgres.remove()


@pytest.fixture
def database(server: Postgres) -> str:
    """Return the connection string of an empty database's owner."""
    return server.database()
