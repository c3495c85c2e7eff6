"""Which scenario makes an alert fire, as alerts.yml has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.llmops.monitoring.tests.scenarios.court import Alert

TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("alerts.yml").read_text(encoding="utf-8"))


def pairs(rows: Mapping[str, Iterable[str]]) -> set[Alert]:
    """Return alerts that are written down by name and severity."""
    return {(name, severity) for name, row in rows.items() for severity in row}


FIRES: dict[Alert, str] = {
    (name, severity): scenario for name, row in TABLE["fires"].items() for severity, scenario in row.items()
}
LEFT_OUT = pairs(TABLE["left_out"])


def caused_by(scenario: str) -> set[Alert]:
    """Return the alerts that a scenario makes fire."""
    return {alert for alert, one in FIRES.items() if one == scenario}
