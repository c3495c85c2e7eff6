"""settings_check over the roles of this checkout, by a real ansible-playbook; one host for each case."""

import io
import json
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
SECRET = "s3cr3t-of-the-exporters"
IMAGE = "docker.io/library/any:1"
IMAGES = ("prometheus", "alertmanager", "docker_socket_proxy", "event_store", "loki", "alloy", "grafana", "python")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
EVENTS = {"llm_monitor_components": ["event_store"]}
ANNOUNCED = {"id": "gpu2", "kind": "maintenance", "title": "New GPUs", "start": "2026-12-01T08:00Z"}


@pytest.fixture
def check(ansible_playbook: Any, tmp_path: Path) -> Any:
    """Return a function that checks hosts with the given variables, and returns host → result."""

    def run(hosts: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        group = {"hosts": {name: {"ansible_connection": "local", **variables} for name, variables in hosts.items()}}
        inventory = {
            "all": {"children": {"gpu_hosts": group, "monitoring_hosts": {"hosts": {name: {} for name in hosts}}}}
        }
        (tmp_path / "hosts.yml").write_text(
            "---\n" + json.dumps(inventory, indent=1)
        )  # read as YAML, so lines are known
        play = {
            "hosts": "all",
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [{"llmops.monitoring.settings_check": options or {}}],
        }
        done = ansible_playbook(play, "-i", "hosts.yml", ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
        assert SECRET not in done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])["plays"][0]["tasks"][0]["hosts"]
        return told

    return run


