# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What the exporters' running containers tell: everything but the secrets that they were given."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Place = Callable[..., Any]
PROJECT = "llm-monitor-test-secrets"
PORTS = {"node": 18180, "container": 18182, "litellm": 18183, "vllm": 18184, "langfuse": 18185}
SECRETS = {
    "exporters_bearer_token": "planted-token",
    "exporters_vllm_api_key": "planted-vllm",
    "exporters_litellm_api_key": "sk-planted-litellm-0123456789abcdef",
    "exporters_langfuse_secret_key": "sk-lf-planted",
}
# Nobody answers there, so the exporters have failures to tell of.
NOWHERE = {
    "exporters_litellm_url": "http://litellm.invalid:4000",
    "exporters_langfuse_url": "http://langfuse.invalid:3000",
    "exporters_langfuse_public_key": "pk-lf-public",
    "exporters_vllm_endpoints": [{"name": "far", "url": "http://vllm.invalid:8000"}],
}
PATHS = ["/metrics", "/docs", "/openapi.json"]
PATHS += [f"/api/v1/{what}" for what in ("containers", "models", "gpu-map", "targets", "usage")]


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ask(name: str, path: str, token: str = SECRETS["exporters_bearer_token"]) -> tuple[int, str]:
    """Return status and body of what an exporter answers; 0 while it does not."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{PORTS[name]}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.fixture
def running(place: Place) -> Iterator[list[str]]:
    """Run the exporters as the role has placed them, and give the ids of their containers."""
    placed = place(
        "exporters", exporters_enabled=list(PORTS), llm_monitor_exporter_port_base=PORTS["node"], **SECRETS, **NOWHERE
    )
    compose = ["compose", "--project-name", PROJECT, "--file", str(placed.folder / "compose.yaml")]
    try:
        docker(*compose, "up", "--detach", "--wait", "--wait-timeout", "60")
        yield docker(*compose, "ps", "--quiet").split()
    finally:
        docker(*compose, "down", "--volumes", "--timeout", "5")


def test_planted_secrets_are_told_nowhere(running: list[str]) -> None:
    assert len(running) == len(PORTS)
    deadline = time.monotonic() + 30
    while "upstream_errors_total{" not in ask("litellm", "/metrics")[1]:
        assert time.monotonic() < deadline, "LiteLLM's exporter tells of no failure"
        time.sleep(0.2)
    told = {f"{name} {path}": ask(name, path)[1] for name in PORTS for path in PATHS}
    for container in running:
        told[f"inspect {container}"] = docker("inspect", container)
        told[f"logs {container}"] = docker("logs", container)
        told[f"top {container}"] = docker("top", container, "-eo", "pid,args")
    assert {where: text for where, text in told.items() for secret in SECRETS.values() if secret in text} == {}


def test_nothing_but_the_probes_is_told_without_the_token(running: list[str]) -> None:
    for name in PORTS:
        assert {path: ask(name, path, "")[0] for path in PATHS} == dict.fromkeys(PATHS, 401)
        assert ask(name, "/ready", "")[0] == 200
    mounted = {
        mount["Destination"] for container in running for mount in json.loads(docker("inspect", container))[0]["Mounts"]
    }
    assert not [path for path in mounted if path.endswith("docker.sock")]
