"""service_folder, service_signal and service_snapshot together: a real Prometheus, checked by a real promtool."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import service_folder, service_signal, service_snapshot
from ansible_collections.llmops.monitoring.tests.integration.programs import tool
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

PROJECT = f"llm-monitor-test-{uuid.uuid4().hex[:8]}"
USER = "65534:65534"
# promtool does not look whether this file is there; Prometheus reads it when it takes the configuration.
MISSING_CA = "remote_write: [{url: 'https://127.0.0.1:1/', tls_config: {ca_file: /etc/prometheus/missing.pem}}]\n"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Return an image with prometheus and promtool, and nothing else but the libraries that they need."""
    with imported("prometheus", [os.path.realpath(tool(name)) for name in ("prometheus", "promtool")]) as reference:
        yield reference


class Prometheus:
    """One service on this host, with the modules that look after it."""

    def __init__(self, base: Path, image: str, run_module: Callable[..., dict[str, Any]]) -> None:
        self.base = base
        self.image = image
        self.run_module = run_module
        self.container = ""

    def folder(
        self, interval: str, rules: str = "groups: []\n", more: str = "", check_mode: bool = False
    ) -> dict[str, Any]:
        options = {
            "name": "prometheus",
            "dir": str(self.base),
            "files": {
                "compose.yaml": "services: {}\n",
                "prometheus.yml": f"global: {{scrape_interval: {interval}}}\nrule_files: [rules/*.yml]\n{more}",
                "rules/a.yml": rules,
            },
            "secrets": {"token": "s3cr3t"},
            "secrets_owner": USER,
            "mount": "/etc/prometheus",
            "checks": [
                {
                    "image": self.image,
                    "entrypoint": ["/bin/promtool"],
                    "command": ["check", "config", "/etc/prometheus/prometheus.yml"],
                    "user": USER,
                }
            ],
            "reload": True,
        }
        return self.run_module(service_folder.main, options, check_mode=check_mode)

    def start(self) -> None:
        mounts = [f"{self.base}/prometheus:/etc/prometheus:ro", f"{self.base}/secrets/prometheus:/run/secrets:ro"]
        labels = [f"com.docker.compose.project={PROJECT}", "com.docker.compose.service=prometheus"]
        self.container = docker(
            *("run", "--detach", "--user", USER, "--read-only", "--tmpfs", "/data:mode=1777"),
            *(part for mount in mounts for part in ("--volume", mount)),
            *(part for label in labels for part in ("--label", label)),
            *("--publish", "127.0.0.1::9090", "--entrypoint", "/bin/prometheus", self.image),
            *("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"),
        )

    def signal(self) -> dict[str, Any]:
        options = {
            "services": ["prometheus"],
            "project": PROJECT,
            "metrics": {"prometheus": f"http://{self.address()}/metrics"},
            "timeout": 20,
        }
        return self.run_module(service_signal.main, options)

    def address(self) -> str:
        return docker("port", self.container, "9090/tcp").splitlines()[0]

    def snapshot(self, state: str) -> dict[str, Any]:
        options = {"services": ["prometheus"], "state": state, "dir": str(self.base)}
        return self.run_module(service_snapshot.main, options)

    def config(self) -> str:
        """Return the configuration of the running Prometheus."""
        with urllib.request.urlopen(f"http://{self.address()}/api/v1/status/config", timeout=5) as answer:
            config: str = json.load(answer)["data"]["yaml"]
        return config

    def wait_until_it_runs(self, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while True:
            try:
                self.config()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    pytest.fail(f"Prometheus does not answer: {error}")
                time.sleep(0.2)


@pytest.fixture
def prometheus(tmp_path: Path, image: str, run_module: Callable[..., dict[str, Any]]) -> Iterator[Prometheus]:
    service = Prometheus(tmp_path / "llm-monitor", image, run_module)
    yield service
    if service.container:
        docker("rm", "--force", "--volumes", service.container)


def test_a_change_reaches_the_running_service_by_reload_and_can_be_undone(prometheus: Prometheus) -> None:
    first = prometheus.folder("30s")
    assert (first["checked"], first["action"]) == (True, "recreate")
    prometheus.start()
    prometheus.wait_until_it_runs()
    prometheus.snapshot("saved")

    second = prometheus.folder("15s")
    assert (second["checked"], second["action"]) == (True, "reload")
    assert len(prometheus.signal()["containers"]) == 1
    assert "scrape_interval: 15s\n" in prometheus.config()

    assert prometheus.snapshot("restored")["services"] == ["prometheus"]
    assert not prometheus.signal()["failed"]
    assert "scrape_interval: 30s\n" in prometheus.config()
    assert not prometheus.folder("30s")["changed"]


def test_what_only_prometheus_refuses_is_told_and_can_be_undone(prometheus: Prometheus) -> None:
    prometheus.folder("30s")
    prometheus.start()
    prometheus.wait_until_it_runs()
    prometheus.snapshot("saved")

    refused = prometheus.folder("15s", more=MISSING_CA)
    assert (refused["checked"], refused["action"]) == (True, "reload")
    began = time.monotonic()
    said = prometheus.signal()
    assert said["failed"]
    assert "prometheus refused it: prometheus_config_last_reload_successful is 0" in said["msg"]
    assert time.monotonic() - began < 10
    # It holds a part of what it refused, which is why it must read again what worked.
    assert "scrape_interval: 15s\n" in prometheus.config()

    prometheus.snapshot("restored")
    assert not prometheus.signal()["failed"]
    assert "scrape_interval: 30s\n" in prometheus.config()


def test_a_rule_that_promtool_rejects_replaces_nothing(prometheus: Prometheus) -> None:
    prometheus.folder("30s")
    before = {path: path.read_bytes() for path in prometheus.base.rglob("*") if path.is_file()}
    wrong = "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up ==\n"
    for check_mode in (True, False):
        result = prometheus.folder("30s", wrong, check_mode=check_mode)
        assert result["failed"]
        assert "prometheus keeps the one it has" in result["msg"]
        assert "prometheus/rules/a.yml" in result["msg"]
        assert "could not parse expression" in result["msg"]
        assert "expr: up ==" in result["msg"]
    assert {path: path.read_bytes() for path in prometheus.base.rglob("*") if path.is_file()} == before
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={prometheus.image}") == ""


def test_check_mode_checks_with_the_engine_and_writes_nothing(prometheus: Prometheus) -> None:
    result = prometheus.folder("30s", check_mode=True)
    assert (result["changed"], result["checked"]) == (True, True)
    assert not prometheus.base.exists()
