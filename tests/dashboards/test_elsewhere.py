"""What dashboards ask of Prometheus is what a real one gives of itself; tests/integration ask an Alertmanager."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.dashboards.giving import asked_of, missing, types
from ansible_collections.llmops.monitoring.tests.integration.programs import running_prometheus, wait_for
from exporter_testing.process import free_port

CONFIGURATION = """\
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:1"]}]}]}
"""
RULES = 'groups: [{name: g, rules: [{alert: Always, expr: vector(1)}, {record: "a:b:c", expr: vector(1)}]}]\n'


def test_prometheus_gives_what_is_asked_of_it(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION)
    (tmp_path / "rules.yml").write_text(RULES)
    asked = asked_of("Prometheus")
    assert asked
    with running_prometheus(tmp_path, free_port()) as url:
        # Some come with the first evaluation, and with the first alert.
        wait_for(lambda: not missing(asked, types(url)))


@pytest.mark.parametrize(
    ("name", "kind"), [("prometheus_no_such_total", "counter"), ("prometheus_tsdb_head_series", "counter")]
)
def test_a_wrong_name_or_type_is_seen(name: str, kind: str) -> None:
    given = {"prometheus_tsdb_head_series": "gauge", "prometheus_seconds": "histogram"}
    assert missing({name: kind, "prometheus_seconds_bucket": "counter"}, given) == {name}
