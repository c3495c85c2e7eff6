# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""grafana_dashboards_check against a server that speaks Grafana's API, in front of a real Prometheus."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import grafana_dashboards_check as module
from ansible_collections.llmops.monitoring.tests.grafana_stand_in.server import (
    PASSWORD,
    Fault,
    GrafanaStandIn,
    running,
)
from ansible_collections.llmops.monitoring.tests.integration.programs import running_prometheus, wait_for
from exporter_testing.process import free_port

Check = Callable[..., dict[str, Any]]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ["127.0.0.1:{port}"]
        labels: {{instance: mon.01}}
  - job_name: twin
    static_configs:
      - targets: ["127.0.0.1:{port}"]
        labels: {{instance: mon+02}}
"""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a real Prometheus that scrapes itself as two instances, and has done so for a while."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    (folder / "prometheus.yml").write_text(CONFIG.format(port=port))
    with running_prometheus(folder, port) as url:
        query = urllib.parse.quote("count(rate(process_cpu_seconds_total[4s])) == 2")

        def has_rates() -> bool:
            with urllib.request.urlopen(f"{url}/api/v1/query?query={query}", timeout=5) as answer:
                return bool(json.load(answer)["data"]["result"])

        wait_for(has_rates)
        yield url


@pytest.fixture
def grafana(prometheus: str) -> Iterator[GrafanaStandIn]:
    with running(prometheus) as stand_in:
        yield stand_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of dashboards, which has one that is well."""
    path = tmp_path / "dashboards"
    write(path, dashboard("health", stat("Up", 'up{instance=~"$instance"}')))
    return path


@pytest.fixture
def check(run_module: Any, grafana: GrafanaStandIn, folder: Path) -> Check:
    """Return a function that lets Grafana take what is in the folder and then runs the module, which looks once."""

    def run(check_mode: bool = False, provisioned: bool = True, **options: Any) -> dict[str, Any]:
        if provisioned:
            grafana.provision(folder)
        access = {"url": grafana.url, "username": "admin", "password": PASSWORD, "folder": str(folder)}
        args = {**access, "timeout": 0, "interval": 0.05, **options}
        result: dict[str, Any] = run_module(module.main, args, check_mode=check_mode)
        return result

    return run


def stat(title: str, *expressions: str, **more: Any) -> dict[str, Any]:
    targets = [{"refId": chr(65 + place), "expr": text, "instant": True} for place, text in enumerate(expressions)]
    return {"type": "stat", "title": title, "datasource": SOURCE, "targets": targets, **more}


def dashboard(uid: str, *panels: dict[str, Any], **more: Any) -> dict[str, Any]:
    instances = {
        "type": "query",
        "name": "instance",
        "datasource": SOURCE,
        "query": {"query": "label_values(up, instance)", "refId": "V"},
        "includeAll": True,
        "multi": True,
    }
    variables = [{"type": "datasource", "name": "datasource", "query": "prometheus"}, instances]
    return {
        "uid": uid,
        "title": uid.title(),
        "schemaVersion": 41,
        "time": {"from": "now-1m", "to": "now"},
        "templating": {"list": [*variables, *more.pop("variables", [])]},
        "panels": list(panels),
        **more,
    }


def write(folder: Path, *dashboards: dict[str, Any]) -> None:
    (folder / "system").mkdir(parents=True, exist_ok=True)
    for one in dashboards:
        (folder / f"system/{one['uid']}.json").write_text(json.dumps(one))


def asked(grafana: GrafanaStandIn) -> list[str]:
    return [query["expr"] for query in grafana.sources.asked]


# ------------------------------------------------------------ what holds


@pytest.mark.parametrize("check_mode", [False, True])
def test_what_is_well_passes_with_the_figures(check: Check, check_mode: bool) -> None:
    result = check(check_mode, data_sources=["llm-monitor-prometheus", "llm-monitor-alertmanager"])
    assert result["failed"] is False, result
    assert result["changed"] is False
    assert (result["dashboards"], result["panels"], result["attempts"]) == (1, 1, 1)
    found = [result[name] for name in ("missing", "changed_dashboards", "failed_queries", "empty", "problems")]
    assert found == [[], [], [], [], []]


