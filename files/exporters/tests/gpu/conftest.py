"""The GPU exporter as a real process over the fake NVML."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter_testing.gpu.nvml import FakeNvml
from exporter_testing.process import Running, Start

StartGpu = Callable[..., Running]


@pytest.fixture
def fake(tmp_path: Path) -> FakeNvml:
    return FakeNvml(tmp_path)


@pytest.fixture
def start_gpu(start_exporter: Start) -> StartGpu:
    """Start a GPU exporter over a fake NVML with the given settings, collecting on every scrape."""

    def run(fake: FakeNvml, library: Path | None = None, **settings: str) -> Running:
        environment = fake.environment()
        if library is not None:
            environment["LD_LIBRARY_PATH"] = str(library)
        return start_exporter("gpu", {"MIN_INTERVAL": "0", **settings}, environment)

    return run
