"""The rules that a variable's name brings, and those between variables."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _settings_rules as rules

DURATIONS = {
    "30s": 30.0,
    "15d": 1296000.0,
    "1h30m": 5400.0,
    "1y2w3d4h5m6s7ms": 31536000 + 1209600 + 259200 + 14400 + 300 + 6 + 0.007,
    "0": 0.0,
    "0s": 0.0,
    "250ms": 0.25,
    "": None,
    "30": None,
    "1.5h": None,
    "30m1h": None,
    "5 m": None,
    "5m\n": None,
    "-5m": None,
    "5M": None,
    30: None,
    None: None,
}


@pytest.mark.parametrize(("duration", "length"), DURATIONS.items())
def test_seconds(duration: Any, length: float | None) -> None:
    assert rules.seconds(duration) == length


# Variable, type in the spec → values that are accepted, values that are not.
NAMES: list[tuple[str, str, list[Any], list[Any]]] = [
    ("loki_port", "int", [1, 65535, "443"], [0, 65536, -1, "x", "", True, 1.5, None, [80], "8080 "]),
    ("llm_monitor_exporter_port_base", "int", [0, 8080], [65501, "abc", -1]),
    ("prometheus_scrape_interval", "str", ["30s"], ["0s", "0", 30, "30"]),
    ("alertmanager_group_wait", "str", ["0s", "30s"], ["soon"]),
    ("llm_monitor_ready_timeout", "int", [180, "180"], [0, "3m"]),
    ("prometheus_retention_size", "str", ["50GB", "0.5TB", "0"], ["50", "50gb", "50 GB", "GB", 50]),
    ("prometheus_memory", "str", ["128m", "4g", "4GB", "1024"], ["0", "4 g", "4gib", "-1g", 4]),
    ("prometheus_objective", "float", [0.99, "0.999"], [0, 1, 99, "99%", True, None, "nan"]),
    ("prometheus_model_objectives", "dict", [{}, {"a": 0.9}], [{"a": 1}, {"": 0.9}, {8: 0.9}, {"a": None}, [0.9]]),
    ("prometheus_ttft_target", "float", [0.5, 1, "2.5", 80], [0, 3, 160, "1s", True]),
    ("prometheus_model_ttft_targets", "dict", [{}, {"a": 5}], [{"a": 6}, {"a": "fast"}, "a"]),
    ("prometheus_daily_budget_usd", "float", [0, 12.5, "100"], [-1, "100 USD", "inf", None]),
    ("prometheus_gpu_cost_usd_per_hour", "float", [0, 2.2], [-0.1, "cheap"]),
    ("prometheus_host_gpu_costs_usd_per_hour", "dict", [{}, {"gpu1": 2.2}], [{"gpu1": -1}, 2.2]),
    (
        "prometheus_expected_containers",
        "dict",
        [{}, {"gpu1": []}, {"gpu1": ["a", "b"]}],
        [{"gpu1": "a"}, {"gpu1": [1]}, {"gpu1": [""]}, ["a"]],
    ),
    ("prometheus_cpus", "float", [0.5, 2, "1.5"], [0, -1, "two", None, True]),
    ("llm_monitor_min_free_bytes", "int", [0, 5000000000], [-1, "5GB"]),
    (
        "grafana_external_url",
        "str",
        ["https://a/", "http://[::1]:80/x"],
        ["a", "ftp://a/", "http://", "http://a:x/", "", "http://a:", "http://a\n", "http://a b", "http://u@a/"],
    ),
    ("prometheus_runbook_url_base", "str", ["https://a/b"], ["https://u:p@a/b", "https://a/b?c=d"]),
    ("exporters_litellm_url", "str", ["http://litellm:4000"], ["litellm:4000", "http://u@litellm", "http://http://a"]),
    ("images_debian_mirror", "str", ["http://deb.debian.org/debian"], ["deb.debian.org"]),
    ("llm_monitor_registry_mirror", "str", ["r.example.com", "10.0.0.1:5000/hub"], ["https://r", "r/UP", "r:port"]),
    ("loki_listen_address", "str", ["127.0.0.1", "::", "0.0.0.0"], ["localhost", "127.0.0.1:80", "[::]", ""]),
    ("exporters_scrape_address", "str", ["gpu-01", "10.0.0.1", "a.b_c.d"], ["a b", "http://a", "-a", ""]),
    (
        "llm_monitor_dir",
        "path",
        ["/opt/llm-monitor", "/srv/a/my-llm-monitor-2/"],
        ["/", "/opt", "/opt/", "/llm-monitor", "/opt/../llm-monitor", "a/llm-monitor", "/var/lib", "/home/x", ""],
    ),
    ("nvidia_toolkit_min_driver", "str", ["535", "570.86.15"], [535, 550.9, "R535", "535.", ""]),
    ("llm_monitor_nvidia_toolkit_version", "str", ["1.20.1"], ["1.20.1-1", "latest", "1.20.*"]),
    (
        "nvidia_toolkit_repository_fingerprint",
        "str",
        ["C95B321B61E88C1809C4F759DDCAE044F796ECB0", "c95b 321b 61e8 8c18 09c4  f759 ddca e044 f796 ecb0"],
        ["DDCAE044F796ECB0", "C95B321B61E88C1809C4F759DDCAE044F796ECB", ""],
    ),
    ("llm_monitor_gpu_library", "path", ["/srv/nvml"], ["nvml", "~/nvml", "./nvml"]),
    ("exporters_docker_socket", "path", ["/var/run/docker.sock"], ["docker.sock", "http://proxy:2375"]),
    ("exporters_gpu_expected", "int", [0, 8, "8"], [-1, 1025, "eight", None]),
    ("exporters_bearer_token", "str", ["a", "0f/+=-~"], ["a b", "a\n", "é", "a\x00", 123456, None]),
]


@pytest.mark.parametrize(("name", "kind", "right", "wrong"), NAMES)
def test_a_name_brings_its_rule(name: str, kind: str, right: list[Any], wrong: list[Any]) -> None:
    rule = rules.rule_of(name, kind)
    assert rule
    assert [value for value in right if not rule.accepts(value)] == []
    assert [value for value in wrong if rule.accepts(value)] == []


def test_other_names_and_types_bring_none() -> None:
    assert rules.rule_of("prometheus_external_labels", "dict") is None
    assert rules.rule_of("prometheus_port", "str") is None
    assert rules.rule_of("port", "int") is None


def test_ports_of_a_host() -> None:
    settings = {
        "prometheus_port": "23001",
        "prometheus_listen_address": "10.0.0.1",
        "exporters_node_port": 9100,
        "exporters_gpu_port": 9445,
        "exporters_enabled": ["node"],
        "alertmanager_port": "x",
        "loki_port": 70000,
        "llm_monitor_listen_address": "::1",
        "grafana_port": 23000,
    }
    told = [(port.variable, port.port, port.address) for port in rules.ports_of_host(settings, None)]
    assert told == [
        ("prometheus_port", 23001, "10.0.0.1"),
        ("exporters_node_port", 9100, "::1"),
        ("grafana_port", 23000, "::1"),
    ]
    assert [port.variable for port in rules.ports_of_host(settings, ["grafana"])] == ["grafana_port"]


def test_a_service_whose_name_has_an_underscore_has_a_port_too() -> None:
    settings = {"event_store_port": 5432, "event_store_listen_address": "10.0.0.1", "event_store_enabled": []}
    assert rules.ports_of_host(settings, ["event_store"]) == [rules.Port("event_store_port", 5432, "10.0.0.1")]
    assert rules.ports_of_host(settings, ["event"]) == []


def test_every_pair_of_shared_ports_is_named() -> None:
    ports = [rules.Port(name, port, "127.0.0.1") for name, port in (("a", 1), ("b", 2), ("c", 1), ("d", 1))]
    pairs = [complaint.split(" are both")[0] for complaint in rules.shared_ports(ports)]
    assert pairs == ["a and c", "a and d", "c and d"]


def test_a_bundle_that_is_there_is_fine() -> None:
    settings = {"llm_monitor_image_source": "bundle", "llm_monitor_bundle": "/b.tar"}
    assert rules.source_problems(settings, lambda path: path == "/b.tar", []) == []


@pytest.mark.parametrize(
    ("image", "names_registry"),
    [
        ("docker.io/prom/prometheus:v3", True),
        ("localhost/a", True),
        ("r:5000/a:1", True),
        ("prom/prometheus:v3", False),
        ("prometheus:v3", False),
        ("docker.io/", False),
        (None, False),
    ],
)
def test_image_references(image: Any, names_registry: bool) -> None:
    assert (rules.reference_problems({"prometheus": image}) == []) is names_registry


def test_distro_names_each_component_without_a_package() -> None:
    settings = {"llm_monitor_image_source": "distro", "llm_monitor_components": ["loki", "prometheus", "grafana"]}
    problems = rules.source_problems(settings, lambda path: False, ["loki", "alloy", "grafana"])
    assert [problem.split("'")[1] for problem in problems] == ["loki", "grafana"]


def test_packages_of_the_toolkit_must_be_there() -> None:
    settings: dict[str, Any] = {"nvidia_toolkit_source": "packages", "nvidia_toolkit_packages": ["/a.deb", "/b.deb"]}
    assert rules.toolkit_problems(settings, lambda path: True) == []
    (problem,) = rules.toolkit_problems(settings, lambda path: path == "/a.deb")
    assert problem.startswith("nvidia_toolkit_packages has '/b.deb': there is no such file")
    (problem,) = rules.toolkit_problems({**settings, "nvidia_toolkit_packages": []}, lambda path: True)
    assert problem.startswith("nvidia_toolkit_packages is empty")
    assert rules.toolkit_problems({**settings, "nvidia_toolkit_source": "repository"}, lambda path: False) == []


PARAMETERS: list[tuple[Any, str]] = [
    ({"A": "off"}, "must be a mapping of parameters"),
    ({"A": {"threshold": "0.9"}}, "A.threshold is '0.9': must be a share from 0 to 1, such as 0.9"),
    ({"A": {"threshold": True}}, "must be a share from 0 to 1"),
    ({"A": {"threshold": 1.5}}, "A.threshold is 1.5: must be a share from 0 to 1"),
    ({"A": {"severity": 3}}, "A.severity is 3: must be text"),
    ({"A": {"enabled": "no"}}, "A.enabled is 'no': must be true or false"),
    ({"A": {"for": "long"}}, "A.for is 'long': must be a duration, such as 5m"),
    ({"A": {"foo": 1}}, "A.foo is no parameter of this alert, which has enabled, for, severity, threshold."),
    ({"Z": {}}, "names 'Z', which is no alert of ours."),
]


@pytest.mark.parametrize(("changed", "words"), PARAMETERS)
def test_alert_parameters(changed: Any, words: str) -> None:
    catalogue = {"A": {"threshold": 0.9, "for": "5m", "severity": "warning"}}
    (problem,) = rules.alert_problems(changed, catalogue)
    assert words in problem