def test_variables_are_filled_as_somebody_sees_them_who_opens_the_page(
    check: Check, folder: Path, grafana: GrafanaStandIn
) -> None:
    job = {
        "type": "query",
        "name": "job",
        "datasource": SOURCE,
        "query": 'label_values(up{instance=~"$instance"}, job)',
    }
    wide = {"type": "custom", "name": "wide", "query": "a,b", "includeAll": True, "allValue": ".*"}
    write(
        folder,
        dashboard(
            "health",
            stat("All", 'up{instance=~"$instance"}'),
            stat("First", 'up{job="$job"}'),
            stat("Pattern", 'up{job=~"${wide:regex}"}'),
            stat("Rate", "rate(process_cpu_seconds_total[$__rate_interval])"),
            stat("Whole", "avg_over_time(up[$__range])", timeFrom="30s"),
            variables=[job, wide],
        ),
    )
    result = check()
    assert result["failed"] is False, result["msg"]
    assert result["empty"] == []
    assert sorted(asked(grafana)) == [
        "avg_over_time(up[30s])",
        "rate(process_cpu_seconds_total[4s])",
        r'up{instance=~"(mon\\+02|mon\\.01)"}',
        'up{job="prometheus"}',
        'up{job=~".*"}',
    ]


def test_panels_in_rows_and_repeated_ones_are_asked(check: Check, folder: Path, grafana: GrafanaStandIn) -> None:
    collapsed = {
        "type": "row",
        "title": "Each",
        "collapsed": True,
        "repeat": "instance",
        "panels": [stat("In a closed row", 'up{instance=~"$instance"}')],
    }
    opened = {"type": "row", "title": "Open", "collapsed": False, "panels": []}
    write(
        folder,
        dashboard(
            "health",
            collapsed,
            opened,
            stat("Below an open row", "up"),
            stat("Repeated", 'up{instance=~"${instance}"}', repeat="instance"),
            {"type": "text", "title": "Words"},
            {"type": "dashlist", "title": "Others", "targets": []},
            {"type": "stat", "title": "Copy", "datasource": {"uid": "-- Dashboard --"}, "targets": [{"panelId": 1}]},
            stat("Hidden", "not_asked", targets=[{"refId": "A", "expr": "not asked(", "hide": True}]),
            annotations={"list": [{"name": "Restarts", "expr": "changes(up[1m]) > 0", "datasource": SOURCE}]},
        ),
    )
    result = check()
    assert result["failed"] is False, result["msg"]
    assert sorted(asked(grafana)) == ["changes(up[1m]) > 0", "up", *([r'up{instance=~"mon\\+02"}'] * 2)]
    # An annotation that tells of nothing is as it should be.
    assert result["empty"] == []


# ------------------------------------------------------------ what does not hold


def test_empty_panels_are_told_and_are_no_failure(check: Check, folder: Path) -> None:
    write(
        folder,
        dashboard(
            "health",
            stat("Half", "nothing_yet", "up"),
            stat("None", "nothing_yet", "nothing_else"),
            stat("No number", "0 * up / 0"),
        ),
    )
    result = check()
    assert result["failed"] is False
    assert [(panel["panel"], panel["query"]) for panel in result["empty"]] == [
        ("None", "nothing_yet"),
        ("No number", "0 * up / 0"),
    ]


def test_queries_that_fail_are_named_in_prometheus_own_words(check: Check, folder: Path) -> None:
    write(
        folder,
        dashboard("health", stat("Well", "up"), stat("Half", "up", "sum(up"), stat("Twice", "up * on () up")),
        dashboard("more", stat("Range", 'rate(up{job="$nothing"}[)')),
    )
    result = check()
    assert result["failed"] is True
    assert [(one["dashboard"], one["panel"], one["query"]) for one in result["failed_queries"]] == [
        ("health", "Half", "sum(up"),
        ("health", "Twice", "up * on () up"),
        ("more", "Range", 'rate(up{job="$nothing"}[)'),
    ]
    lines = result["msg"].splitlines()
    assert lines[0].startswith("Grafana at http://127.0.0.1:")
    assert "- health, panel Half: bad_data: " in lines[1]
    assert "parse error" in lines[1]
    assert "many-to-many" in lines[2] or "duplicate series" in lines[2]


def test_missing_and_changed_dashboards_are_told_apart(check: Check, folder: Path, grafana: GrafanaStandIn) -> None:
    write(folder, *(dashboard(uid, stat("Up", "up")) for uid in ("gone", "other", "taken", "newer")))
    grafana.provision(folder)
    del grafana.dashboards["gone"]
    grafana.dashboards["other"]["panels"][0]["targets"][0]["expr"] = "down"
    del grafana.provisioned["taken"]
    # A newer Grafana may have brought it to its own schema.
    grafana.dashboards["newer"].update(schemaVersion=99, annotations={"list": []})
    grafana.dashboards["newer"]["panels"][0]["fieldConfig"] = {"defaults": {}}

    result = check(provisioned=False)
    assert result["missing"] == ["gone"]
    assert result["changed_dashboards"] == ["other", "taken"]
    first, second, third = result["problems"]
    assert "system/gone.json): Grafana does not have it" in first
    assert "another version of it: panels[0].targets[0].expr differs." in second
    assert "which somebody made by hand" in third


