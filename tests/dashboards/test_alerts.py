"""The dashboard that an alert leads to shows what the alert is about."""

from __future__ import annotations

import functools
from collections import defaultdict

import promql_parser
import pytest
from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.dashboards.reading import dashboards, parsed, queries, selectors

VALUES = alerts.variables(
    prometheus_gpu_cost_usd_per_hour=1,
    prometheus_expected_containers={"demo": ["one"]},
    prometheus_daily_budget_usd=1,
)
CATALOGUE = alerts.catalogue()
RULES = {rule["alert"]: rule["expr"] for kind in alerts.SECTIONS for rule in alerts.rules(f"{kind}_alerts", VALUES)}
# Shown in another way, and how.
OTHERWISE = {
    "GpuExporterDown": "GPUs of an exporter that is gone count as missing",
    "HostDown": "hosts whose exporter's own series have ended count as down",
    "Watchdog": "it is about nothing and always fires",
}


@functools.cache
def made_of() -> dict[str, set[str]]:
    """Return the metrics that each recorded series is made of at first hand."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for kind in alerts.SECTIONS:
        for rule in alerts.rules(f"{kind}_rules", VALUES):
            found[rule["record"]] |= {one.name for one in selectors(promql_parser.parse(rule["expr"]))}
    return found


def roots(names: set[str]) -> set[str]:
    """Return metrics with all that they are made of."""
    found: set[str] = set()
    while names - found:
        found |= names
        names = {part for name in names for part in made_of().get(name, ())}
    return found


@pytest.mark.parametrize("name", sorted(RULES.keys() - OTHERWISE.keys()))
def test_it_is_shown_where_the_alert_leads(name: str) -> None:
    board = next(one.json for one in dashboards() if one.uid == CATALOGUE[name]["dashboard"])
    shown = {
        one.name for query in queries(board) if query.source == "prometheus" for one in selectors(parsed(query.expr))
    }
    about = roots({one.name for one in selectors(promql_parser.parse(RULES[name]))})
    assert about & roots(shown), f"{CATALOGUE[name]['dashboard']} shows nothing of {', '.join(sorted(about))}"


def test_exceptions_are_alerts() -> None:
    assert OTHERWISE.keys() <= RULES.keys()
