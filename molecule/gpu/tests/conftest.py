"""The one host of this scenario, and a container on it that uses its GPUs as a model's would."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import GPU_EXPORTER, Box


@pytest.fixture(scope="session")
def h200() -> Box:
    """The host whose driver tells of 8 GPUs."""
    return Box("llm-monitor-molecule-h200")


@pytest.fixture(scope="session")
def image(h200: Box) -> str:
    """The image that exporters run from."""
    return h200.run("docker images --format '{{.Repository}}:{{.Tag}}' llm-monitor/exporters")


@pytest.fixture(scope="session")
def gpus_watched(h200: Box) -> Callable[[], str]:
    """Tell how many GPUs the GPU exporter sees in its container."""

    def told() -> str:
        lines = h200.fetch(f"{GPU_EXPORTER}/metrics").body.splitlines()
        return next(line.split()[1] for line in lines if line.startswith("llm_monitor_gpu_gpus "))

    return told


@pytest.fixture
def vllm(h200: Box, image: str) -> Iterator[str]:
    """The id of a container that uses all GPUs and must not be disturbed."""
    options = "--detach --rm --name vllm --runtime nvidia --env NVIDIA_VISIBLE_DEVICES=all --entrypoint sleep"
    yield h200.run(f"docker run {options} {image} infinity")
    h200.os.run("docker rm --force vllm")
