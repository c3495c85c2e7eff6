"""Every metric that dashboards may ask for, and where it comes from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.llmops.monitoring.docs.build import alerts
from llm_monitor.base import catalogue, registry
from llm_monitor.base.metrics.family import COUNTER, HISTOGRAM, SUMMARY, Family
from llm_monitor.base.metrics.own import OwnFamilies

# What others than our exporters and rules give: name → who, what kind, and series for the tests of data.
ELSEWHERE: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("elsewhere.yml").read_text(encoding="utf-8")
)


@functools.cache
def families() -> tuple[Family, ...]:
    """Return what exporters declare."""
    return tuple(family for name in registry.names() for family in (*catalogue.families(name), *OwnFamilies.of(name)))


def exported() -> set[str]:
    """Return the names of exporters' series."""
    parts = {HISTOGRAM: ("_bucket", "_sum", "_count"), SUMMARY: ("", "_sum", "_count")}
    return {one.name + part for one in families() for part in parts.get(one.kind, ("",))}


@functools.cache
def recorded() -> set[str]:
    """Return what rules record, for a price of GPUs and containers that are expected."""
    values = alerts.variables(prometheus_gpu_cost_usd_per_hour=1, prometheus_expected_containers={"demo": ["one"]})
    kinds: Mapping[str, str] = alerts.SECTIONS
    return {rule["record"] for kind in kinds for rule in alerts.rules(f"{kind}_rules", values)}


def _counters() -> set[str]:
    own = {one.name for one in families() if one.kind == COUNTER}
    parts = {one.name + part for one in families() if one.kind == HISTOGRAM for part in ("_bucket", "_sum", "_count")}
    return own | parts | {name for name, one in ELSEWHERE.items() if one["type"] == "counter"}


COUNTERS = frozenset(_counters())
