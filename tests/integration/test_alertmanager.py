# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Receivers of every kind: the role's own check accepts them, secrets lie apart, and a notification really arrives."""

from __future__ import annotations

import json
import queue
import socket
import stat
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import service_signal
from ansible_collections.llmops.monitoring.tests.dashboards.giving import asked_of, missing, types
from ansible_collections.llmops.monitoring.tests.serving import serving

Place = Callable[..., Any]
SECRETS = ["https://hooks.slack.example/sw0rdfish", "sw0rdfish-pagerduty", "sw0rdfish-smtp", "sw0rdfish-mail"]
RECEIVERS = [
    {"name": "mail", "email_configs": [{"to": "ops@example.com", "auth_password": SECRETS[3]}]},
    {"name": "chat", "slack_configs": [{"channel": "#gpu", "api_url": SECRETS[0]}]},
    {"name": "on-call", "pagerduty_configs": [{"routing_key": SECRETS[1]}]},
]
GLOBAL = {
    "smtp_smarthost": "mail.example.com:587",
    "smtp_from": "monitoring@example.com",
    "smtp_auth_password": SECRETS[2],
}


def test_receivers_of_every_kind_are_valid_and_their_secrets_lie_apart(place: Place) -> None:
    placed = place(
        "alertmanager",
        alertmanager_receivers=RECEIVERS,
        alertmanager_global=GLOBAL,
        alertmanager_routes=[{"receiver": "on-call", "matchers": ['severity = "critical"'], "continue": True}],
        alertmanager_inhibit_rules=[{"source_matchers": ["a = b"], "target_matchers": ["c = d"]}],
    )
    for secret in SECRETS:
        assert secret not in placed.printed + placed.text("alertmanager.yml")
    folder = placed.secrets
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.read_text() for path in folder.iterdir()) == sorted(SECRETS)
    assert {(stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in folder.iterdir()} == {(0o600, 65534)}


def test_a_receiver_that_alertmanager_refuses_changes_nothing(place: Place) -> None:
    with pytest.raises(AssertionError, match="undefined receiver") as refusal:
        place("alertmanager", alertmanager_routes=[{"receiver": "nobody-knows-it"}])
    assert "changed=0" in str(refusal.value)


@pytest.fixture
def webhook() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Give the address of a receiver and what was sent to it."""
    received: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/sw0rdfish", received


PROJECT = f"llm-monitor-test-{uuid.uuid4().hex[:8]}"


def image() -> str:
    """Return the newest image of Alertmanager that the role images has built."""
    listed = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "llm-monitor/alertmanager"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert listed, "the engine has no image of Alertmanager: run `make engine`"
    return listed[0]


@pytest.fixture
def alertmanager(place: Place, webhook: tuple[str, queue.Queue[dict[str, Any]]]) -> Iterator[str]:
    """Run a real Alertmanager with the folder that the role placed, and give its address."""
    placed = place(
        "alertmanager",
        alertmanager_receivers=[{"name": "automation", "webhook_configs": [{"url": webhook[0]}]}],
        alertmanager_watchdog_receiver="automation",
        alertmanager_group_wait="1s",
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    # The host's network, so that it reaches the receiver on loopback.
    container = subprocess.run(
        [
            *("docker", "run", "--detach", "--rm", "--network=host", "--user=65534:65534"),
            f"--label=com.docker.compose.project={PROJECT}",
            "--label=com.docker.compose.service=alertmanager",
            f"--volume={placed.folder}:/etc/alertmanager:ro",
            f"--volume={placed.secrets}:/run/secrets:ro",
            image(),
            "--config.file=/etc/alertmanager/alertmanager.yml",
            "--storage.path=/alertmanager",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    try:
        wait_until_ready(f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        subprocess.run(["docker", "stop", "--time=5", container], check=True, capture_output=True)


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                pytest.fail(f"{url} does not answer: {error}")
            time.sleep(0.1)


def fire(alertmanager: str, *alerts: dict[str, str]) -> None:
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    request = urllib.request.Request(
        f"{alertmanager}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=5).close()


def alert(name: str, instance: str, severity: str = "warning", **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "instance": instance, **labels}


# Alerts that arrive, and alerts that they hold back.
HOST = (
    [
        alert("HostDown", "gpu-01", "critical", job="node"),
        alert("DiskLow", "gpu-02", "critical", mountpoint="/"),
        alert("DiskFillsIn24h", "gpu-02", mountpoint="/data"),
        {"alertname": "Watchdog", "severity": "none"},
    ],
    [
        alert("TargetDown", "gpu-01", job="node"),
        alert("DiskFillsIn24h", "gpu-02", mountpoint="/"),
    ],
)
GPU = (
    [
        alert("GpuExporterDown", "gpu-01", "critical", job="gpu"),
        alert("TargetDown", "gpu-01", job="node"),
        alert("GpuXidHardware", "gpu-02", "critical", gpu_uuid="GPU-3", xid="79"),
        alert("GpuXidApplication", "gpu-02", gpu_uuid="GPU-4", xid="31"),
        alert("GpuTemperatureCritical", "gpu-02", "critical", gpu_uuid="GPU-5", sensor="die"),
        alert("GpuThrottling", "gpu-02", gpu_uuid="GPU-5", reason="hw_power_brake"),
        alert("GpuRowRemapFailure", "gpu-02", "critical", gpu_uuid="GPU-6"),
        alert("GpuRowRemapPending", "gpu-02", gpu_uuid="GPU-7"),
    ],
    [
        alert("TargetDown", "gpu-01", job="gpu"),
        alert("CollectorFailing", "gpu-01", job="gpu", collector="xid", exporter="gpu"),
        alert("GpuXidApplication", "gpu-02", gpu_uuid="GPU-3", xid="45"),
        alert("GpuTemperatureHigh", "gpu-02", gpu_uuid="GPU-5", sensor="die"),
        alert("GpuThrottling", "gpu-02", gpu_uuid="GPU-5", reason="hw_thermal"),
        alert("GpuRowRemapPending", "gpu-02", gpu_uuid="GPU-6"),
    ],
)
MODEL = (
    [
        alert("VllmDown", "gpu-01", "critical", container="llama", model="llama", component="llm"),
        {"alertname": "ModelAbsent", "severity": "critical", "component": "llm", "model": "qwen"},
    ],
    [
        alert("VllmDown", "gpu-01", "info", container="llama", model="adapter", component="llm"),
        {"alertname": "ModelAbsent", "severity": "critical", "component": "llm", "model": "adapter"},
        alert("ContainerDown", "gpu-01", "critical", container="llama", component="container"),
    ],
)


@pytest.mark.parametrize(
    ("arriving", "explained"),
    [pytest.param(*HOST, id="host"), pytest.param(*GPU, id="gpu"), pytest.param(*MODEL, id="model")],
)
def test_alerts_arrive_and_what_they_explain_is_held_back(
    alertmanager: str,
    webhook: tuple[str, queue.Queue[dict[str, Any]]],
    arriving: list[dict[str, str]],
    explained: list[dict[str, str]],
) -> None:
    fire(alertmanager, *arriving, *explained)
    told: list[dict[str, str]] = []
    while len(told) < len(arriving):
        told += [labels for each in webhook[1].get(timeout=20)["alerts"] if (labels := each["labels"]) not in told]
        assert all(labels in arriving for labels in told), told


def test_it_gives_what_dashboards_ask_of_it(alertmanager: str) -> None:
    asked = asked_of("Alertmanager")
    assert asked
    assert missing(asked, types(alertmanager)) == set()


def test_what_only_alertmanager_refuses_is_told_and_can_be_undone(
    alertmanager: str, place: Place, run_module: Callable[..., dict[str, Any]]
) -> None:
    signal = {
        "services": ["alertmanager"],
        "project": PROJECT,
        "metrics": {"alertmanager": f"{alertmanager}/metrics"},
        "timeout": 20,
    }
    # amtool does not look whether this file is there; Alertmanager reads it when it takes the configuration.
    http = {"tls_config": {"ca_file": "/etc/alertmanager/missing.pem"}}
    hook = {"name": "hook", "webhook_configs": [{"url": "https://127.0.0.1:1/", "http_config": http}]}
    place("alertmanager", alertmanager_receivers=[hook])
    said = run_module(service_signal.main, signal)
    assert said["failed"]
    assert "alertmanager refused it: alertmanager_config_last_reload_successful is 0" in said["msg"]

    place("alertmanager", alertmanager_group_wait="2s")
    assert not run_module(service_signal.main, signal)["failed"]
    with urllib.request.urlopen(f"{alertmanager}/api/v2/status", timeout=5) as answer:
        assert "group_wait: 2s\n" in json.load(answer)["config"]["original"]
