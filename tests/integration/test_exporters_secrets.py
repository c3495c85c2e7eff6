# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What the exporters' running containers tell: everything but the secrets that they were given.

Whom they ask answers first as it should, and then says again which secret it was shown.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from exporter_testing.echo import SAYINGS, Echo, echoing

TESTS = Path(__file__).resolve().parents[2] / "files/exporters/tests"
Place = Callable[..., Any]
PROJECT = "llm-monitor-test-secrets"
PORTS = {"node": 18180, "container": 18182, "litellm": 18183, "vllm": 18184, "langfuse": 18185}
TOKEN = "planted-token"
SECRETS = {
    "exporters_bearer_token": TOKEN,
    "exporters_vllm_api_key": "planted-vllm",
    "exporters_litellm_api_key": "sk-planted-litellm-0123456789abcdef",
}
LANGFUSE_KEYS = "pk-lf-planted", "sk-lf-planted"
DATABASE_PASSWORD = "planted/database"
PATHS = ["/", "/metrics", "/docs", "/openapi.json"]
PATHS += [f"/api/v1/{what}" for what in ("containers", "models", "gpu-map", "targets", "usage")]

NO_ROWS = b'{"data": []}'
PAGES: Mapping[str, Mapping[str, bytes]] = {
    "vllm": {
        "/metrics": (TESTS / "vllm/recorded/metrics.txt").read_bytes(),
        "/health": b"",
        "/version": b'{"version": "0.32.0"}',
        "/v1/models": b'{"data": [{"id": "tiny"}]}',
    },
    "litellm": {
        "/metrics/": (TESTS / "litellm/recorded/metrics.txt").read_bytes(),
        "/model/info": NO_ROWS,
        "/health/readiness": b'{"status": "healthy", "litellm_version": "1.106.2"}',
    },
    "api": {
        "/api/public/health": b'{"version": "4.16.0"}',
        "/api/public/ready": b"{}",
        "/api/public/v2/metrics": NO_ROWS,
        "/api/public/v2/observations": NO_ROWS,
    },
    "database": {"/": b'{"data": [{"name": "observations"}]}'},
    "gpu": {"/api/v1/processes": b"[]", "/api/v1/gpus": b"[]"},
}


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ask(name: str, path: str, token: str = TOKEN) -> tuple[int, str]:
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


@dataclass
class Running:
    """The exporters' containers by their ids, and whom they ask."""

    containers: list[str]
    echoes: Mapping[str, Echo]

    def shown(self) -> set[str]:
        """Return all secrets that whoever is asked was shown, as they were written."""
        return {secret for echo in self.echoes.values() for secret in echo.shown}

    def told(self) -> dict[str, str]:
        """Return all that the containers tell, and what the engine and the host tell of them."""
        found = {f"{name} {path}": ask(name, path)[1] for name in PORTS for path in PATHS}
        for container in self.containers:
            found[f"inspect {container}"] = docker("inspect", container)
            found[f"logs {container}"] = docker("logs", container)
            found[f"top {container}"] = docker("top", container, "-eo", "pid,args")
            pid = json.loads(found[f"inspect {container}"])[0]["State"]["Pid"]
            found[f"environ {container}"] = Path(f"/proc/{pid}/environ").read_text()
            found[f"cmdline {container}"] = Path(f"/proc/{pid}/cmdline").read_text()
        return found


def langfuse(mode: str, address: str) -> dict[str, str]:
    """Return the variables for a Langfuse at `address` whose API or database is asked."""
    if mode == "database":
        password = DATABASE_PASSWORD.replace("/", "%2F")
        return {"exporters_langfuse_database": f"clickhouse://monitor:{password}@{address}/langfuse"}
    return {
        "exporters_langfuse_url": f"http://{address}",
        "exporters_langfuse_public_key": LANGFUSE_KEYS[0],
        "exporters_langfuse_secret_key": LANGFUSE_KEYS[1],
    }


@pytest.fixture(params=["api", "database"])
def running(request: pytest.FixtureRequest, place: Place) -> Iterator[Running]:
    """Run the exporters as the role has placed them, before upstreams of which each is an echo."""
    with ExitStack() as stack:
        names = ("vllm", "litellm", "gpu", request.param)
        everywhere = "0.0.0.0"
        echoes = {name: stack.enter_context(echoing([*SAYINGS.values()], PAGES[name], everywhere)) for name in names}
        at = {name: f"host.docker.internal:{echo.port}" for name, echo in echoes.items()}
        gpu = {"gpu_exporter": f"http://{at['gpu']}", "gpu_exporter_token_file": "/run/secrets/bearer_token"}
        placed = place(
            "exporters",
            exporters_enabled=list(PORTS),
            llm_monitor_exporter_port_base=PORTS["node"],
            exporters_log_level="debug",
            exporters_litellm_url=f"http://{at['litellm']}",
            exporters_vllm_endpoints=[{"name": "far", "url": f"http://{at['vllm']}"}],
            exporters_settings={"langfuse": {"interval": "10s"}, "vllm": gpu, "min_interval": "0"},
            **SECRETS,
            **langfuse(request.param, at[request.param]),
        )
        compose = ["compose", "--project-name", PROJECT, "--file", str(placed.folder / "compose.yaml")]
        stack.callback(docker, *compose, "down", "--volumes", "--timeout", "5")
        docker(*compose, "up", "--detach", "--wait", "--wait-timeout", "60")
        yield Running(docker(*compose, "ps", "--quiet").split(), echoes)


def until(exporter: str, *words: str) -> None:
    """Wait until the metrics of `exporter` have all of `words`."""
    deadline = time.monotonic() + 60
    while not all(word in (told := ask(exporter, "/metrics")[1]) for word in words):
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def test_planted_secrets_are_told_nowhere(running: Running) -> None:
    assert len(running.containers) == len(PORTS)
    until("vllm", 'llm_monitor_vllm_up{container="far"} 1\n', "llm_monitor_vllm_generation_tokens_total{")
    until("litellm", "llm_monitor_litellm_up 1\n")
    until("langfuse", 'llm_monitor_langfuse_collector_success{collector="usage"} 1\n')
    found = {f"{where} at first": text for where, text in running.told().items()}
    for echo in running.echoes.values():
        echo.saying = True
    for exporter in ("vllm", "litellm", "langfuse"):
        until(exporter, f"llm_monitor_{exporter}_upstream_errors_total{{", f"llm_monitor_{exporter}_up")
    until("langfuse", 'llm_monitor_langfuse_collector_success{collector="usage"} 0\n')
    found |= running.told()
    shown = running.shown()
    planted = {*SECRETS.values(), *LANGFUSE_KEYS, DATABASE_PASSWORD}
    # What is shown to the stand-ins is what was planted; each has one of its own.
    assert len([secret for secret in planted if any(secret in one for one in shown)]) >= 3
    assert {where: text for where, text in found.items() for secret in planted | shown if secret in text} == {}


def test_nothing_but_the_probes_is_told_without_the_token(running: Running) -> None:
    for name in PORTS:
        assert {path: ask(name, path, "")[0] for path in PATHS} == dict.fromkeys(PATHS, 401)
        assert ask(name, "/ready", "")[0] == 200
    mounted = {
        mount["Destination"]
        for container in running.containers
        for mount in json.loads(docker("inspect", container))[0]["Mounts"]
    }
    assert not [path for path in mounted if path.endswith("docker.sock")]
