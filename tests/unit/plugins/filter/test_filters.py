# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmops.monitoring.plugins.filter.expected_targets import expected_targets
from ansible_collections.llmops.monitoring.plugins.filter.exporter_failures import WORDS, exporter_failures
from ansible_collections.llmops.monitoring.plugins.filter.exporter_targets import exporter_targets
from ansible_collections.llmops.monitoring.plugins.filter.host_services import host_services
from ansible_collections.llmops.monitoring.plugins.filter.mirrored import mirrored
from ansible_collections.llmops.monitoring.plugins.filter.own_address import own_address
from ansible_collections.llmops.monitoring.plugins.filter.usual_exporters import usual_exporters
from ansible_collections.llmops.monitoring.plugins.filter.without_secrets import without_secrets
from ansible_collections.llmops.monitoring.plugins.module_utils._log_places import alloy_targets, loki_url

CATALOGUE = {"exporters": ["gpu_hosts", "monitoring_hosts"], "prometheus": ["monitoring_hosts"]}
EXPORTERS = {
    "node": {"port": 9100, "offset": 0},
    "gpu": {"port": 9445, "offset": 1},
    "container": {"port": 8080, "offset": 2},
    "litellm": {"port": 9901, "offset": 3},
    "vllm": {"port": 9902, "offset": 4},
    "langfuse": {"port": 9903, "offset": 5},
    "mock": {"port": 9910, "offset": 6},
    "llmops": {"port": 9904, "offset": 7},
}


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
    return exporter_targets(EXPORTERS, list(hostvars), hostvars, this_host)


def test_targets_are_named_after_the_inventory() -> None:
    found = targets({"watch": {}, "gpu-01": {"ansible_host": "192.0.2.11"}, "gpu-02": {}})
    assert list(found) == list(EXPORTERS)
    assert {job: groups for job, groups in found.items() if groups} == {
        "node": [
            {"targets": ["192.0.2.11:9100"], "labels": {"instance": "gpu-01"}},
            {"targets": ["gpu-02:9100"], "labels": {"instance": "gpu-02"}},
            {"targets": ["node-exporter:9100"], "labels": {"instance": "watch"}},
        ],
        "container": [
            {"targets": ["192.0.2.11:8080"], "labels": {"instance": "gpu-01"}},
            {"targets": ["gpu-02:8080"], "labels": {"instance": "gpu-02"}},
            {"targets": ["container-exporter:8080"], "labels": {"instance": "watch"}},
        ],
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
    found = targets({"gpu-01": {"llm_monitor_exporter_port_base": 8080, "exporters_enabled": list(EXPORTERS)}})
    assert [found[name][0]["targets"] for name in EXPORTERS] == [[f"gpu-01:{8080 + offset}"] for offset in range(8)]


GPU_HOST: dict[str, Any] = {"group_names": ["gpu_hosts"]}


EVERYWHERE = ["node", "container"]
WITH_GPUS = ["node", "gpu", "container", "vllm"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({}, EVERYWHERE),
        ({"group_names": ["monitoring_hosts"]}, EVERYWHERE),
        (GPU_HOST, WITH_GPUS),
        ({**GPU_HOST, "__nvidia_toolkit_gpus": {"gpus": [{"index": 0}], "pci_gpus": 1}}, WITH_GPUS),
        # The driver is gone, the GPU is not.
        ({**GPU_HOST, "__nvidia_toolkit_gpus": {"gpus": [], "pci_gpus": 1}}, WITH_GPUS),
        ({**GPU_HOST, "__nvidia_toolkit_gpus": {"gpus": [], "pci_gpus": 0}}, EVERYWHERE),
        ({**GPU_HOST, "__nvidia_toolkit_gpus": {"skipped": True}}, WITH_GPUS),
        ({**GPU_HOST, "llm_monitor_gpu_library": ""}, WITH_GPUS),
        ({"__nvidia_toolkit_gpus": {"gpus": [], "pci_gpus": 0}, "llm_monitor_gpu_library": "/srv/fake"}, WITH_GPUS),
    ],
)
def test_a_host_with_gpus_runs_the_exporters_of_gpus_and_models(host: dict[str, Any], expected: list[str]) -> None:
    assert usual_exporters(host) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"llm_monitor_components": ["exporters", "docker_socket_proxy"]}, WITH_GPUS),
        ({"llm_monitor_components": ["exporters"]}, ["node", "gpu"]),
        ({"llm_monitor_components": ["exporters"], "exporters_docker_socket": "/run/docker.sock"}, WITH_GPUS),
        (
            {"llm_monitor_components": ["exporters"], "exporters_vllm_endpoints": [{"name": "a", "url": "http://a"}]},
            ["node", "gpu", "vllm"],
        ),
    ],
)
def test_exporters_of_containers_need_a_way_to_docker(host: dict[str, Any], expected: list[str]) -> None:
    assert usual_exporters({**GPU_HOST, **host}) == expected


