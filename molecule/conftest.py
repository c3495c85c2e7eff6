"""What the tests of all scenarios ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import PROJECT, Rollout, recaps


@pytest.fixture(scope="session")
def roll_out() -> Rollout:
    """Playbooks, run on the hosts of the scenario whose tests run."""
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    log = PROJECT / ".cache" / "results" / f"molecule-{scenario.name}-plays.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    return Rollout(scenario, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long each run of the whole rollout took, from the first on the bare hosts."""
    for recap in recaps():
        if recap["playbook"] == "site.yml":
            counts = [f"{name} ok={host['ok']} changed={host['changed']}" for name, host in recap["hosts"].items()]
            kind = "rehearsal" if recap["check"] else "rollout"
            terminalreporter.write_line(f"measured: {kind} {recap['seconds']} s, {', '.join(counts)}")
