"""The GPU exporter as a real process over the fake NVML."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter_testing.nvml import FakeNvml
from exporter_testing.process import Running, Start, free_port

StartGpu = Callable[..., Running]


@pytest.fixture
def fake(tmp_path: Path) -> FakeNvml:
    return FakeNvml(tmp_path)


@pytest.fixture
def start_gpu(start: Start) -> StartGpu:
    """Start a GPU exporter over a fake NVML with the given settings, collecting on every scrape."""

    def run(fake: FakeNvml, library: Path | None = None, **settings: str) -> Running:
        port = free_port()
        settings = {"MIN_INTERVAL": "0", "GPU__PORT": str(port), **settings}
        environment = {f"LLM_MONITOR_{name}": text for name, text in settings.items()}
        environment |= fake.environment()
        environment |= {"PYTHONOPTIMIZE": "2", "PYTHONNODEBUGRANGES": "1"}
        if library is not None:
            environment["LD_LIBRARY_PATH"] = str(library)
        command = [str(Path(sys.executable).with_name("llm-monitor-exporter")), "gpu"]
        return start(command, port, environment)

    return run
