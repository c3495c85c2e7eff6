"""What a rollout sees of a model's container that comes and goes while all runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box, eventually

TESTS = Path(__file__).resolve().parents[3] / "files/exporters/tests"
STAND_IN = {
    "vllm.py": TESTS / "exporter_testing/vllm.py",
    "metrics.txt": TESTS / "vllm/recorded/metrics.txt",
}
NAME = "tiny-model"
UP = f'llm_monitor_vllm_up{{container="{NAME}",instance="box"}}'


@pytest.fixture(scope="module")
def model(box: Box, planted: dict[str, str]) -> Iterator[str]:
    """Run a stand-in for a vLLM server that shows what a real one answered, and return its name."""
    box.run("mkdir -p /srv/model")
    for name, path in STAND_IN.items():
        subprocess.run(["docker", "cp", path, f"llm-monitor-molecule-box:/srv/model/{name}"], check=True)
    image = box.containers()["vllm-exporter"]["Config"]["Image"]
    box.run(
        f"docker run --detach --name {NAME} --label llm-monitor.vllm=true --publish 18000:8000"
        f" --volume /srv/model:/srv/model:ro --env PYTHONOPTIMIZE=0 --env VLLM_API_KEY=planted-in-the-environment"
        f" --entrypoint python3 {image} /srv/model/vllm.py --metrics /srv/model/metrics.txt --api-key %s",
        planted["exporters_vllm_api_key"],
    )
    yield NAME
    box.run(f"docker rm --force {NAME} || true")


def values(box: Box, expression: str) -> list[float]:
    return [float(one["value"][1]) for one in box.query(expression)]


def test_model_is_found_by_its_label(box: Box, model: str) -> None:
    assert eventually(lambda: values(box, UP) == [1])
    assert eventually(lambda: values(box, f'llm_monitor_container_info{{container="{model}"}}') == [1])


def test_its_own_metrics_come_through_the_exporter(box: Box, model: str) -> None:
    own = f'vllm:generation_tokens_total{{container="{model}",instance="box",job="vllm-engine"}}'
    ours = f'llm_monitor_vllm_generation_tokens_total{{container="{model}"}}'
    assert eventually(lambda: len(box.query(own)) == 1)
    assert values(box, own) == values(box, ours)


def test_its_key_lets_the_exporter_read_what_it_serves(box: Box, model: str) -> None:
    longest = f'llm_monitor_vllm_max_model_length_tokens{{container="{model}"}}'
    assert eventually(lambda: values(box, longest) == [512])


def test_its_secrets_are_told_nowhere(box: Box, model: str, planted: dict[str, str]) -> None:
    assert model in box.run(
        "docker exec llm-monitor-prometheus-1 promtool query labels http://127.0.0.1:9090 container"
    )
    logs = box.run("for one in $(docker ps --quiet --filter name=llm-monitor); do docker logs $one 2>&1; done")
    metrics = [
        box.fetch(f"http://127.0.0.1:{port}/metrics", {"Authorization": f"Bearer {planted['exporters_bearer_token']}"})
        for port in (8080, 9902)
    ]
    assert [answer.status for answer in metrics] == [200, 200]
    for secret in ("planted-in-the-environment", planted["exporters_vllm_api_key"]):
        assert secret not in logs + "".join(answer.body for answer in metrics)
    assert box.query('{__name__=~".+",container=~".*planted.*"}') == []


def test_model_that_stops_is_down_and_one_that_is_removed_is_gone(box: Box, model: str) -> None:
    box.run(f"docker stop --time 0 {model}")
    assert eventually(lambda: values(box, UP) == [0])
    state = f'llm_monitor_container_state{{container="{model}",state="exited"}}'
    assert eventually(lambda: values(box, state) == [1])
    box.run(f"docker rm {model}")
    assert eventually(lambda: values(box, UP) == [], seconds=60)
    assert eventually(lambda: values(box, f'llm_monitor_container_info{{container="{model}"}}') == [], seconds=60)
