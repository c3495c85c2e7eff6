# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""How Grafana 12 and 13 mark what they draw: the names of @grafana/e2e-selectors, which `test_marks.py` compares."""

from __future__ import annotations

USERNAME = "data-testid Username input field"
PASSWORD = "data-testid Password input field"
LOGIN = "data-testid Login button"
ALERT = "data-testid Alert error"
TOOLTIP = "data-testid tooltip"
PANEL_CONTENT = "data-testid panel content"
PANEL_MESSAGE = "data-testid Panel data error message"
PANEL_STATUS = "data-testid Panel status error"
# What each title follows.
PANEL_HEADER = "data-testid Panel header "
ROW_TITLE = "data-testid dashboard-row-title-"
# An aria-label, not a test id.
LOADING_BAR = "Panel loading bar"

# These are not among the selectors. They stand in @grafana/scenes, which draws dashboards since Grafana 11: a place of
# the grid, a panel in it, whose key has its id in it, and the button of a row that is closed.
PLACE = "[data-griditem-key]"
PANEL = "[data-viz-panel-key]"
CLOSED_ROW = '[aria-label^="Expand row"]'


def by_id(test_id: str) -> str:
    """Return the CSS selector of what has a test id."""
    return f'[data-testid="{test_id}"]'