# Variables of a host, and what must be in its one problem.
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "grafana-password-short": (
        {"grafana_admin_password": SECRET[:8]},
        ["grafana_admin_password has a value that is not shown here (hosts.yml:", "16 or more ASCII letters"],
    ),
    "grafana-password-in-ini": (
        {"grafana_ini": {"security": {"admin_password": SECRET}}},
        ["grafana_ini.security.admin_password can't be set here: set grafana_admin_password"],
    ),
    "grafana-ini-no-mapping": (
        {"grafana_ini": {"auth": SECRET}},
        ["grafana_ini.auth: must be a mapping of names to values"],
    ),
    "grafana-open-without-tls": (
        {"grafana_listen_address": "0.0.0.0"},
        ["grafana_listen_address is 0.0.0.0: passwords could be read on their way"],
    ),
    "grafana-key-without-certificate": (
        {"grafana_certificate_key": KEY},
        ["grafana_certificate is empty: TLS needs grafana_certificate and grafana_certificate_key"],
    ),
    "grafana-account-role": (
        {"grafana_service_accounts": [{"name": "a", "role": "Boss"}]},
        ["grafana_service_accounts", "must be a list", "Boss"],
    ),
    "port-no-number": ({"prometheus_port": "abc"}, ["prometheus_port is 'abc' (hosts.yml:", "from 1 to 65535"]),
    "port-too-high": ({"prometheus_port": 65536}, ["prometheus_port is 65536", "from 1 to 65535"]),
    "port-zero": ({"alertmanager_port": 0}, ["alertmanager_port is 0"]),
    "port-bool": ({"alertmanager_port": True}, ["alertmanager_port is True"]),
    "port-twice": (
        {"prometheus_port": 9100},
        ["prometheus_port", "exporters_node_port", "both 9100", "can be used once"],
    ),
    "port-twice-by-text": ({"prometheus_port": "23003"}, ["prometheus_port", "alertmanager_port", "both 23003"]),
    "objective-in-percent": (
        {"prometheus_objective": 99.5},
        ["prometheus_objective is 99.5 (hosts.yml:", "must be a share above 0 and below 1, such as 0.99"],
    ),
    "objective-of-a-model": (
        {"prometheus_model_objectives": {"llama": 1}},
        ["prometheus_model_objectives is {'llama': 1}", "a mapping of models to shares above 0 and below 1"],
    ),
    "target-between-bounds": (
        {"prometheus_ttft_target": 3},
        ["prometheus_ttft_target is 3", "must be one of 0.1, 0.25,", "40, 80 seconds"],
    ),
    "budget-with-unit": (
        {"prometheus_daily_budget_usd": "100 USD"},
        ["prometheus_daily_budget_usd is '100 USD'", "an amount of US dollars, 0 or more"],
    ),
    "container-of-an-unknown-host": (
        {"prometheus_expected_containers": {"container-of-an-unknown-hots": ["litellm"]}},
        ["no host of the inventory", "Did you mean container-of-an-unknown-host?"],
    ),
    "cost-of-an-unknown-host": (
        {"prometheus_host_gpu_costs_usd_per_hour": {"elsewhere": 2.2}},
        ["prometheus_host_gpu_costs_usd_per_hour has 'elsewhere'", "no host of the inventory"],
    ),
    "unknown-variable": (
        {"prometheus_retenton": "3d"},
        [
            "prometheus_retenton (hosts.yml:",
            "no variable of this collection",
            "Did you mean prometheus_retention_time?",
        ],
    ),
    "foreign-variable": ({"docker_users": ["me"]}, ["docker_users", "add it to llm_monitor_ignored_variables"]),
    "computed-variable": ({"prometheus_url": "http://x/"}, ["prometheus_url", "computed by the role prometheus"]),
    "unknown-component": (
        {"llm_monitor_components": ["prometheus", "exportrs"]},
        ["llm_monitor_components", "'exportrs' is none of: prometheus, alertmanager", "Did you mean exporters?"],
    ),
    "components-no-list": ({"llm_monitor_components": "prometheus"}, ["llm_monitor_components", "must be a list"]),
    "unknown-source": (
        {"llm_monitor_image_source": "bundel"},
        ["llm_monitor_image_source is 'bundel'", "registry, bundle, distro", "Did you mean bundle?"],
    ),
    "duration": ({"prometheus_retention_time": "30 days"}, ["prometheus_retention_time is '30 days'", "15d"]),
    "duration-number": ({"prometheus_scrape_interval": 30}, ["prometheus_scrape_interval is 30", "such as 30s"]),
    "duration-zero": ({"prometheus_evaluation_interval": "0s"}, ["prometheus_evaluation_interval is '0s'"]),
    "size": ({"prometheus_retention_size": "50 gigs"}, ["prometheus_retention_size is '50 gigs'", "50GB"]),
    "timeout-over-interval": ({"prometheus_scrape_timeout": "1m"}, ["prometheus_scrape_timeout is 1m", "(30s)"]),
    "distro-grafana": (
        {"llm_monitor_image_source": "distro", "llm_monitor_components": ["prometheus", "grafana"]},
        ["'grafana'", "Debian has no package of it", "registry or bundle"],
    ),
    "distro-loki": (
        {"llm_monitor_image_source": "distro", "llm_monitor_components": ["prometheus", "loki"]},
        ["'loki'", "Debian has no package of it", "registry or bundle"],
    ),
    "loki-port-taken": ({"loki_port": 23001}, ["loki_port and prometheus_port are both 23001"]),
    "loki-hours": ({"loki_retention_time": "12h"}, ["loki_retention_time is 12h", "a day (24h) or more"]),
    "loki-half-a-key": (
        {"loki_s3_bucket": "logs", "loki_s3_access_key_id": "id"},
        ["loki_s3_access_key_id is set, but not loki_s3_secret_access_key"],
    ),
    "loki-no-bucket": ({"loki_s3_endpoint": "minio:9000"}, ["loki_s3_endpoint is set, but loki_s3_bucket is not"]),
    "loki-no-day": (
        {"loki_s3_bucket": "logs", "loki_s3_from": "next week"},
        ["loki_s3_from is 'next week'", "such as '2026-12-01'"],
    ),
    "loki-alone": (
        {
            "llm_monitor_components": ["loki"],
            "loki_target": "read",
            "loki_ring_members": ["10.0.0.1"],
            "loki_ring_address": "10.0.0.1",
        },
        ["loki_target is read", "needs loki_s3_bucket and loki_backend_address"],
    ),
    "loki-ring-on-loopback": (
        {"loki_ring_members": ["10.0.0.1"], "loki_ring_address": "127.0.0.1"},
        ["loki_ring_address must be this host's IP address", "'127.0.0.1'"],
    ),
    "loki-target": ({"loki_target": "reader"}, ["loki_target is 'reader'", "all, read, write, backend"]),
    "alloy-half-a-login": (
        {"alloy_loki_username": "shipper"},
        ["alloy_loki_username and alloy_loki_password go together"],
    ),
    "events-on-another-debian": (
        {**EVENTS, "llm_monitor_image_source": "distro", "llm_monitor_debian_suite": "bookworm"},
        ["llm_monitor_debian_suite is 'bookworm'", "only trixie has a package", "take event_store off"],
    ),
    "alloy-password-with-a-line-break": (
        {"alloy_loki_username": "shipper", "alloy_loki_password": f"{SECRET}\n"},
        ["alloy_loki_password has a value that is not shown here", "quote it if it is a number"],
    ),
    "alloy-url-with-a-password": ({"alloy_loki_url": f"https://u:{SECRET}@loki"}, ["alloy_loki_url", "without user"]),
    "alloy-without-the-proxy": (
        {"llm_monitor_components": ["loki", "alloy"], "alloy_containers": True},
        ["alloy_containers is true", "add docker_socket_proxy"],
    ),
    "alloy-file-without-a-folder": (
        {"alloy_files": [{"path": "/*.log", "service": "x"}]},
        ["alloy_files[0] has the path '/*.log'", "below a folder"],
    ),
    "alloy-file-without-a-service": (
        {"alloy_files": [{"path": "/var/log/a.log"}]},
        ["alloy_files[0] has the service None", "such as nginx"],
    ),
    "alloy-rule-without-a-group": (
        {"alloy_scrub_rules": [{"expression": "customer=\\d+"}]},
        ["alloy_scrub_rules[0] needs an expression with a group"],
    ),
    "alloy-rule-that-looks-around": (
        {"alloy_scrub_rules": [{"expression": "(?<=x)(y)"}]},
        ["alloy_scrub_rules[0] has the expression", "RE2 knows neither lookaround"],
    ),
    "alloy-rule-misspelt": (
        {"alloy_scrub_rules": [{"expression": "(y)", "replacement": "x"}]},
        ["alloy_scrub_rules[0] has 'replacement'; known are expression, replace.", "Did you mean replace?"],
    ),
    "alloy-size": ({"alloy_max_line_size": "long"}, ["alloy_max_line_size is 'long'"]),
    "alloy-rate": ({"alloy_lines_per_second": 0}, ["alloy_lines_per_second is 0"]),
    "no-bundle": ({"llm_monitor_image_source": "bundle"}, ["llm_monitor_bundle is not set"]),
    "bundle-missing": (
        {"llm_monitor_image_source": "bundle", "llm_monitor_bundle": "/nowhere/b.tar"},
        ["llm_monitor_bundle is '/nowhere/b.tar'", "no such file on the machine that runs Ansible"],
    ),
    "url": ({"prometheus_external_url": "prometheus.example.com"}, ["prometheus_external_url", "http:// or https://"]),
    "address": ({"prometheus_listen_address": "localhost"}, ["prometheus_listen_address is 'localhost'"]),
    "mirror": ({"llm_monitor_registry_mirror": "https://r.example.com"}, ["without https://"]),
    "folder": ({"llm_monitor_dir": "/opt"}, ["llm_monitor_dir is '/opt'", "two folders deep"]),
    "folder-of-others": ({"llm_monitor_dir": "/var/lib"}, ["llm_monitor_dir is '/var/lib'", "has llm-monitor in its"]),
    "relative-folder": ({"llm_monitor_dir": "opt/llm-monitor"}, ["an absolute path"]),
    "memory": ({"prometheus_memory": "4 GB"}, ["prometheus_memory is '4 GB'", "4g"]),
    "bool": ({"llm_monitor_delete_data": "perhaps"}, ["llm_monitor_delete_data", "must be true or false"]),
    "open-exporters": (
        {"exporters_listen_address": "0.0.0.0"},
        ["exporters_listen_address is 0.0.0.0", "exporters_bearer_token"],
    ),
    "undefined": (
        {"exporters_bearer_token": "{{ vault_token }}"},
        ["exporters_bearer_token", "can't be evaluated", "'vault_token' is undefined"],
    ),
    "secret": ({"prometheus_remote_write": SECRET}, ["prometheus_remote_write has a value that is not shown", "list"]),
    "token-of-digits": (
        {"exporters_bearer_token": 1234567890123456},
        ["exporters_bearer_token has a value that is not shown here", "quote it if it is a number"],
    ),
    "token-with-space": ({"exporters_bearer_token": f"{SECRET} "}, ["exporters_bearer_token", "without spaces"]),
    "exporters-auth": (
        {"exporters_settings": {"auth": {"token": SECRET}}},
        ["exporters_settings has 'auth'", "set exporters_bearer_token"],
    ),
    "mocked-unknown": (
        {"exporters_mocked": ["gpu", "grafana"]},
        ["exporters_mocked", "'grafana' is none of: node, gpu, container, litellm, vllm, langfuse"],
    ),
    "mocked-itself": ({"exporters_mocked": ["mock"]}, ["exporters_mocked", "'mock' is none of: node"]),
    "mocked-no-list": ({"exporters_mocked": "gpu"}, ["exporters_mocked is 'gpu'", "must be a list"]),
    "mocked-not-enabled": (
        {"exporters_mocked": ["gpu"], "exporters_enabled": ["node", "mock"]},
        ["exporters_mocked has 'gpu', which exporters_enabled lacks", "leave exporters_enabled unset"],
    ),
    "mocked-by-nobody": (
        {"exporters_mocked": ["gpu"], "exporters_enabled": ["node", "gpu"]},
        ["exporters_mocked has gpu, but exporters_enabled lacks 'mock'"],
    ),
    "mocked-port-twice": (
        {"exporters_mocked": ["langfuse"], "exporters_langfuse_port": 9910},
        ["exporters_langfuse_port and exporters_mock_port are both 9910"],
    ),
    "mocked-by-settings": (
        {"exporters_settings": {"mock": {"Exporters": "gpu=9445"}}},
        ["exporters_settings has 'mock.exporters': set exporters_mocked instead"],
    ),
    "mock-fleet-by-settings": (
        {"exporters_settings": {"mock": {"fleet": "/srv/fleet.yaml"}}},
        ["exporters_settings has 'mock.fleet': set exporters_mock_fleet instead"],
    ),
    "mock-scenario-in-a-folder": (
        {"exporters_mock_scenarios": {"days/rush": {"load": 4}}},
        ["exporters_mock_scenarios has 'days/rush'", "letters, digits, dashes and underscores"],
    ),
    "exporters-key": (
        {"exporters_settings": {"LiteLLM": {"api_key": SECRET}}},
        ["exporters_settings has 'litellm.api_key'", "set exporters_litellm_api_key"],
    ),
    "langfuse-public-key": (
        {"exporters_settings": {"langfuse": {"public_key": SECRET}}},
        ["exporters_settings has 'langfuse.public_key'", "set exporters_langfuse_public_key"],
    ),
    "litellm-at-itself": (
        {"exporters_litellm_url": "http://127.0.0.1:4000"},
        ["exporters_litellm_url leads to '127.0.0.1'", "look for it at itself", "host.docker.internal"],
    ),
    "langfuse-with-password": (
        {"exporters_langfuse_url": "https://me:word@langfuse.example.com"},
        ["exporters_langfuse_url", "without user, password"],
    ),
    "endpoint-at-itself": (
        {"exporters_vllm_endpoints": [{"name": "a", "url": "http://localhost:8000"}]},
        ["exporters_vllm_endpoints[0].url leads to 'localhost'", "exporters_networks"],
    ),
    "langfuse-at-itself": (
        {
            "exporters_langfuse_url": "http://127.1:3000",
            "exporters_langfuse_public_key": "pk-lf-1",
            "exporters_langfuse_secret_key": SECRET,
        },
        ["exporters_langfuse_url leads to '127.1'", "host.docker.internal"],
    ),
    "database-at-itself": (
        {"exporters_langfuse_database": f"postgresql://r:{SECRET}@LOCALHOST:5432/langfuse"},
        ["exporters_langfuse_database leads to 'LOCALHOST'", "look for it at itself", "host.docker.internal"],
    ),
    "clickhouse-at-itself": (
        {"exporters_langfuse_database": f"clickhouse+https://r:{SECRET}@[::1]:8443/default"},
        ["exporters_langfuse_database leads to '::1'"],
    ),
    "database-of-another-kind": (
        {"exporters_langfuse_database": f"mysql://r:{SECRET}@d/l"},
        ["exporters_langfuse_database has a value that is not shown here", "a URL with postgresql:// or clickhouse://"],
    ),
    "database-nowhere": (
        {"exporters_langfuse_database": f"postgresql://r:{SECRET}@/l"},
        ["exporters_langfuse_database has a value that is not shown here", "and a host"],
    ),
    "litellm-without-its-port": (
        {"exporters_litellm_url": "http://litellm:{{ litellm_port | default('') }}"},
        ["exporters_litellm_url is 'http://litellm:'", "a URL with http:// or https://"],
    ),
    "shown-url-with-password": (
        {"prometheus_external_url": f"https://me:{SECRET}@prometheus.example.com/"},
        ["prometheus_external_url is 'https://***@prometheus.example.com/'", "without user, password", "shown to all"],
    ),
    "own-setting-at-itself": (
        {"exporters_settings": {"LiteLLM": {"URL": "http://0.0.0.0:4000"}}},
        ["exporters_settings.litellm.url leads to '0.0.0.0'"],
    ),
    "own-endpoint-at-itself": (
        {"exporters_settings": {"vllm": {"endpoints": [{"name": "a", "url": "http://[::ffff:127.0.0.1]:8000"}]}}},
        ["exporters_settings.vllm.endpoints[0].url leads to '::ffff:127.0.0.1'"],
    ),
    "own-setting-with-password": (
        {"exporters_settings": {"vllm": {"gpu_exporter": f"http://me:{SECRET}@gpu1:9445"}}},
        ["exporters_settings.vllm.gpu_exporter must be a URL with http:// or https://", "without user, password"],
    ),
    "unknown-exporter": (
        {"exporters_enabled": ["node", "langfus"]},
        ["exporters_enabled", "'langfus' is none of: node, gpu", "Did you mean langfuse?"],
    ),
    "settings-of-an-unknown-exporter": (
        {"exporters_settings": {"litelm": {"timeout": "5s"}}},
        ["exporters_settings has 'litelm'", "known are node, gpu,", "log_level", "Did you mean litellm?"],
    ),
    "container-without-docker": (
        {"llm_monitor_components": ["exporters"], "exporters_enabled": ["container"]},
        ["exporters_enabled has 'container'", "add docker_socket_proxy to llm_monitor_components"],
    ),
    "vllm-without-docker": (
        {"llm_monitor_components": ["exporters"], "exporters_enabled": ["node", "vllm"]},
        ["exporters_enabled has 'vllm'", "set exporters_docker_socket or exporters_vllm_endpoints"],
    ),
    "langfuse-with-long-password": (
        {"exporters_langfuse_url": f"https://me:{SECRET}/x@langfuse.example.com"},
        ["exporters_langfuse_url is 'https://***@langfuse.example.com'"],
    ),
    "langfuse-without-keys": (
        {"exporters_langfuse_url": "https://langfuse.example.com", "exporters_langfuse_public_key": "pk-lf-1"},
        ["without exporters_langfuse_public_key and exporters_langfuse_secret_key"],
    ),
    "langfuse-two-ways": (
        {
            "exporters_langfuse_url": "https://l.example.com",
            "exporters_langfuse_database": f"postgresql://{SECRET}@d/l",
        },
        ["exporters_langfuse_url and exporters_langfuse_database are both set"],
    ),
    "langfuse-keys-for-a-database": (
        {"exporters_langfuse_database": "postgresql://r@d/l", "exporters_langfuse_secret_key": SECRET},
        ["exporters_langfuse_database is set: a database takes no"],
    ),
    "litellm-nowhere": ({"exporters_enabled": ["litellm"]}, ["has 'litellm': set exporters_litellm_url"]),
    "llmops-nowhere": ({"exporters_enabled": ["llmops"]}, ["has 'llmops': set exporters_llmops_database"]),
    "llmops-database-by-settings": (
        {"exporters_settings": {"llmops": {"database": f"postgresql://r:{SECRET}@d/e"}}},
        ["exporters_settings has 'llmops.database'", "set exporters_llmops_database"],
    ),
    "event-store-at-itself": (
        {"exporters_llmops_database": f"postgresql://r:{SECRET}@127.0.0.1:23005/events"},
        ["exporters_llmops_database leads to '127.0.0.1'", "look for it at itself", "host.docker.internal"],
    ),
    "event-store-of-another-kind": (
        {"exporters_llmops_database": f"clickhouse://r:{SECRET}@d:8123/events"},
        ["exporters_llmops_database has a value that is not shown here", "a URL with postgresql:// and a host"],
    ),
    "langfuse-nowhere": ({"exporters_enabled": ["langfuse"]}, ["has 'langfuse': set exporters_langfuse_url"]),
    "exporters-token": (
        {"exporters_settings": {"vllm": {"gpu_exporter_token": SECRET}}},
        ["exporters_settings has 'vllm.gpu_exporter_token'", "set exporters_bearer_token"],
    ),
    "engines-own-network": (
        {"exporters_networks": ["llm", "host"]},
        ["exporters_networks has 'host'", "none of the engine's own"],
    ),
    "no-network": ({"exporters_networks": ["a b"]}, ["exporters_networks has 'a b'"]),
    "network-twice": ({"exporters_networks": ["llm", "llm"]}, ["exporters_networks has 'llm' twice"]),
    "endpoint-with-password": (
        {"exporters_vllm_endpoints": [{"name": "a", "url": f"http://me:{SECRET}@localhost:8000"}]},
        ["exporters_vllm_endpoints[0].url must be", "exporters_vllm_api_key"],
    ),
    "endpoint-with-metrics": (
        {"exporters_vllm_endpoints": [{"name": "a", "url": "http://b:8000/metrics"}]},
        ["exporters_vllm_endpoints[0].url ends with what the exporter adds itself", "/metrics or /v1"],
    ),
    "endpoint-with-version": (
        {"exporters_vllm_endpoints": [{"name": "a", "url": "http://b:8000/models/a/v1/"}]},
        ["exporters_vllm_endpoints[0].url ends with what the exporter adds itself"],
    ),
    "endpoint-with-odd-name": (
        {"exporters_vllm_endpoints": [{"name": "a b", "url": "http://b:8000"}]},
        ["exporters_vllm_endpoints[0].name is 'a b'"],
    ),
    "endpoint-twice": (
        {"exporters_vllm_endpoints": [{"name": "a", "url": "http://b:8000"}, {"name": "a", "url": "http://c:8000"}]},
        ["exporters_vllm_endpoints has the name 'a' twice"],
    ),
    "endpoint-without-url": (
        {"exporters_vllm_endpoints": [{"name": "a"}]},
        ["exporters_vllm_endpoints", "url"],
    ),
    "receiver-secret": (
        {"alertmanager_receivers": [{"name": "w", "wechat_configs": [{"corp_id": "c", "api_secret": SECRET}]}]},
        ["alertmanager_receivers[0].wechat_configs[0].api_secret is a secret", "webhook_configs"],
    ),
    "global-secret": (
        {"alertmanager_global": {"smtp_auth_secret": SECRET}},
        ["alertmanager_global.smtp_auth_secret is a secret", "smtp_auth_password"],
    ),
    "remote-write-secret": (
        {"prometheus_remote_write": [{"url": "https://m/", "sigv4": {"access_key": "a", "secret_key": SECRET}}]},
        ["prometheus_remote_write[0].sigv4.secret_key is a secret", "role_arn"],
    ),
    "remote-write-url": (
        {"prometheus_remote_write": [{"url": f"https://me:p@{SECRET}@m/"}]},
        ["prometheus_remote_write[0].url is a secret", "basic_auth"],
    ),
    "scrape-secret": (
        {"prometheus_extra_scrape_configs": [{"job_name": "j", "consul_sd_configs": [{"token": SECRET}]}]},
        ["prometheus_extra_scrape_configs[0].consul_sd_configs[0].token is a secret", "authorization.credentials"],
    ),
    "scrape-parameter": (
        {"prometheus_extra_scrape_configs": [{"job_name": "j", "params": {"access_token": [SECRET]}}]},
        ["prometheus_extra_scrape_configs[0].params.access_token is a secret", "http_headers"],
    ),
    "rule-file-kind": ({"prometheus_extra_rules": {"mine.yaml": {}}}, ["'mine.yaml'", "ends in .yml"]),
    "rule-file-folder": ({"prometheus_extra_rules": {"../mine.yml": {}}}, ["'../mine.yml'", "without a folder"]),
    "rule-file-of-ours": (
        {"prometheus_extra_rules": {"system_alerts.yml": {}}},
        ["'system_alerts.yml'", "the collection's own"],
    ),
    "announcement-of-another-kind": (
        {"llm_monitor_announcements": [{**ANNOUNCED, "kind": "outage"}]},
        ["must be a list of announcements, each with an id", "one of: maintenance, incident, deprecation, got: outage"],
    ),
    "announcement-with-an-unknown-key": (
        {"llm_monitor_announcements": [{**ANNOUNCED, "titel": "New GPUs"}]},
        ["llm_monitor_announcements is [", "titel", "Supported parameters include: end, id, kind, models"],
    ),
    "announcement-without-a-start": (
        {"llm_monitor_announcements": [{"id": "a", "kind": "incident", "title": "Slow"}]},
        ["llm_monitor_announcements", "missing required arguments: start"],
    ),
    "announcements-no-list": (
        {"llm_monitor_announcements": "maintenance tomorrow"},
        ["llm_monitor_announcements is 'maintenance tomorrow'", "must be a list of announcements"],
    ),
    "announcement-without-a-zone": (
        {"llm_monitor_announcements": [{**ANNOUNCED, "start": "2026-12-01 08:00"}]},
        ["llm_monitor_announcements[0].start is '2026-12-01 08:00'", "with its zone, such as 2026-12-01T08:00Z"],
    ),
    "announcement-that-ends-first": (
        {"llm_monitor_announcements": [{**ANNOUNCED, "end": "2026-12-01T08:30+01:00"}]},
        ["llm_monitor_announcements[0].end is '2026-12-01T08:30+01:00'", "later than its start"],
    ),
    "announcement-twice": (
        {"llm_monitor_announcements": [ANNOUNCED, ANNOUNCED]},
        ["llm_monitor_announcements has the id 'gpu2' twice"],
    ),
    "rule-file-of-announcements": (
        {"prometheus_extra_rules": {"announcements.yml": {}}},
        ["'announcements.yml'", "the collection's own"],
    ),
    "no-registry": (
        {"llm_monitor_registry_images": {**dict.fromkeys(IMAGES, IMAGE), "prometheus": "prom/prometheus:v3"}},
        ["llm_monitor_registry_images.prometheus is 'prom/prometheus:v3'", "docker.io/prom/prometheus"],
    ),
    "image-missing": (
        {"llm_monitor_registry_images": dict.fromkeys(set(IMAGES) - {"alertmanager"}, IMAGE)},
        ["llm_monitor_registry_images lacks 'alertmanager'", f"it needs {', '.join(IMAGES)}"],
    ),
    "image-unknown": (
        {"llm_monitor_registry_images": dict.fromkeys((*IMAGES, "pyton"), IMAGE)},
        ["has 'pyton', which nothing uses", "Did you mean python?"],
    ),
    "internal-role": ({"service_user": "0:0"}, ["service_user", "computed by the role service"]),
    "bundle-unreadable": (
        {"llm_monitor_image_source": "bundle", "llm_monitor_bundle": __file__},
        ["llm_monitor_bundle", "can't be read as a bundle"],
    ),
    "unknown-alert": ({"prometheus_alerts": {"HostCpuHi": {}}}, ["'HostCpuHi'", "Did you mean HostCpuHigh?"]),
    "unknown-parameter": (
        {"prometheus_alerts": {"HostCpuHigh": {"treshold": 1}}},
        ["prometheus_alerts.HostCpuHigh.treshold", "Did you mean threshold?"],
    ),
    "alert-percent": (
        {"prometheus_alerts": {"HostCpuHigh": {"threshold": 95}}},
        ["HostCpuHigh.threshold is 95", "a share from 0 to 1, such as 0.9"],
    ),
    "events-retention": (
        {**EVENTS, "event_store_retention_days": 0},
        ["event_store_retention_days is 0", "a whole number of days from 1 to 36500"],
    ),
    "events-password-short": (
        {**EVENTS, "event_store_reader_password": "s3cr3t"},
        ["event_store_reader_password has a value that is not shown here", "16 or more ASCII letters"],
    ),
    "events-password-with-space": (
        {**EVENTS, "event_store_owner_password": f"{SECRET} {SECRET}"},
        ["event_store_owner_password has a value that is not shown here", "without spaces"],
    ),
    "events-password-empty": (
        {**EVENTS, "event_store_writer_password": ""},
        ["event_store_writer_password is empty", "leave it unset, and one is made up"],
    ),
    "events-password-twice": (
        {**EVENTS, "event_store_owner_password": SECRET, "event_store_reader_password": SECRET},
        ["event_store_owner_password and event_store_reader_password are the same"],
    ),
    "events-open": (
        {**EVENTS, "event_store_listen_address": "0.0.0.0"},
        ["event_store_listen_address is 0.0.0.0", "set event_store_certificate and event_store_certificate_key"],
    ),
    "events-certificate-alone": (
        {**EVENTS, "event_store_certificate": CERTIFICATE},
        ["event_store_certificate is set without event_store_certificate_key: TLS needs both"],
    ),
    "events-key-alone": (
        {**EVENTS, "event_store_certificate_key": KEY},
        ["event_store_certificate_key is set without event_store_certificate: TLS needs both"],
    ),
    "events-key-with-passphrase": (
        {
            **EVENTS,
            "event_store_certificate": CERTIFICATE,
            "event_store_certificate_key": KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        },
        ["event_store_certificate_key must be PEM text with -----BEGIN PRIVATE KEY-----", "without a passphrase"],
    ),
    "events-certificate-as-path": (
        {**EVENTS, "event_store_certificate": "/etc/ssl/me.pem", "event_store_certificate_key": KEY},
        ["event_store_certificate must be PEM text"],
    ),
    "events-port": (
        {"llm_monitor_components": ["event_store", "prometheus"], "event_store_port": 23001},
        ["event_store_port and prometheus_port are both 23001"],
    ),
    "alert-duration": ({"prometheus_alerts": {"HostCpuHigh": {"for": 5}}}, ["HostCpuHigh.for is 5", "a duration"]),
}

