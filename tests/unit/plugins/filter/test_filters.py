# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.filter.expected_targets import expected_targets
from ansible_collections.llmops.monitoring.plugins.filter.exporter_targets import exporter_targets
from ansible_collections.llmops.monitoring.plugins.filter.host_services import host_services
from ansible_collections.llmops.monitoring.plugins.filter.mirrored import mirrored
from ansible_collections.llmops.monitoring.plugins.filter.own_address import own_address
from ansible_collections.llmops.monitoring.plugins.filter.without_secrets import without_secrets

CATALOGUE = {"exporters": ["gpu_hosts", "monitoring_hosts"], "prometheus": ["monitoring_hosts"]}
EXPORTERS = {"node": {"port": 9100, "offset": 0}, "gpu": {"port": 9445, "offset": 1}}


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ("", "docker.io/prom/prometheus:v3"),
        ("registry.example.com:5000", "registry.example.com:5000/prom/prometheus:v3"),
        ("registry.example.com/hub/", "registry.example.com/hub/prom/prometheus:v3"),
    ],
)
def test_a_mirror_takes_the_place_of_the_registry(mirror: str, expected: str) -> None:
    assert mirrored("docker.io/prom/prometheus:v3", mirror) == expected


@pytest.mark.parametrize(
    ("components", "groups", "expected"),
    [
        (["prometheus", "exporters"], ["gpu_hosts", "monitoring_hosts"], ["exporters", "prometheus"]),
        (["prometheus", "exporters"], ["gpu_hosts"], ["exporters"]),
        (["prometheus"], ["gpu_hosts"], []),
        ([], ["monitoring_hosts"], []),
    ],
)
def test_a_host_runs_what_is_switched_on_and_belongs_there(
    components: list[str], groups: list[str], expected: list[str]
) -> None:
    assert host_services(CATALOGUE, components, groups) == expected


def targets(hostvars: dict[str, dict[str, Any]], this_host: str = "watch") -> dict[str, Any]:
    return exporter_targets(EXPORTERS, list(hostvars), hostvars, this_host, default_exporters=["node"])


def test_targets_are_named_after_the_inventory() -> None:
    found = targets({"watch": {}, "gpu-01": {"ansible_host": "192.0.2.11"}, "gpu-02": {}})
    assert found == {
        "node": [
            {"targets": ["192.0.2.11:9100"], "labels": {"instance": "gpu-01"}},
            {"targets": ["gpu-02:9100"], "labels": {"instance": "gpu-02"}},
            {"targets": ["node-exporter:9100"], "labels": {"instance": "watch"}},
        ],
        "gpu": [],
    }


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"exporters_node_port": 1234}, "gpu-01:1234"),
        ({"llm_monitor_exporter_port_base": 8080}, "gpu-01:8080"),
        ({"llm_monitor_exporter_port_base": "8080"}, "gpu-01:8080"),
        ({"llm_monitor_exporter_port_base": 8080, "exporters_node_port": 99}, "gpu-01:99"),
        ({"ansible_host": "192.0.2.1", "exporters_scrape_address": "10.0.0.1"}, "10.0.0.1:9100"),
        ({"ansible_host": "2001:db8::1"}, "[2001:db8::1]:9100"),
    ],
)
def test_a_targets_address_comes_from_the_hosts_own_variables(host: dict[str, Any], expected: str) -> None:
    assert targets({"gpu-01": host})["node"][0]["targets"] == [expected]


def test_the_range_of_ports_is_consecutive() -> None:
    found = targets({"gpu-01": {"llm_monitor_exporter_port_base": 8080, "exporters_enabled": ["node", "gpu"]}})
    assert [found[name][0]["targets"] for name in ("node", "gpu")] == [["gpu-01:8080"], ["gpu-01:8081"]]


def test_a_host_without_exporters_is_no_target() -> None:
    assert targets({"gpu-01": {"llm_monitor_components": ["prometheus"]}}) == {"node": [], "gpu": []}


def test_a_host_in_two_groups_is_one_target() -> None:
    found = exporter_targets(EXPORTERS, ["a", "a"], {"a": {}}, "a", default_exporters=["node"])
    assert len(found["node"]) == 1


def test_every_target_is_expected_under_its_job_and_instance() -> None:
    assert expected_targets(targets({"watch": {}, "gpu-01": {}})) == [
        {"job": "node", "instance": "gpu-01"},
        {"job": "node", "instance": "watch"},
    ]


@pytest.mark.parametrize(
    ("listens_on", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
    ],
)
def test_a_host_reaches_its_own_services(listens_on: str, expected: str) -> None:
    assert own_address(listens_on) == expected


def test_secrets_of_receivers_become_files() -> None:
    receivers = [
        {"name": "ops", "slack_configs": [{"channel": "#gpu", "api_url": "https://hooks/secret"}]},
        {"name": "on call", "pagerduty_configs": [{"routing_key": "key"}]},
        {
            "name": "hook",
            "webhook_configs": [{"url": "http://in/secret", "http_config": {"basic_auth": {"password": "p"}}}],
        },
        {"name": "mail", "email_configs": [{"to": "a@b", "auth_password": "q"}]},
        {"name": "genie", "opsgenie_configs": [{"api_url": "https://api.opsgenie.com/", "api_key": "k"}]},
    ]
    split = without_secrets(receivers, "/run/secrets")
    assert split["files"] == {
        "ops-slack_configs-0-api_url": "https://hooks/secret",
        "on_call-pagerduty_configs-0-routing_key": "key",
        "hook-webhook_configs-0-url": "http://in/secret",
        "hook-webhook_configs-0-http_config-basic_auth-password": "p",
        "mail-email_configs-0-auth_password": "q",
        "genie-opsgenie_configs-0-api_key": "k",
    }
    assert split["value"][0]["slack_configs"] == [
        {"channel": "#gpu", "api_url_file": "/run/secrets/ops-slack_configs-0-api_url"}
    ]
    assert split["value"][4]["opsgenie_configs"][0]["api_url"] == "https://api.opsgenie.com/"
    for secret in ("https://hooks/secret", "'key'", "http://in/secret", "'p'", "'q'", "'k'"):
        assert secret not in repr(split["value"])


def test_what_names_a_file_already_is_left_alone() -> None:
    entry = [{"url": "https://metrics/", "basic_auth": {"username": "u", "password_file": "/etc/p"}}]
    assert without_secrets(entry, "/run/secrets", "remote_write") == {"value": entry, "files": {}}


def test_the_names_of_files_say_where_they_belong() -> None:
    split = without_secrets([{"url": "https://metrics/", "authorization": {"credentials": "c"}}], "/run/secrets/", "rw")
    assert split["files"] == {"rw-0-authorization-credentials": "c"}
    assert split["value"][0]["authorization"] == {"credentials_file": "/run/secrets/rw-0-authorization-credentials"}
