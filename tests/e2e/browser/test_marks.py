# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The marks are those that Grafana's own packages give for Grafana 12 and 13."""

from __future__ import annotations

import json
import subprocess

import pytest
from ansible_collections.llmops.monitoring.tests.e2e.browser import marks
from ansible_collections.llmops.monitoring.tests.npm import folder, node

SCRIPT = """
const { resolveSelectors, versionedComponents, versionedPages } = await import(process.argv[1] + "/dist/esm/index.mjs");
const components = resolveSelectors(versionedComponents, process.argv[2]);
const { Login } = resolveSelectors(versionedPages, process.argv[2]);
const { Panel } = components.Panels;
console.log(JSON.stringify({
  USERNAME: Login.username,
  PASSWORD: Login.password,
  LOGIN: Login.submit,
  ALERT: components.Alert.alertV2("error"),
  TOOLTIP: components.Tooltip.container,
  PANEL_CONTENT: Panel.content,
  PANEL_MESSAGE: Panel.PanelDataErrorMessage,
  PANEL_STATUS: Panel.status("error"),
  PANEL_HEADER: Panel.title(""),
  ROW_TITLE: components.DashboardRow.title(""),
  LOADING_BAR: Panel.loadingBar(""),
}));
"""


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("e2e-selectors-12", "12.0.0"),
        ("e2e-selectors-12", "12.4.10"),
        ("e2e-selectors-13", "13.0.0"),
        ("e2e-selectors-13", "13.2.2"),
    ],
)
def test_marks_are_grafanas(package: str, version: str) -> None:
    done = subprocess.run(
        [node(), "--input-type=module", "--eval", SCRIPT, folder("e2e") / "node_modules" / package, version],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n`make integration` fetches the packages"
    theirs = json.loads(done.stdout)
    assert theirs == {name: getattr(marks, name) for name in theirs}
    ours = {name for name in vars(marks) if name.isupper()} - {"PLACE", "PANEL", "CLOSED_ROW"}
    assert ours == set(theirs)
