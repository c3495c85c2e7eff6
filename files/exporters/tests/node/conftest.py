from pathlib import Path

import pytest

from exporter_testing.node.hosts import FILES


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the root of a host made of files."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for number, device in enumerate(("coretemp.0", "nvme3")):
        (tmp_path / f"sys/class/hwmon/hwmon{number}/device").symlink_to(f"../../../{device}")
    return tmp_path