@pytest.mark.parametrize(
    ("variable", "value", "exporter"),
    [
        ("exporters_vllm_endpoints", [{"name": "a", "url": "http://a:8000"}], "vllm"),
        ("exporters_litellm_url", "http://litellm:4000", "litellm"),
        ("exporters_langfuse_url", "https://langfuse.example.com", "langfuse"),
        ("exporters_langfuse_database", "postgresql+psycopg://reader@db/langfuse", "langfuse"),
        ("exporters_llmops_database", "postgresql://reader@db/events", "llmops"),
    ],
)
def test_a_service_that_the_inventory_names_has_its_exporter(variable: str, value: Any, exporter: str) -> None:
    assert usual_exporters({variable: value}) == [*EVERYWHERE, exporter]
    assert usual_exporters({variable: value and type(value)()}) == EVERYWHERE


@pytest.mark.parametrize(
    ("components", "groups", "expected"),
    [
        (["exporters", "docker_socket_proxy", "event_store"], ["monitoring_hosts"], [*EVERYWHERE, "llmops"]),
        (["exporters", "docker_socket_proxy"], ["monitoring_hosts"], EVERYWHERE),
        (["exporters", "docker_socket_proxy", "event_store"], [], EVERYWHERE),
    ],
)
def test_an_event_store_has_its_exporter_where_it_runs(
    components: list[str], groups: list[str], expected: list[str]
) -> None:
    assert usual_exporters({"llm_monitor_components": components, "group_names": groups}) == expected


def test_what_is_mocked_runs_whatever_the_host_has() -> None:
    assert usual_exporters({"exporters_mocked": ["langfuse", "gpu"]}) == [
        "node",
        "gpu",
        "container",
        "langfuse",
        "mock",
    ]
    # What is wrong with it is told in the host's own turn.
    assert usual_exporters({"exporters_mocked": "gpu"}) == EVERYWHERE


def test_the_mock_answers_under_the_jobs_and_ports_of_what_it_plays() -> None:
    mocked = {"exporters_mocked": ["gpu", "vllm"], "exporters_vllm_port": 1234}
    found = targets({"watch": mocked, "gpu-01": {**mocked, "llm_monitor_exporter_port_base": 8080}})
    assert {job: [group["targets"][0] for group in groups] for job, groups in found.items() if groups} == {
        "node": ["gpu-01:8080", "node-exporter:9100"],
        "gpu": ["gpu-01:8081", "mock-exporter:9445"],
        "container": ["gpu-01:8082", "container-exporter:8080"],
        "vllm": ["gpu-01:1234", "mock-exporter:1234"],
        "mock": ["gpu-01:8086", "mock-exporter:9910"],
    }
    assert {group["labels"]["instance"] for group in found["gpu"]} == {"gpu-01", "watch"}


def test_a_gpu_host_is_a_target_for_its_gpus_unless_its_inventory_chooses() -> None:
    found = targets({"gpu-01": GPU_HOST, "gpu-02": {**GPU_HOST, "exporters_enabled": ["node"]}, "watch": {}})
    assert [group["labels"]["instance"] for group in found["node"]] == ["gpu-01", "gpu-02", "watch"]
    assert found["gpu"] == [{"targets": ["gpu-01:9445"], "labels": {"instance": "gpu-01"}}]


def test_a_host_without_exporters_is_no_target() -> None:
    assert targets({"gpu-01": {"llm_monitor_components": ["prometheus"]}}) == {name: [] for name in EXPORTERS}


@pytest.mark.parametrize(
    ("enabled", "words"),
    [(["node", "gpuu"], "has 'gpuu', which is none of: node, gpu"), ("node", "is 'node': must be a list of exporters")],
)
def test_a_mistake_of_another_host_is_told(enabled: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"exporters_enabled of gpu-01 {words}"):
        targets({"gpu-01": {"exporters_enabled": enabled}})


def test_a_host_in_two_groups_is_one_target() -> None:
    found = exporter_targets(EXPORTERS, ["a", "a"], {"a": {}}, "a")
    assert len(found["node"]) == 1


