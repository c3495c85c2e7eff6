"""What alerts, their catalogue, runbooks, tests and the exporters' declarations promise each other."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.llmops.monitoring.docs.build import alerts

RUNBOOKS = alerts.ROOT / "docs" / "runbooks"
TESTS = alerts.ROOT / "tests" / "rules"

SEVERITIES = {"critical", "warning", "info", "none"}
SCRAPE_INTERVAL = 30
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# The limits that were agreed on, by the alert and its severity. Some are a condition of the expression itself.
AGREED: dict[tuple[str, str], dict[str, Any]] = {
    ("GpuExporterDown", "critical"): {"for": "2m"},
    ("GpuMissing", "critical"): {"for": "1m"},
    ("GpuNotResponding", "critical"): {"for": "5m"},
    ("GpuXidHardware", "critical"): {"for": "0m"},
    ("GpuXidApplication", "warning"): {"for": "0m"},
    ("GpuEccUncorrectable", "critical"): {"threshold": 0, "for": "0m"},
    ("GpuRowRemapPending", "warning"): {"for": "15m"},
    ("GpuRowRemapFailure", "critical"): {"for": "0m"},
    ("GpuTemperatureHigh", "warning"): {"threshold": 75, "for": "5m"},
    ("GpuTemperatureCritical", "critical"): {"threshold": 85, "margin": 5, "for": "1m"},
    ("GpuThrottling", "warning"): {"threshold": 0.05, "for": "5m"},
    ("GpuMemoryFull", "warning"): {"threshold": 0.95, "for": "10m"},
    ("GpuIdleAllocated", "info"): {"threshold": 0.02, "window": "1h", "for": "2h"},
    ("GpuNvlinkErrors", "warning"): {"threshold": 0, "for": "10m"},
    ("GpuPcieReplay", "warning"): {"for": "10m"},
    ("GpuFabricUnhealthy", "critical"): {"for": "2m"},
    ("HostDown", "critical"): {"for": "2m"},
    ("HostCpuHigh", "warning"): {"threshold": 0.90, "for": "5m"},
    ("HostIoWaitHigh", "warning"): {"threshold": 0.20, "for": "15m"},
    ("HostMemoryLow", "warning"): {"threshold": 0.20, "for": "5m"},
    ("HostMemoryLow", "critical"): {"critical_threshold": 0.05, "critical_for": "2m"},
    ("HostOomKill", "critical"): {"threshold": 0},
    ("ShmFull", "warning"): {"threshold": 0.90, "for": "5m"},
    ("DiskFillsIn24h", "warning"): {"window": "6h", "horizon": 86400, "threshold": 0.40, "for": "1h"},
    ("DiskFillsIn4h", "critical"): {"window": "6h", "horizon": 14400, "threshold": 0.20, "for": "1h"},
    ("DiskLow", "critical"): {"threshold": 0.10, "for": "15m"},
    ("InodesLow", "warning"): {"threshold": 0.05},
    ("FilesystemReadOnly", "critical"): {"for": "1m"},
    ("ClockSkew", "warning"): {"threshold": 0.05, "for": "10m"},
    ("NetworkErrors", "warning"): {"threshold": 0.01, "for": "10m"},
    ("PressureHigh", "warning"): {"threshold": 0.10, "for": "10m"},
    ("ContainerDown", "critical"): {"for": "2m"},
    ("ContainerRestartLoop", "critical"): {"threshold": 3, "window": "15m"},
    ("ContainerOomKilled", "warning"): {"threshold": 0},
    ("ContainerUnhealthy", "warning"): {"for": "5m"},
    ("ContainerThrottled", "warning"): {"threshold": 0.25, "for": "15m"},
    ("VllmDown", "critical"): {"for": "2m"},
    ("VllmDown", "info"): {"for": "2m"},
    ("ModelAbsent", "critical"): {"for": "5m"},
    ("ModelUnrouted", "info"): {"for": "30m"},
    ("VllmAdmissionStalled", "critical"): {"for": "5m"},
    ("VllmNoProgress", "critical"): {"for": "5m"},
    ("VllmQueueTimeHigh", "warning"): {"threshold": 5, "for": "10m"},
    ("VllmKvCachePressure", "warning"): {"threshold": 0.95, "for": "10m"},
    ("VllmPreemptions", "warning"): {"threshold": 0.1, "for": "10m"},
    ("LitellmDown", "critical"): {"for": "2m"},
    ("LitellmDatabaseDown", "warning"): {"for": "5m"},
    ("LitellmModelUnavailable", "warning"): {"for": "5m"},
    ("LitellmModelUnavailable", "critical"): {"critical_for": "2m"},
    ("LitellmFailureRate", "warning"): {"threshold": 0.05, "min_requests": 20, "for": "10m"},
    ("LangfuseDown", "warning"): {"for": "5m"},
    ("LangfuseStale", "warning"): {"threshold": 900},
    ("EventsDropped", "warning"): {"threshold": 0},
    ("TtftSlow", "warning"): {"burn": 14.4, "slow_burn": 6},
    ("ErrorBudgetFast", "critical"): {"burn": 14.4, "for": "2m"},
    ("ErrorBudgetSlow", "critical"): {"burn": 6, "for": "15m"},
    ("ErrorBudgetTicket", "warning"): {"burn": 3, "slow_burn": 1, "for": "1h"},
    ("LatencyRegression", "warning"): {"threshold": 2, "for": "15m"},
    ("SpendSpike", "warning"): {"threshold": 3, "for": "15m"},
    ("BudgetExceeded", "warning"): {},
    ("Watchdog", "none"): {"for": "0m"},
    ("TargetDown", "warning"): {"for": "5m"},
    ("RuleEvaluationFailures", "warning"): {"threshold": 0},
    ("ConfigReloadFailed", "warning"): {"for": "5m"},
    ("AlertmanagerNotificationsFailing", "critical"): {},
    ("LogIngestStopped", "warning"): {"for": "15m"},
    ("LogShipperDropping", "warning"): {"threshold": 0, "for": "5m"},
    ("SeriesBudgetExceeded", "warning"): {"threshold": 1, "for": "15m"},
    ("ScrapeSlow", "warning"): {"threshold": 0.80, "for": "10m"},
    ("CollectorFailing", "warning"): {"for": "10m"},
    ("PrometheusStorageFilling", "warning"): {},
}

# Parameters that are no limits; "for" is one, unless it is 0m.
UNMEASURED = {"for", "component", "dashboard", "runbook", "severity"}

# XIDs that are agreed to be the hardware's.
HARDWARE_XIDS = {"48", "64", "74", "79", "95", "119", "120"}

# Recorded for dashboards; neither an alert nor another rule needs them.
FOR_DASHBOARDS = {
    "gpu:llm_monitor_idle_with_model",
    "model:llm_monitor_available:avg30d",
    "model:llm_monitor_error_budget_left:ratio_rate30d",
    "model:llm_monitor_first_token_budget_left:ratio_rate30d",
    "model:llm_monitor_kv_cache_usage:avg1h",
    "model:llm_monitor_queue_time:max1h",
    "model:llm_monitor_status:state",
    "model:llm_monitor_time_to_first_token:p95_rate1h",
    "model:llm_monitor_time_to_first_token:p95_rate5m",
    "model:llm_monitor_tokens:rate5m",
    "model:llm_monitor_tokens_per_gpu_hour:rate1h",
    "model:llm_monitor_tokens_per_joule:rate1h",
    "model:llm_monitor_tokens_per_joule:rate5m",
    "model:llm_monitor_usd_per_1k_tokens:rate5m",
    "model:llm_monitor_usd_per_1m_tokens:rate1h",
}
RECORDED_NAME = (
    r"(instance(_[a-z]+)*|model|job):[a-z0-9_]+:"
    r"(ratio|seconds|celsius|bool|sum|state|((ratio|p95)_)?rate\d+[mhd]|(avg|max|increase)\d+[hd])"
)

INVENTORY = yaml.safe_load((TESTS / "inventory.yml").read_text(encoding="utf-8"))
VALUES = alerts.variables(**INVENTORY)
CATALOGUE = alerts.catalogue()
RULES = [rule for kind in alerts.SECTIONS for rule in alerts.rules(f"{kind}_alerts", VALUES)]
RECORDED = [rule for kind in alerts.SECTIONS for rule in alerts.rules(f"{kind}_rules", VALUES)]
RECORDED_NAMES = {rule["record"] for rule in RECORDED}
EXPRESSIONS = [rule["expr"] for rule in [*RULES, *RECORDED]]


def names_in(expression: str) -> set[str]:
    """Return the names of metrics that an expression reads; what is quoted is no name, nor is a range."""
    return set(re.findall(r"[a-z_][a-z0-9_:]*", re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)))


@functools.cache
def declared_metrics() -> frozenset[str]:
    """Return the names of all series that exporters may give; any family may be a histogram here."""
    command = [sys.executable, "-m", "llm_monitor.base.catalogue", "--names"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return frozenset(f"{name}{part}" for name in names for part in ("", "_bucket", "_sum", "_count"))


def expectations(name: str) -> Iterator[tuple[str, list[set[str]]]]:
    """Yield each group of promtool's tests about an alert: its name, and the severities that fire, check by check."""
    for path in sorted(TESTS.glob("*/*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            checks = [check for check in group.get("alert_rule_test", []) if check["alertname"] == name]
            if checks:
                firing = [{alert["exp_labels"]["severity"] for alert in check["exp_alerts"]} for check in checks]
                yield group["name"], firing


@pytest.mark.parametrize("kind", alerts.SECTIONS)
def test_a_file_of_parameters_and_its_template_have_the_same_alerts(kind: str) -> None:
    written = (alerts.TEMPLATES / f"{kind}_alerts.yml.j2").read_text(encoding="utf-8")
    names = set(alerts.parameters_of(kind))
    assert set(re.findall(r"- alert: (\w+)", written)) == names
    assert {rule["alert"] for rule in alerts.rules(f"{kind}_alerts", VALUES)} == names


def test_every_file_of_parameters_is_part_of_the_catalogue() -> None:
    kinds = {path.name.removesuffix("_alerts.yml") for path in alerts.VARS.glob("*_alerts.yml")}
    templates = {path.name.removesuffix("_alerts.yml.j2") for path in alerts.TEMPLATES.glob("*_alerts.yml.j2")}
    assert kinds == templates == set(alerts.SECTIONS)
    assert sum(len(alerts.parameters_of(kind)) for kind in kinds) == len(CATALOGUE)


def test_limits_are_those_agreed_on() -> None:
    assert {(rule["alert"], rule["labels"]["severity"]) for rule in RULES} == set(AGREED)
    for (name, _severity), limits in AGREED.items():
        assert {key: CATALOGUE[name][key] for key in limits} == limits, name


def test_hardware_xids_are_those_agreed_on_and_are_explained() -> None:
    hardware = CATALOGUE["GpuXidHardware"]["xids"].split("|")
    ignored = CATALOGUE["GpuXidApplication"]["ignored_xids"].split("|")
    assert set(hardware) >= HARDWARE_XIDS
    assert not set(hardware) & set(ignored)
    explained = (RUNBOOKS / "GpuXidHardware.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| (\d+) \|", explained) == hardware


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_alert_says_what_a_reader_needs(rule: dict[str, Any]) -> None:
    name = rule["alert"]
    page = CATALOGUE[name].get("runbook", name)
    assert set(rule["labels"]) == {"severity", "component"}
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["labels"]["component"] == CATALOGUE[name]["component"]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "dashboard_uid"}
    assert rule["annotations"]["runbook_url"] == f"{VALUES['prometheus_runbook_url_base']}/{page}.md"
    assert rule["annotations"]["dashboard_uid"] == CATALOGUE[name]["dashboard"]
    if "threshold" in CATALOGUE[name]:
        assert "$value" in rule["annotations"]["description"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_alert_has_a_runbook(name: str) -> None:
    text = (RUNBOOKS / f"{CATALOGUE[name].get('runbook', name)}.md").read_text(encoding="utf-8")
    assert name in text.splitlines()[0]
    assert re.findall(r"(?m)^## (.+)$", text) == ["How bad", "Check", "Do", "Silence and tune"]
    tuning = text.split("## Silence and tune")[1]
    named = set(re.findall(r"`(\w+)`", tuning))
    limits = set(CATALOGUE[name]) - UNMEASURED | {"for"}
    assert limits <= named or name == "Watchdog", limits - named
    assert f"../alerts.md#{CATALOGUE[name].get('runbook', name).lower()}" in tuning


def test_every_runbook_belongs_to_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {keys.get("runbook", name) for name, keys in CATALOGUE.items()}


def test_links_between_pages_lead_somewhere() -> None:
    for path in [*RUNBOOKS.glob("*.md"), alerts.PAGE]:
        for target in re.findall(r"\]\(([^)#:]+\.md)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), f"{path.name} links to {target}"


@pytest.mark.parametrize(("name", "severity"), [key for key in AGREED if key[0] != "Watchdog"])
def test_alert_is_tested(name: str, severity: str) -> None:
    groups = dict(expectations(name))
    fires = [[severity in firing for firing in checks] for checks in groups.values()]
    quiet = [group for group, checks in groups.items() if not any(severity in firing for firing in checks)]
    assert any(False in checks[checks.index(True) :] for checks in fires if True in checks), "nothing resolves"
    assert any(f"{name} stays quiet" in group for group in quiet), "nothing stays quiet"


def test_quiet_is_just_below_for_every_alert() -> None:
    changes = yaml.safe_load((TESTS / "just_below.yml").read_text(encoding="utf-8"))
    at_once = {name for name, keys in CATALOGUE.items() if set(keys) <= UNMEASURED and keys["for"] == "0m"}
    assert {name for change in changes for name in change} == set(CATALOGUE) - at_once


def test_metrics_of_rules_are_declared_by_an_exporter() -> None:
    read = {name for expression in EXPRESSIONS for name in names_in(expression)} - RECORDED_NAMES
    assert {name for name in read if name.startswith(("llm_monitor_", "container_"))} <= declared_metrics()
    assert "llm_monitor_node_collector_success" in declared_metrics()


def test_what_is_recorded_is_what_alerts_and_dashboards_read() -> None:
    read = {name for expression in EXPRESSIONS for name in names_in(expression)}
    assert {name for name in read if ":" in name} <= RECORDED_NAMES
    assert RECORDED_NAMES - read == FOR_DASHBOARDS
    for name in RECORDED_NAMES - {"llm_monitor_gpu_cost_usd_per_hour", "gpu:llm_monitor_idle_with_model"}:
        assert re.fullmatch(RECORDED_NAME, name), name


def test_windows_hold_four_scrapes() -> None:
    windows = {window for expression in EXPRESSIONS for window in re.findall(r"\[(\d+[smhd])\]", expression)}
    assert windows
    for window in windows:
        assert int(window[:-1]) * SECONDS[window[-1]] >= 4 * SCRAPE_INTERVAL, window
    assert VALUES["prometheus_scrape_interval"] == f"{SCRAPE_INTERVAL}s"


def test_alertmanager_holds_back_alerts_that_exist() -> None:
    text = (alerts.TEMPLATES.parents[1] / "alertmanager" / "alertmanager.yml.j2").read_text(encoding="utf-8")
    named = re.findall(r'alertname (?:=|!~|=~) "([^"]+)"', text.split("inhibit_rules:")[1])
    assert {name for names in named for name in names.split("|")} <= set(CATALOGUE)


def test_the_page_of_alerts_is_up_to_date() -> None:
    assert alerts.PAGE.read_text(encoding="utf-8") == alerts.page()
