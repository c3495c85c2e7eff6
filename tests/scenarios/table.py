"""Which scenario makes an alert fire, as alerts.yml has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible_collections.llmops.monitoring.tests.scenarios.court import Alert

TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("alerts.yml").read_text(encoding="utf-8"))
FIRES: dict[Alert, str] = {
    (name, severity): scenario for name, row in TABLE["fires"].items() for severity, scenario in row.items()
}
LEFT_OUT: set[Alert] = {(name, severity) for name, row in TABLE["left_out"].items() for severity in row}


def caused_by(scenario: str) -> set[Alert]:
    """Return the alerts that a scenario makes fire."""
    return {alert for alert, one in FIRES.items() if one == scenario}