# Variables that are fine.
RIGHT: dict[str, dict[str, Any]] = {
    "defaults": {},
    "text-from-the-command-line": {"prometheus_port": "23009", "llm_monitor_delete_data": "true"},
    "loopback": {"exporters_listen_address": "::1"},
    "token": {"exporters_listen_address": "0.0.0.0", "exporters_bearer_token": SECRET},
    "no-exporters": {"exporters_listen_address": "0.0.0.0", "llm_monitor_components": ["prometheus"]},
    "same-port-not-run": {"prometheus_port": 9100, "llm_monitor_components": ["prometheus", "alertmanager"]},
    "ignored": {"docker_users": ["me"], "llm_monitor_ignored_variables": ["docker_u*"]},
    "alert": {"prometheus_alerts": {"HostCpuHigh": {"threshold": 0.95, "for": "15m"}, "ClockSkew": {"enabled": False}}},
    "alert-seconds": {"prometheus_alerts": {"ClockSkew": {"threshold": 2}}},
    "durations": {"prometheus_retention_time": "1y2w3d", "alertmanager_group_wait": "0s"},
    "mirror": {"llm_monitor_registry_mirror": "10.0.0.1:5000/hub"},
    "folder-below-a-system-folder": {"llm_monitor_dir": "/var/lib/llm-monitor"},
    "secrets-with-files": {
        "alertmanager_receivers": [{"name": "p", "pushover_configs": [{"token": SECRET, "user_key": SECRET}]}],
        "alertmanager_global": {"smtp_auth_password": SECRET, "http_config": {"tls_config": {"key": SECRET}}},
        "prometheus_remote_write": [
            {"url": "https://m/", "http_headers": {"X-Token": {"secrets": [SECRET]}}, "headers": {"X-Org": "me"}}
        ],
        "prometheus_extra_scrape_configs": [{"job_name": "j", "params": {"module": ["http_2xx"]}}],
    },
    "rule-file": {"prometheus_extra_rules": {"mine.yml": {"groups": []}}},
    "exporter-setting": {"exporters_settings": {"node": {"per_cpu": True}, "MIN_INTERVAL": "10s"}},
    "own-url": {"exporters_enabled": ["litellm"], "exporters_settings": {"litellm": {"url": "http://litellm:4000"}}},
    "docker-by-its-socket": {
        "llm_monitor_components": ["exporters"],
        "exporters_enabled": ["container", "vllm"],
        "exporters_docker_socket": "/var/run/docker.sock",
    },
    "vllm-by-its-address": {
        "llm_monitor_components": ["exporters"],
        "exporters_enabled": ["vllm"],
        "exporters_vllm_endpoints": [{"name": "a", "url": "http://host.docker.internal:8000"}],
    },
    "vllm-by-its-own-setting": {
        "llm_monitor_components": ["exporters"],
        "exporters_enabled": ["vllm", "container"],
        "exporters_settings": {
            "vllm": {"endpoints": [{"name": "a", "url": "http://b:8000"}]},
            "container": {"docker": "http://docker-proxy:2375"},
        },
    },
    "mocked-without-anything-to-ask": {
        "llm_monitor_components": ["exporters"],
        "exporters_mocked": ["gpu", "container", "litellm", "vllm", "langfuse"],
        "exporters_mock_scenarios": {"rush_hour": {"load": 4}},
        "exporters_settings": {"mock": {"scenario": "rush_hour"}},
    },
    "mock-alone": {"exporters_enabled": ["mock"], "llm_monitor_exporter_port_base": 8080},
    "docker-where-no-exporters-run": {"llm_monitor_components": ["prometheus"], "exporters_enabled": ["vllm"]},
    "database": {"exporters_langfuse_database": f"postgresql+psycopg://r:{SECRET}@langfuse-db/langfuse"},
    "events": EVENTS,
    "events-elsewhere": {
        **EVENTS,
        "event_store_listen_address": "0.0.0.0",
        "event_store_certificate": CERTIFICATE,
        "event_store_certificate_key": KEY,
        "event_store_owner_password": f"{SECRET}'%:/@",
    },
    "events-and-their-exporter": {"llm_monitor_components": ["event_store", "exporters", "docker_socket_proxy"]},
    "no-events": {"event_store_listen_address": "0.0.0.0", "event_store_writer_password": ""},
    "loki-on-s3": {
        "loki_s3_bucket": "logs",
        "loki_s3_endpoint": "minio.example.com:9000",
        "loki_s3_access_key_id": "id",
        "loki_s3_secret_access_key": SECRET,
        "loki_s3_from": "2026-12-01",
    },
    "loki-on-several-hosts": {
        "loki_target": "read",
        "loki_s3_bucket": "logs",
        "loki_ring_members": ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
        "loki_ring_address": "10.0.0.1",
        "loki_backend_address": "10.0.0.2",
        "alloy_loki_url": "https://logs.example.com",
    },
    "alloy": {
        "alloy_loki_url": "https://loki.example.com",
        "alloy_loki_username": "shipper",
        "alloy_loki_password": "of my own",
        "alloy_files": [{"path": "/var/log/nginx/*.log", "service": "nginx"}],
        "alloy_scrub_rules": [{"expression": "customer=(\\d+)", "replace": "<customer>"}],
    },
    "distro-unasked": {"llm_monitor_image_source": "distro", "llm_monitor_debian_suite": "bookworm"},
    "event-store": {"exporters_llmops_database": f"postgresql://r:{SECRET}@events-db:5432/events?sslmode=require"},
    "announcement": {"llm_monitor_announcements": [ANNOUNCED, {**ANNOUNCED, "id": "b", "models": ["llama"]}]},
    "registered": {"__prometheus_result": {"changed": True}},
}