def test_it_waits_for_grafana_to_take_a_dashboard(check: Check, folder: Path, grafana: GrafanaStandIn) -> None:
    grafana.faults.append(Fault("/dashboards/uid/", 404, b'{"message": "Dashboard not found"}', times=2))
    result = check(timeout=20)
    assert (result["failed"], result["attempts"]) == (False, 3)


def test_a_query_that_fails_is_asked_again_and_only_that_one(
    check: Check, folder: Path, grafana: GrafanaStandIn
) -> None:
    write(folder, dashboard("health", stat("One", "up"), stat("Two", "vector(2)")))
    grafana.faults.append(Fault("/ds/query", 502, b"<html>Bad Gateway</html>", times=1))
    result = check(timeout=20, workers=1)
    assert (result["failed"], result["attempts"]) == (False, 2)
    assert sorted(asked(grafana)) == ["up", "vector(2)"]


def test_data_sources_that_do_not_answer_are_told(check: Check, grafana: GrafanaStandIn) -> None:
    grafana.sources.ill["llm-monitor-prometheus"] = 'Post "http://prometheus:1/api/v1/query": dial tcp: no such host'
    grafana.sources.ill["llm-monitor-alertmanager"] = "bad gateway"
    result = check(data_sources=["llm-monitor-prometheus", "llm-monitor-alertmanager", "llm-monitor-loki"])
    prometheus, alertmanager, loki = result["problems"]
    assert "(http://prometheus:1) does not answer" in prometheus
    assert "no such host" in prometheus
    assert "bad gateway" in alertmanager
    assert "It has llm-monitor-alertmanager, llm-monitor-prometheus" in loki


def test_panels_of_a_data_source_that_is_switched_off_are_empty(check: Check, folder: Path) -> None:
    loki = {"type": "datasource", "name": "loki", "query": "loki"}
    service = {
        "type": "query",
        "name": "service",
        "datasource": {"type": "loki", "uid": "${loki}"},
        "query": {"label": "service", "stream": "", "type": 1},
    }
    logs = stat("Logs", '{service="$service"}', datasource={"type": "loki", "uid": "${loki}"})
    write(folder, dashboard("health", logs, variables=[loki, service]))
    result = check()
    assert result["failed"] is False, result["msg"]
    assert [(one["panel"], one["reason"]) for one in result["empty"]] == [
        ("Logs", "Grafana has no data source of the type loki")
    ]


def test_other_data_sources_get_their_own_kind_of_text(check: Check, folder: Path, grafana: GrafanaStandIn) -> None:
    grafana.sources.add("llm-monitor-loki", "loki")
    grafana.sources.add("llm-monitor-events", "grafana-postgresql-datasource")
    grafana.sources.prepared["label/service/values"] = {"status": "success", "data": ["vllm", "it's"]}
    models = {
        "schema": {"fields": [{"name": "model", "type": "string"}]},
        "data": {"values": [["llama", "it's"]]},
    }
    grafana.sources.prepared["SELECT model FROM events"] = [models]
    events = {"type": "grafana-postgresql-datasource", "uid": "llm-monitor-events"}
    loki = {"type": "loki", "uid": "llm-monitor-loki"}
    service = {"type": "query", "name": "service", "datasource": loki, "query": {"label": "service", "type": 1}}
    model = {"type": "query", "name": "model", "datasource": events, "query": "SELECT model FROM events"}
    sql = "SELECT count(*) FROM events WHERE model IN ($model) AND $__timeFilter(time)"
    write(
        folder,
        dashboard(
            "health",
            stat("Logs", '{service=~"$service"}', datasource=loki),
            {
                "type": "table",
                "title": "Events",
                "datasource": events,
                "targets": [{"refId": "A", "rawSql": sql, "format": "table"}],
            },
            variables=[{**service, "includeAll": True}, {**model, "includeAll": True}],
        ),
    )
    result = check()
    assert result["failed"] is False, result["msg"]
    sent = {query["datasource"]["uid"]: query for query in grafana.sources.asked}
    assert sent["llm-monitor-loki"]["expr"] == '{service=~"(vllm|it\'s)"}'
    assert "IN ('llama','it''s') AND $__timeFilter(time)" in sent["llm-monitor-events"]["rawSql"]


