from pathlib import Path

import pytest

from exporter_testing.node.hosts import make_host


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the root of a host made of files."""
    return make_host(tmp_path)