def test_every_wrong_setting_is_the_one_problem_of_its_host(check: Any) -> None:
    told = check({name: variables for name, (variables, _words) in WRONG.items()})
    for name, (_variables, words) in WRONG.items():
        assert told[name]["failed"], name
        assert len(told[name]["problems"]) == 1, (name, told[name]["problems"])
        assert told[name]["msg"].startswith(f"One setting of {name} can't be used:\n- ")
        for word in words:
            assert word in told[name]["problems"][0], name


def test_right_settings_pass(check: Any) -> None:
    told = check(RIGHT)
    assert {name: result.get("problems") for name, result in told.items()} == dict.fromkeys(RIGHT)
    assert not any(result["changed"] for result in told.values())


def test_a_bundle_must_hold_what_a_host_runs(check: Any, tmp_path: Path) -> None:
    held = ["prometheus", "exporters", "docker_socket_proxy"]
    manifest = json.dumps([{"RepoTags": [f"llm-monitor/{name}:1"]} for name in held]).encode()
    entry = tarfile.TarInfo("manifest.json")
    entry.size = len(manifest)
    with tarfile.open(tmp_path / "b.tar", "w") as bundle:
        bundle.addfile(entry, io.BytesIO(manifest))
    source = {"llm_monitor_image_source": "bundle", "llm_monitor_bundle": str(tmp_path / "b.tar")}
    told = check({"whole": source, "part": {**source, "llm_monitor_components": held}})
    lacking = ("alertmanager", "loki", "alloy", "grafana")
    assert [f"lacks the image of {name}" in text for name, text in zip(lacking, told["whole"]["problems"], strict=True)]
    assert not told["part"].get("failed")