def test_every_target_is_expected_under_its_job_and_instance() -> None:
    assert expected_targets(targets({"watch": {}, "gpu-01": {}})) == [
        {"job": "node", "instance": "gpu-01"},
        {"job": "node", "instance": "watch"},
        {"job": "container", "instance": "gpu-01"},
        {"job": "container", "instance": "watch"},
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


# A section, and the keys whose values go to files there.
SECRETS = [
    ({"opsgenie_api_key": "s3"}, ["opsgenie_api_key_file"]),
    ({"victorops_api_key": "s3", "victorops_api_url": "https://v/"}, ["victorops_api_key_file", "victorops_api_url"]),
    ({"rocketchat_token": "s3", "rocketchat_token_id": "s3"}, ["rocketchat_token_file", "rocketchat_token_id_file"]),
    ({"http_config": {"bearer_token": "s3"}}, ["bearer_token_file"]),
    ({"http_config": {"tls_config": {"cert": "c", "key": "s3"}}}, ["cert", "key_file"]),
    ({"smtp_tls_config": {"key": "s3"}}, ["key_file"]),
    ({"oauth2": {"client_id": "i", "client_secret": "s3"}}, ["client_id", "client_secret_file"]),
    ({"telegram_configs": [{"bot_token": "s3", "chat_id": 1}]}, ["bot_token_file", "chat_id"]),
    ({"victorops_configs": [{"api_key": "s3", "routing_key": "team"}]}, ["api_key_file", "routing_key"]),
    ({"rocketchat_configs": [{"token": "s3", "token_id": "s3"}]}, ["token_file", "token_id_file"]),
    ({"scaleway_sd_configs": [{"secret_key": "s3"}]}, ["secret_key_file"]),
]


@pytest.mark.parametrize(("config", "keys"), SECRETS)
def test_every_secret_with_a_file_form_becomes_a_file(config: dict[str, Any], keys: list[str]) -> None:
    split = without_secrets(config, "/run/secrets")
    assert set(split["files"].values()) == {"s3"}
    assert "s3" not in repr(split["value"])
    for key in keys:
        assert f"'{key}': " in repr(split["value"])


def test_a_secret_of_digits_is_a_secret() -> None:
    split = without_secrets({"basic_auth": {"username": 7, "password": 12345}}, "/s")
    assert split == {
        "value": {"basic_auth": {"username": 7, "password_file": "/s/basic_auth-password"}},
        "files": {"basic_auth-password": "12345"},
    }


def test_the_secrets_of_headers_become_files() -> None:
    headers = {"X-Key": {"secrets": ["s1", 2], "files": ["/mine"]}, "X-Name": {"values": ["n"]}}
    split = without_secrets([{"http_headers": headers}], "/s", "rw")
    files = ["/mine", "/s/rw-0-http_headers-X-Key-0", "/s/rw-0-http_headers-X-Key-1"]
    assert split["value"] == [{"http_headers": {"X-Key": {"files": files}, "X-Name": {"values": ["n"]}}}]
    assert list(split["files"].values()) == ["s1", "2"]


def test_names_that_users_choose_are_no_keys_of_ours() -> None:
    config = {"oauth2": {"endpoint_params": {"password": "p"}}, "static_configs": [{"labels": {"bearer_token": "l"}}]}
    assert without_secrets(config, "/s") == {"value": config, "files": {}}


def test_alike_names_get_files_of_their_own() -> None:
    receivers = [
        {"name": name, "slack_configs": [{"api_url": name}]} for name in ("a b", "a/b", "a_b", "../a_b", "a_b")
    ]
    split = without_secrets(receivers, "/s")
    assert list(split["files"].values()) == ["a b", "a/b", "a_b", "../a_b", "a_b"]
    for receiver in split["value"]:
        path = receiver["slack_configs"][0]["api_url_file"]
        assert split["files"][path.removeprefix("/s/")] == receiver["name"]


UP = "llm_monitor_langfuse_up"
SUCCESS = "llm_monitor_langfuse_collector_success"
ERRORS = "llm_monitor_langfuse_upstream_errors_total"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"{UP} 1"], []),
        ([f"{UP} 1", f'{SUCCESS}{{collector="usage"}} 1'], []),
        # What failed once and no longer does is no failure.
        ([f"{UP} 1", f'{ERRORS}{{endpoint="health",reason="timeout"}} 3'], []),
        # Nobody said that this one has to succeed.
        ([f"{UP} 1", f'{SUCCESS}{{collector="ready"}} 0'], []),
        ([f"{UP} 0"], [f"its metrics have {UP} 0"]),
        (["llm_monitor_langfuse_build_info 1"], [f"its metrics have no {UP} yet"]),
        (['llm_monitor_langfuse_up{container="one"} 1'], [f"its metrics have no {UP} yet"]),
        (["llm_monitor_litellm_up 1"], [f"its metrics have no {UP} yet"]),
        (
            [
                f"# HELP {UP} 1",
                f'{ERRORS}{{endpoint="metrics_v2",reason="unauthorized"}} 2',
                f'{ERRORS}{{endpoint="health",reason="timeout"}} 1',
                f'{ERRORS}{{endpoint="metrics",reason="unauthorized"}} 2',
                f'{ERRORS}{{endpoint="health",reason="haunted"}} 1',
                f"{UP} 1",
                f'{SUCCESS}{{collector="usage"}} 0',
            ],
            ["it refuses the key (metrics_v2, metrics)", "it does not answer in time (health)", "haunted (health)"],
        ),
    ],
)
def test_an_exporter_tells_what_keeps_it_from_its_source(lines: list[str], expected: list[str]) -> None:
    assert exporter_failures("\n".join([*lines, ""]), "langfuse", ["usage"]) == expected


