"""prometheus_check, run by Ansible, against a real Prometheus that scrapes itself and a port where nothing listens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.integration.programs import running_prometheus
from exporter_testing.process import free_port

REPOSITORY = Path(__file__).parents[2]
CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ["127.0.0.1:{port}"]
        labels: {{instance: mon01}}
  - job_name: node
    static_configs:
      - targets: ["127.0.0.1:{closed}"]
        labels: {{instance: gpu01}}
"""
RULES = """
groups:
  - name: stack
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: TargetDown
        expr: up == 0
  - name: broken
    rules:
      - record: one_series
        expr: label_replace(up, "job", "same", "", "") * on (job) label_replace(up, "job", "same", "", "")
"""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a real Prometheus with a dead target and a rule whose evaluation fails."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    (folder / "prometheus.yml").write_text(CONFIG.format(port=port, closed=free_port()))
    (folder / "rules.yml").write_text(RULES)
    with running_prometheus(folder, port) as url:
        yield url


def check(url: str, *flags: str, **options: Any) -> dict[str, Any]:
    """Run the module as an operator would, and return its answer."""
    command = [
        sys.executable,
        "-m",
        "ansible",
        "adhoc",
        "localhost",
        "--inventory=localhost,",
        "--connection=local",
        "--module-name=llmops.monitoring.prometheus_check",
        f"--args={json.dumps({'url': url, 'interval': 0.2, **options})}",
        "--one-line",
        *flags,
    ]
    environment = {
        **os.environ,
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    start = ended.stdout.find("{")
    assert start >= 0, f"Ansible gave no result:\n{ended.stdout}\n{ended.stderr}"
    result: dict[str, Any] = json.loads(ended.stdout[start:])
    result["failed"] = ended.returncode != 0
    return result


@pytest.mark.parametrize("flags", [[], ["--check"]], ids=["run", "check mode"])
def test_what_holds_passes(prometheus: str, flags: list[str]) -> None:
    result = check(
        prometheus,
        *flags,
        timeout=30,
        targets=[{"job": "prometheus", "instance": "mon01"}],
        targets_absent=[{"instance": "gpu02"}],
        rules=["stack", "TargetDown", "job:up:sum"],
        assertions=[
            {"name": "Prometheus is up", "expr": 'up{job="prometheus"}', "expect": "== 1"},
            {"name": "Its rule gives both jobs", "expr": "count(job:up:sum)", "expect": ">= 2"},
            {"name": "Time passes", "expr": "time()", "expect": "> 1.7e9"},
            {"name": "Nothing else is there", "expr": "llm_monitor_node_load1", "expect": "empty"},
        ],
    )

    assert result["failed"] is False, result["msg"]
    assert result["changed"] is False
    assert result["problems"] == []
    assert {(target["job"], target["instance"], target["health"]) for target in result["targets"]} >= {
        ("prometheus", "mon01", "up")
    }
    assert result["rules"]["total"] == 3
    assert [assertion["ok"] for assertion in result["assertions"]] == [True] * 4


def test_what_does_not_hold_is_listed(prometheus: str) -> None:
    check(prometheus, timeout=20, assertions=[{"name": "Scraped", "expr": 'up{job="node"}'}])

    result = check(
        prometheus,
        timeout=3,
        targets=[{"job": "node"}, {"job": "gpu"}],
        targets_absent=[{"job": "prometheus"}],
        rules=["HostDown"],
        rules_all_ok=True,
        assertions=[{"name": "Everything is up", "expr": "up", "expect": "== 1"}],
    )

    assert result["failed"] is True
    assert result["attempts"] > 1
    down, missing, unwanted, unknown_rule, broken_rule, off = result["problems"]
    assert down.startswith("target job=node instance=gpu01: expected up, found down.")
    assert down.endswith("Hint: nothing listens there: see whether the exporter runs, and on which address and port.")
    assert missing == "target job=gpu: expected up, found none. Hint: the jobs with targets are node, prometheus."
    assert unwanted.startswith("target job=prometheus instance=mon01: expected none, found up")
    assert unknown_rule.startswith("rule or group HostDown: expected loaded, found none. Hint: the groups are broken,")
    assert broken_rule.startswith("rule one_series of group broken")
    assert "expected ok, found err: found duplicate series" in broken_rule
    assert off == (
        'Everything is up: expected == 1, found 1 of 2 series off: up{instance="gpu01", job="node"} = 0. Query: up'
    )


def test_a_malformed_expression_is_told_in_prometheus_words(prometheus: str) -> None:
    result = check(prometheus, timeout=60, assertions=[{"name": "Half a query", "expr": "up =="}])

    assert result["failed"] is True
    assert result["attempts"] == 1
    assert result["msg"].startswith(f"Half a query: Prometheus at {prometheus} refuses the request: ")
    assert "parse error: unexpected end of input. Query: up ==" in result["msg"]


def test_where_nothing_listens_it_says_so(prometheus: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = check(url, timeout=1)

    assert result["failed"] is True
    assert result["attempts"] > 1
    assert result["msg"].startswith(f"Prometheus at {url} does not answer: Connection refused.")