def test_the_ports_of_a_host_are_told(check: Any) -> None:
    told = check({"h1": {"prometheus_listen_address": "10.0.0.1", "exporters_node_port": "9101"}})
    assert told["h1"]["ports"] == [
        {"variable": "alertmanager_port", "port": 23003, "address": "127.0.0.1"},
        {"variable": "alloy_port", "port": 23004, "address": "127.0.0.1"},
        {"variable": "exporters_node_port", "port": 9101, "address": "127.0.0.1"},
        {"variable": "exporters_gpu_port", "port": 9445, "address": "127.0.0.1"},
        {"variable": "exporters_container_port", "port": 8080, "address": "127.0.0.1"},
        {"variable": "exporters_vllm_port", "port": 9902, "address": "127.0.0.1"},
        {"variable": "grafana_port", "port": 23000, "address": "127.0.0.1"},
        {"variable": "loki_port", "port": 23002, "address": "127.0.0.1"},
        {"variable": "prometheus_port", "port": 23001, "address": "10.0.0.1"},
    ]


def test_the_event_store_s_port_is_told_where_it_runs(check: Any) -> None:
    told = check({"h1": {**EVENTS, "event_store_port": 5432}, "h2": {"llm_monitor_components": []}})
    assert told["h1"]["ports"] == [{"variable": "event_store_port", "port": 5432, "address": "127.0.0.1"}]
    assert told["h2"]["ports"] == []


