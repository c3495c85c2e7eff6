"""The vLLM exporter as a real process, and stand-ins for servers."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from exporter_testing.process import Running, Start
from exporter_testing.vllm import RECORDED, StandIn, VllmStandIn, serving


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """Start a stand-in for a vLLM server, by default with the recorded metrics."""
    with ExitStack() as stack:

        def run(metrics: bytes = RECORDED.read_bytes(), **options: Any) -> VllmStandIn:
            return stack.enter_context(serving(VllmStandIn(metrics, **options)))

        yield run


@pytest.fixture
def start_vllm(start_exporter: Start) -> Start:
    """Start a vLLM exporter that asks these servers, by name, on every scrape."""

    def run(servers: dict[str, str] | None = None, **settings: str) -> Running:
        named = ",".join(f"{name}={url}" for name, url in (servers or {}).items())
        given = {f"VLLM__{name.upper()}": text for name, text in settings.items()}
        # What one collector asked serves the others for a second, so that is how old a sample is.
        return start_exporter("vllm", {"MIN_INTERVAL": "0", "VLLM__ENDPOINTS": named, **given})

    return run
