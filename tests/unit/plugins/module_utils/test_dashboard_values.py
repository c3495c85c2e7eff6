# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Variables in queries, written as Grafana's pages write them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _dashboard_values as values
from ansible_collections.llmops.monitoring.plugins.module_utils._dashboard_values import Value

ONE = Value(["gpu.1"])
TWO = Value(["gpu.1", "it's"], is_multiple=True)
ALL = Value(["a"], is_multiple=True, pattern=".*")


@pytest.mark.parametrize(
    ("text", "value", "language", "expected"),
    [
        ('up{i="$v"}', ONE, "prometheus", 'up{i="gpu.1"}'),
        ('up{i=~"$v"}', TWO, "prometheus", r"""up{i=~"(gpu\\.1|it's)"}"""),
        ('up{i=~"${v}"}', TWO.first(), "loki", r'up{i=~"gpu\\.1"}'),
        ('up{i=~"$v"}', ALL, "prometheus", 'up{i=~".*"}'),
        ('up{i=~"${v:regex}"}', TWO, "prometheus", r"""up{i=~"(gpu\.1|it's)"}"""),
        ('up{i=~"${v:pipe}"}', TWO, "prometheus", """up{i=~"gpu.1|it's"}"""),
        ("[[v]] [[v:csv]]", ONE, "", "gpu.1 gpu.1"),
        ("${v:raw}", ALL, "prometheus", ".*"),
        ("IN ($v)", TWO, "grafana-postgresql-datasource", "IN ('gpu.1','it''s')"),
        ("= '$v'", Value(["it's"]), "postgres", "= 'it''s'"),
        ("IN (${v:singlequote})", TWO, "mysql", "IN ('gpu.1','it''s')"),
        ("${v:json}", TWO, "", '["gpu.1", "it\'s"]'),
        ("${v:queryparam}", TWO, "", "var-v=gpu.1&var-v=it%27s"),
        ("${v:glob}", TWO, "", "{gpu.1,it's}"),
        ('label_replace(x, "a", "$1", "b", "(.*)")', ONE, "prometheus", 'label_replace(x, "a", "$1", "b", "(.*)")'),
        ("$__timeFilter(time) $vv ${unknown}", ONE, "", "$__timeFilter(time) $vv ${unknown}"),
    ],
)
def test_a_variable_takes_the_form_that_its_query_needs(text: str, value: Value, language: str, expected: str) -> None:
    assert values.filled(text, {"v": value}, language) == expected


def test_a_query_is_filled_in_all_its_parts() -> None:
    query = {"expr": "$v", "list": ["${v}", 7, None], "deep": {"a": "[[v]]"}, "hide": False}
    assert values.filled(query, {"v": ONE}, "") == {
        "expr": "gpu.1",
        "list": ["gpu.1", 7, None],
        "deep": {"a": "gpu.1"},
        "hide": False,
    }
    assert values.used(query) == {"v"}
    assert values.used({}) == set()


@pytest.mark.parametrize(
    ("panel", "target", "scrape", "expected"),
    [
        ({}, {}, "30s", ("30s", "120s", "21600s")),
        ({}, {}, "", ("22s", "60s", "21600s")),
        ({"timeFrom": "30d"}, {}, "30s", ("2592s", "2622s", "2592000s")),
        ({"maxDataPoints": 100}, {}, "30s", ("216s", "246s", "21600s")),
        ({"interval": "5m"}, {}, "30s", ("300s", "330s", "21600s")),
        ({"interval": "5m"}, {"interval": "1m"}, "30s", ("60s", "120s", "21600s")),
        ({"interval": "$__interval", "maxDataPoints": "many"}, {}, "30s", ("30s", "120s", "21600s")),
    ],
)
def test_intervals_are_those_of_grafana(
    panel: dict[str, Any], target: dict[str, Any], scrape: str, expected: tuple[str, str, str]
) -> None:
    window = values.window({"time": {"from": "now-6h"}}, panel, target, scrape, 1_000_000.0)
    found = window.values()
    assert tuple(found[name].texts[0] for name in ("__interval", "__rate_interval", "__range")) == expected
    assert found["__to"].texts == ["1000000000"]
    assert values.filled("${__to:date:iso}", found, "") == "1970-01-12T13:46:40.000Z"


@pytest.mark.parametrize("text", ["", "now", "6 hours", None, 7, "now/d"])
def test_what_is_no_duration_is_none(text: Any) -> None:
    assert values.seconds(text) == 0
