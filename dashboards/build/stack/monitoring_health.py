"""Whether the monitoring itself is well: what it can't see, loses, or has no room for."""

from __future__ import annotations

from .. import variables
from ..board import Board
from . import _alerting, _events, _logs, _metrics


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="monitoring-health",
        title="Monitoring health",
        folder="stack",
        description="Whether the monitoring itself is well, so that a quiet dashboard means that all is quiet.",
        variables=[variables.instance("up")],
    )
    made.row("", *_metrics.status(), *_alerting.status(), *_logs.status())
    made.row("What is scraped", *_metrics.scrapes())
    made.row("What Prometheus holds", *_metrics.storage())
    made.row("Rules and notifications", *_alerting.over_time(), collapsed=True)
    made.row("Logs", *_logs.over_time(), collapsed=True)
    made.row("Events of applications", *_events.over_time(), collapsed=True)
    made.row("What the monitoring uses", *_metrics.use(), collapsed=True)
    return made
