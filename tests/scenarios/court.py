"""Our rules over what a scenario shows, judged by promtool with the engine of a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.llmops.monitoring.docs.build import alerts
from ansible_collections.llmops.monitoring.tests.integration.programs import tool
from ansible_collections.llmops.monitoring.tests.scenarios.tape import Run, record
from llm_monitor.mock.parts import PLAYED

# An alert's name and severity: some names have two rules.
Alert = tuple[str, str]

WATCHDOG = ("Watchdog", "none")

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NAMES = re.compile(r'__name__=~"([^"]+)"')

# What promtool says when nothing is amiss but what nobody foretold: which alerts fire.
_ANSWER = re.compile(r'\s*FAILED:\n    expr: "max by [^\n]+\n +exp: nil\n +got: ([^\n]+)\s*')
_ALERT = re.compile(r'\{alertname="(\w+)", severity="(\w+)"\} 1E\+00(?:, |$)')


class UnfairError(Exception):
    """A rule could not be evaluated, or samples were missing: what promtool said."""


class Court:
    """Rendered rules in a folder of their own, and promtool."""

    def __init__(self, folder: Path, variables: Mapping[str, Any]) -> None:
        """Render all rules into a folder, with `variables` as an inventory would have them."""
        self._folder = folder
        values = alerts.variables(**variables)
        self.rules: list[dict[str, Any]] = []
        for template in alerts.TEMPLATES.glob("*.j2"):
            text = alerts.render(template, values)
            (folder / template.stem).write_text(text, encoding="utf-8")
            self.rules += [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"] or []]
        self.alerts: set[Alert] = {
            (rule["alert"], rule["labels"]["severity"]) for rule in self.rules if "alert" in rule
        }
        asked = "\n".join(rule["expr"] for rule in self.rules)
        self._names = set(_NAME.findall(asked))
        self._patterns = [re.compile(pattern) for pattern in _NAMES.findall(asked)]

    def wants(self, name: str) -> bool:
        """Return whether any rule may ask for series of that name."""
        return name in self._names or any(pattern.fullmatch(name) for pattern in self._patterns)

    def firing(self, run: Run) -> set[Alert]:
        """Play a scenario, and return which alerts fire; Watchdog, which always does, is left out.

        Raises:
            UnfairError: When a rule could not be evaluated, or samples were missing.
        """
        return self.judge(run, record(run, self.wants))

    def judge(self, run: Run, series: Mapping[str, str]) -> set[Alert]:
        """Return the same for series that are there already."""
        tests = {
            "interval": f"{run.step}s",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [*_evidence(run), _question(run)],
        }
        rules = sorted(path.name for path in self._folder.glob("*.yml"))
        # Rules are evaluated as often as exporters are asked.
        case = {"rule_files": rules, "evaluation_interval": f"{run.step}s", "tests": [tests]}
        path = self._folder / f"{run.scenario}.json"
        path.write_text(json.dumps(case), encoding="utf-8")
        command = [tool("promtool"), "test", "rules", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        path.unlink()
        return _answer(done.stderr)


def _evidence(run: Run) -> Iterator[dict[str, Any]]:
    """Give what must be so if what is judged is anything at all: every scrape, and every evaluation."""
    end = run.minutes * 60
    for expression, count in (
        (f"count(count_over_time(up[{end}s]) == {run.scrapes})", len(PLAYED)),
        (f'sum(count_over_time(ALERTS{{alertname="Watchdog"}}[{end}s])) == bool {run.scrapes}', 1),
    ):
        yield {"expr": expression, "eval_time": f"{end}s", "exp_samples": [{"labels": "{}", "value": count}]}


def _question(run: Run) -> dict[str, Any]:
    """Ask for the alerts. No answer is foretold, so that promtool tells it."""
    fired = f'max_over_time(ALERTS{{alertstate="firing"}}[{run.minutes}m])'
    return {"expr": f"max by (alertname, severity) ({fired})", "eval_time": f"{run.minutes}m"}


def _answer(said: str) -> set[Alert]:
    """Return the alerts that promtool tells.

    Raises:
        UnfairError: When it says anything else.
    """
    told = _ANSWER.fullmatch(said)
    found = set(_ALERT.findall(told[1])) if told else set()
    if told is None or len(found) != told[1].count("alertname=") or WATCHDOG not in found:
        raise UnfairError(said[-5000:])
    return found - {WATCHDOG}