VLLM = [
    "# HELP llm_monitor_vllm_up 1 when it can be asked.",
    "llm_monitor_vllm_up 1",
    'llm_monitor_vllm_up{container="llama3-70b"} 0',
    'llm_monitor_vllm_up{container="phi3"} 1',
    'llm_monitor_vllm_up{container="found"} 0',
    'llm_monitor_vllm_upstream_errors_total{container="llama3-70b",reason="refused"} 4',
    'llm_monitor_vllm_upstream_errors_total{container="llama3-70b",reason="timeout"} 1',
    'llm_monitor_vllm_upstream_errors_total{container="phi3",reason="timeout"} 1',
]


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([], []),
        (["phi3"], []),
        (["llama3-70b", "phi3"], ["llama3-70b: nothing listens there, it does not answer in time"]),
        (["found"], ["found: it does not answer"]),
    ],
)
def test_only_servers_that_are_named_have_to_be_there(servers: list[str], expected: list[str]) -> None:
    assert exporter_failures("\n".join([*VLLM, ""]), "vllm", servers=servers) == expected


def test_servers_do_not_count_while_the_exporter_can_ask_nobody() -> None:
    lines = [line.replace("_up 1", "_up 0") for line in VLLM]
    assert exporter_failures("\n".join(lines), "vllm", servers=["llama3-70b"]) == [
        "its metrics have llm_monitor_vllm_up 0"
    ]


def test_every_reason_of_a_failure_has_words() -> None:
    source = Path(__file__).resolve().parents[4] / "files/exporters/src/llm_monitor/base/upstream/errors.py"
    reasons = re.findall(r'^    [A-Z_]+ = "(\w+)"$', source.read_text(), re.MULTILINE)
    assert sorted(WORDS) == sorted(reasons)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({}, "http://watch:23002"),
        ({"ansible_host": "10.0.0.20", "loki_port": 3100}, "http://10.0.0.20:3100"),
        ({"ansible_host": "10.0.0.20", "exporters_scrape_address": "2001:db8::1"}, "http://[2001:db8::1]:23002"),
        ({"ansible_host": "198.51.100.7", "loki_listen_address": "10.0.0.20"}, "http://10.0.0.20:23002"),
        ({"ansible_host": "198.51.100.7", "llm_monitor_listen_address": "fd00::20"}, "http://[fd00::20]:23002"),
        ({"ansible_host": "10.0.0.20", "loki_listen_address": "0.0.0.0"}, "http://10.0.0.20:23002"),
        ({"ansible_host": "10.0.0.20", "loki_listen_address": "::"}, "http://10.0.0.20:23002"),
        ({"exporters_scrape_address": "watch.vpn", "loki_listen_address": "10.0.0.20"}, "http://watch.vpn:23002"),
        ({"llm_monitor_components": ["prometheus"]}, ""),
        ({"llm_monitor_image_source": "distro"}, ""),
        ({"llm_monitor_image_source": "distro", "llm_monitor_components": ["loki"]}, "http://watch:23002"),
    ],
)
def test_logs_go_to_the_first_monitoring_host_that_runs_loki(host: dict[str, Any], expected: str) -> None:
    assert loki_url({"watch": host}, ["watch"]) == expected
    assert loki_url({"none": {"llm_monitor_components": []}, "watch": host}, ["none", "watch"]) == expected
    part = {**host, "loki_target": "backend"}
    assert loki_url({"part": part, "watch": {**host, "loki_target": "write"}}, ["part", "watch"]) == expected
    assert loki_url({}, []) == ""


def test_alloys_are_scraped_where_they_can_be_reached() -> None:
    hosts: dict[str, dict[str, Any]] = {
        "watch": {},
        "loopback": {},
        "gpu-01": {"alloy_listen_address": "0.0.0.0", "ansible_host": "10.0.0.11"},
        "gpu-02": {"alloy_listen_address": "10.0.0.12", "ansible_host": "198.51.100.8", "alloy_port": 9999},
        "without": {"alloy_listen_address": "0.0.0.0", "llm_monitor_components": ["exporters"]},
    }
    assert alloy_targets(hosts, [*hosts, "watch"], "watch", ["prometheus", "alloy"]) == [
        {"targets": ["10.0.0.11:23004"], "labels": {"instance": "gpu-01"}},
        {"targets": ["10.0.0.12:9999"], "labels": {"instance": "gpu-02"}},
        {"targets": ["alloy:12345"], "labels": {"instance": "watch"}},
    ]
    assert alloy_targets(hosts, ["watch"], "watch", ["prometheus"]) == []
