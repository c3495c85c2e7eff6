from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_testing.docker_api import DockerStandIn, serving


@pytest.fixture(params=["unix", "tcp"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DockerStandIn]:
    """Return a stand-in of the engine, behind a Unix socket and behind a TCP port."""
    path = tmp_path / "docker.sock" if request.param == "unix" else None
    with serving(DockerStandIn(), path) as engine:
        yield engine