def test_a_variable_that_cannot_be_asked_fails_the_panels_that_use_it(check: Check, folder: Path) -> None:
    wrong = {"type": "query", "name": "wrong", "datasource": SOURCE, "query": "label_values(up{, job)"}
    write(folder, dashboard("health", stat("Uses it", 'up{job="$wrong"}'), stat("Does not", "up"), variables=[wrong]))
    (failed,) = check()["failed_queries"]
    assert failed["panel"] == "Uses it"
    assert "the options of the variable wrong can't be asked" in failed["error"]


# ------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("/datasources", body=b"<html>Sign in</html>"), "is no Grafana: it gives other than JSON"),
        (Fault("/datasources", body=b"{}"), "its list of data sources is none"),
        (Fault("/dashboards/uid", body=b"[]"), "a dashboard of it is none"),
        (Fault("/dashboards/uid", 500, b'{"message": "database is locked"}'), "(status 500): database is locked."),
        (Fault("/dashboards/uid", 302, location="http://evil.example/"), "which is not followed"),
        (Fault("/dashboards/uid", is_cut=True), "its answer ends in the middle"),
        (Fault("/datasources", delay=3), "no answer in time"),
        (Fault("/ds/query", delay=3), "panel Up: Grafana at"),
        (Fault("/ds/query", body=b"[]"), "panel Up: Grafana gives no result for it"),
        (Fault("/ds/query", body=b'{"results": {"A": {"frames": 7}}}'), ""),
        (Fault("/ds/query", body=b'{"results": {"A": {"frames": [{"data": {"values": [7, [1]]}}, 3]}}}'), ""),
        (Fault("/ds/query", body=b'{"results": {"A": {"frames": [{"schema": [], "data": {"values": {}}}]}}}'), ""),
        (Fault("/dashboards/uid", body=b'{"meta": [], "dashboard": 7}'), "which somebody made by hand"),
        (Fault("/dashboards/uid", body=b'{"meta": {"provisioned": true}, "dashboard": 7}'), "it is no dashboard"),
        (
            Fault("/datasources$", body=b'[{"uid": "x", "type": "prometheus", "jsonData": "none"}]'),
            "Data source not found",
        ),
        (Fault("/ds/query", 401, b'{"message": "Unauthorized"}'), "refuses these credentials"),
    ],
    ids=[
        "html",
        "list",
        "dashboard",
        "500",
        "redirect",
        "cut",
        "slow",
        "query",
        "results",
        "frames",
        "values",
        "schema",
        "meta",
        "number",
        "settings",
        "401",
    ],
)
def test_what_is_wrong_with_grafana_is_told(check: Check, grafana: GrafanaStandIn, fault: Fault, message: str) -> None:
    grafana.faults.append(fault)
    result = check(request_timeout=1 if fault.delay else 10)
    assert result["failed"] is bool(message)
    assert message in result.get("msg", "")
    assert PASSWORD not in json.dumps(result)


def test_a_wrong_password_ends_the_waiting(check: Check) -> None:
    result = check(password="wrong", timeout=60)
    assert "refuses these credentials (status 401: Invalid username or password)" in result["msg"]
    assert result["attempts"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "can't be read as a dashboard"), ("[]", "is no dashboard"), ('{"uid": "x"}', "needs a uid and a title")],
)
def test_a_file_that_is_no_dashboard_is_named(check: Check, folder: Path, content: str, message: str) -> None:
    (folder / "system/bad.json").write_text(content)
    result = check(provisioned=False)
    assert "system/bad.json" in result["msg"]
    assert message in result["msg"]


def test_a_folder_without_dashboards_is_told(check: Check, tmp_path: Path) -> None:
    assert "has no dashboard" in check(folder=str(tmp_path / "nowhere"))["msg"]


# ------------------------------------------------------------ rollouts of dashboards


def test_a_removed_dashboard_disappears_and_one_of_a_user_stays(
    check: Check, folder: Path, grafana: GrafanaStandIn
) -> None:
    write(folder, dashboard("second", stat("Up", "up")))
    grafana.save(dashboard("mine", stat("Up", "up")))
    assert check()["dashboards"] == 2
    (folder / "system/second.json").unlink()
    assert check()["dashboards"] == 1
    assert set(grafana.dashboards) == {"health", "mine"}