def test_passwords_are_made_only_where_they_are_needed(check: Any, tmp_path: Path) -> None:
    check({"h1": {}, "h2": EVENTS})
    made = {str(path.relative_to(tmp_path)) for path in (tmp_path / ".llm-monitor-secrets").rglob("*_password")}
    users = ("owner", "writer", "reader")
    events = {f".llm-monitor-secrets/h2/event_store_{user}_password" for user in users}
    assert made == {".llm-monitor-secrets/h1/grafana_admin_password", *events}


def test_all_problems_come_at_once(check: Any) -> None:
    told = check({"h1": {"prometheus_port": "abc", "prometheus_retenton": "3d", "prometheus_retention_size": "x"}})
    assert told["h1"]["msg"].startswith("3 settings of h1 can't be used:\n- prometheus_retenton")
    assert len(told["h1"]["problems"]) == 3


def test_one_role_can_be_checked_alone(check: Any) -> None:
    told = check({"h1": {"prometheus_port": "abc", "alertmanager_port": "abc"}}, {"roles": ["alertmanager"]})
    assert [problem.split()[0] for problem in told["h1"]["problems"]] == ["alertmanager_port"]
    # What is taken off needs no image, so none that is out of reach stands in the way.
    gone = {"llm_monitor_image_source": "bundle", "llm_monitor_bundle": "/nowhere/b.tar"}
    assert "failed" not in check({"h1": gone}, {"roles": ["llm_monitor"]})["h1"]
    told = check({"h1": {}}, {"roles": ["alertmanger"]})
    assert "The role alertmanger has no" in told["h1"]["msg"]


@pytest.mark.parametrize("inventory", ["demo", "h200"])
def test_the_inventories_that_we_ship_pass(ansible_playbook: Any, inventory: str) -> None:
    play = {"hosts": "all", "tasks": [{"llmops.monitoring.settings_check": {}}]}
    done = ansible_playbook(play, "-i", str(REPOSITORY / "inventories" / inventory))
    assert done.returncode == 0, done.stdout
