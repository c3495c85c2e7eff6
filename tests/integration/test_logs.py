# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The folders of Loki and Alloy as their roles place them. No image of theirs can be had: stand-ins play checkers."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.llmops.monitoring.tests.integration.test_exporters_compose import composed
from ansible_collections.llmops.monitoring.tests.integration.tiny_image import imported

Place = Callable[..., Any]
COMPONENTS = ["prometheus", "alertmanager", "exporters", "docker_socket_proxy", "loki", "alloy"]
# It is called as the role promises, can read the file, and refuses one that says so.
CHECKER = """#!/bin/sh
[ "$*" = "{call}" ] || {{ echo "called with: $*"; exit 1; }}
while read -r line; do
  case "$line" in *refuse-me*) echo "{file}: line 3: refused as told"; exit 1 ;; esac
done < {file}
"""
LOKI = CHECKER.format(call="-config.file=/etc/loki/loki.yaml -verify-config", file="/etc/loki/loki.yaml")
ALLOY = CHECKER.format(call="validate /etc/alloy/config.alloy", file="/etc/alloy/config.alloy")


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Return an image in which both stand-ins lie."""
    with imported("checkers", ["/bin/sh"], {"usr/bin/loki": LOKI, "bin/alloy": ALLOY}) as reference:
        yield reference


@pytest.fixture
def put(place: Place, image: str) -> Place:
    """Return a function that places one of them, of a host that runs all there is."""

    def run(service: str, **variables: Any) -> Any:
        names = ("prometheus", "alertmanager", "docker_socket_proxy", "python", "loki", "alloy")
        settings = {
            "llm_monitor_components": COMPONENTS,
            "llm_monitor_image_source": "registry",
            "llm_monitor_registry_images": dict.fromkeys(names, image),
            "exporters_mocked": ["gpu"],
            **variables,
        }
        return place(service, **settings)

    return run


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {volume["target"]: (volume["source"], volume.get("read_only", False)) for volume in service["volumes"]}


def test_loki_keeps_what_was_promised_and_forgets_the_rest(put: Place) -> None:
    placed = put("loki")
    config = yaml.safe_load(placed.text("loki.yaml"))
    assert config["auth_enabled"] is False
    assert config["target"] == "all"
    assert config["analytics"] == {"reporting_enabled": False}
    assert config["ruler"] == {"enable_api": False}
    assert config["common"]["replication_factor"] == 1
    assert config["common"]["ring"] == {"kvstore": {"store": "inmemory"}}
    # Without any of these nothing would ever be deleted.
    assert config["compactor"]["retention_enabled"] is True
    assert config["compactor"]["delete_request_store"] == "filesystem"
    assert config["limits_config"]["retention_period"] == "30d"
    assert config["limits_config"]["allow_structured_metadata"] is True
    assert config["limits_config"]["volume_enabled"] is True
    assert config["limits_config"]["discover_service_name"] == []
    (period,) = config["schema_config"]["configs"]
    assert period == {
        "from": "2024-01-01",
        "store": "tsdb",
        "object_store": "filesystem",
        "schema": "v13",
        "index": {"prefix": "index_", "period": "24h"},
    }
    assert "storage_config" not in config
    service = composed(placed)["services"]["loki"]
    assert service["healthcheck"]["test"] == ["CMD", "/usr/bin/loki", "-health"]
    assert [(port["host_ip"], port["published"], port["target"]) for port in service["ports"]] == [
        ("127.0.0.1", "23002", 3100)
    ]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == "10001:10001"
    # It reads its configuration only when it starts.
    assert len(service["labels"]["llm-monitor.config-hash"]) == 64
    assert mounts(service)["/loki"] == ("loki-data", False)


def test_loki_on_s3_keeps_its_key_apart(put: Place) -> None:
    placed = put(
        "loki",
        loki_s3_bucket="logs",
        loki_s3_endpoint="minio.example.com:9000",
        loki_s3_tls=False,
        loki_s3_access_key_id="key-id",
        loki_s3_secret_access_key="sw0rdfish",
        loki_s3_from="2026-12-01",
        loki_target="write",
        loki_ring_members=["10.0.0.1", "10.0.0.2", "10.0.0.3"],
        loki_ring_address="10.0.0.1",
        loki_backend_address="10.0.0.3",
        loki_replication_factor=3,
    )
    config = yaml.safe_load(placed.text("loki.yaml"))
    periods = [(period["from"], period["object_store"]) for period in config["schema_config"]["configs"]]
    assert periods == [("2024-01-01", "filesystem"), ("2026-12-01", "s3")]
    assert config["storage_config"]["aws"] == {
        "bucketnames": "logs",
        "endpoint": "minio.example.com:9000",
        "s3forcepathstyle": True,
        "region": "us-east-1",
        "insecure": True,
    }
    assert config["compactor"]["delete_request_store"] == "s3"
    assert config["common"]["instance_addr"] == "10.0.0.1"
    assert config["common"]["replication_factor"] == 3
    assert config["common"]["compactor_grpc_address"] == "10.0.0.3:9095"
    assert config["memberlist"]["join_members"] == ["10.0.0.1:7946", "10.0.0.2:7946", "10.0.0.3:7946"]
    service = composed(placed)["services"]["loki"]
    assert service["environment"] == {"AWS_SHARED_CREDENTIALS_FILE": "/run/secrets/s3_credentials"}
    assert {(port["host_ip"], port["target"]) for port in service["ports"]} == {
        ("127.0.0.1", 3100),
        ("10.0.0.1", 7946),
        ("10.0.0.1", 9095),
    }
    written = "".join(path.read_text() for path in placed.folder.rglob("*") if path.is_file())
    assert "sw0rdfish" not in written + placed.printed
    (secret,) = placed.secrets.iterdir()
    assert secret.name == "s3_credentials"
    assert secret.read_text().splitlines() == [
        "[default]",
        "aws_access_key_id = key-id",
        "aws_secret_access_key = sw0rdfish",
    ]
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_alloy_may_read_what_it_needs_and_no_more(put: Place) -> None:
    placed = put(
        "alloy",
        alloy_files=[
            {"path": "/var/log/apt/*.log", "service": "apt"},
            {"path": "/var/log/dpkg.log", "service": "dpkg"},
        ],
        alloy_loki_url="https://loki.example.com",
        alloy_loki_username="shipper",
        alloy_loki_password="sw0rdfish",
    )
    read = composed(placed)
    service = read["services"]["alloy"]
    assert service["user"] == "473:473"
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "65532" in service["group_add"]
    assert [(port["host_ip"], port["published"], port["target"]) for port in service["ports"]] == [
        ("127.0.0.1", "23004", 12345)
    ]
    mounted = mounts(service)
    assert not any("docker.sock" in source for source, _read_only in mounted.values())
    assert {target for target, (_source, read_only) in mounted.items() if not read_only} == {"/var/lib/alloy/data"}
    assert mounted["/run/docker-logs"] == ("docker-socket-proxy-logs", True)
    assert mounted["/var/log/llm-monitor-mock"] == ("exporters_mock_logs", True)
    assert mounted["/var/log/apt"] == ("/var/log/apt", True)
    assert mounted["/var/log"] == ("/var/log", True)
    assert "--disable-reporting" in service["command"]
    assert not any("experimental" in word for word in service["command"])
    written = "".join(path.read_text() for path in placed.folder.rglob("*") if path.is_file())
    assert "sw0rdfish" not in written + placed.printed
    assert {path.name: path.read_text() for path in placed.secrets.iterdir()} == {"loki_password": "sw0rdfish"}


def test_mock_writes_its_logs_where_alloy_reads_them(place: Place, put: Place) -> None:
    with_alloy = composed(place("exporters", llm_monitor_components=COMPONENTS, exporters_mocked=["gpu"]))
    service = with_alloy["services"]["mock-exporter"]
    assert service["environment"]["LLM_MONITOR_MOCK__LOGS"] == "/var/log/llm-monitor-mock"
    assert mounts(service)["/var/log/llm-monitor-mock"] == ("exporters_mock_logs", False)
    assert "exporters_mock_logs" in composed(put("alloy"))["volumes"]
    without = composed(place("exporters", exporters_mocked=["gpu"]))
    assert "LLM_MONITOR_MOCK__LOGS" not in without["services"]["mock-exporter"]["environment"]
    assert "exporters_mock_logs" not in without.get("volumes", {})


def test_the_proxy_opens_its_second_socket_for_alloy_alone(place: Place) -> None:
    placed = place("docker_socket_proxy", llm_monitor_components=COMPONENTS)
    assert "unix@/run/docker-logs/docker.sock" in placed.text("haproxy.cfg")
    volumes = composed(placed)["services"]["docker_socket_proxy"]["volumes"]
    assert {"docker-socket-proxy", "docker-socket-proxy-logs"} <= {volume["source"] for volume in volumes}


def test_prometheus_scrapes_loki_and_alloy_where_they_run(place: Place) -> None:
    placed = place("prometheus", llm_monitor_components=COMPONENTS)
    jobs = {job["job_name"]: job for job in yaml.safe_load(placed.text("prometheus.yml"))["scrape_configs"]}
    assert jobs["loki"]["static_configs"] == [{"targets": ["loki:3100"], "labels": {"instance": "demo"}}]
    assert jobs["alloy"]["static_configs"] == [{"targets": ["alloy:12345"], "labels": {"instance": "demo"}}]
    assert "LogIngestStopped" in placed.text("rules/stack_alerts.yml")
    without = place("prometheus")
    jobs = {job["job_name"]: job for job in yaml.safe_load(without.text("prometheus.yml"))["scrape_configs"]}
    assert not {"loki", "alloy"} & set(jobs)
    assert "LogIngestStopped" not in without.text("rules/stack_alerts.yml")
    assert "LogShipperDropping" not in without.text("rules/stack_alerts.yml")


@pytest.mark.parametrize(
    ("service", "variables"),
    [
        ("loki", {"loki_s3_bucket": "refuse-me"}),
        ("alloy", {"alloy_scrub_rules": [{"expression": "(refuse-me)"}]}),
    ],
)
def test_what_the_checker_refuses_changes_nothing(put: Place, service: str, variables: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="refused as told") as refusal:
        put(service, **variables)
    assert "changed=0" in str(refusal.value)
