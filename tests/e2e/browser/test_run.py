# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The tests of `test_dashboards.py` as a whole, run on a stand-in for Grafana and a real mock: see `stand_in.py`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmops.monitoring.tests.e2e.browser import dashboards
from ansible_collections.llmops.monitoring.tests.e2e.browser.grafana import Grafana, GrafanaError, from_environment
from ansible_collections.llmops.monitoring.tests.e2e.browser.stand_in import PASSWORD, USER, StandIn, standing_in
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import exporting
from exporter_testing.process import free_port

TESTS = Path(__file__).with_name("test_dashboards.py")
JSON = {
    "uid": "gpu-usage",
    "panels": [
        {"id": 1, "type": "stat", "title": "GPUs seen", "fieldConfig": {"defaults": {"noValue": "No exporter."}}},
        {
            "id": 2,
            "type": "row",
            "title": "Detail",
            "panels": [{"id": 3, "type": "timeseries", "title": "Clocks"}],
        },
        {"id": 4, "type": "row", "title": "More", "panels": []},
        {"id": 5, "type": "timeseries", "title": "Power"},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one dashboard, whose detail is in a row that is closed."""
    path = tmp_path / "dashboards/system/gpu-usage.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(JSON))
    return path.parents[1]


@pytest.fixture
def grafana(folder: Path) -> Iterator[StandIn]:
    dashboard = dashboards.read(folder / "system/gpu-usage.json")
    with standing_in(StandIn({dashboard.uid: dashboard}, in_a_row=frozenset({"Clocks"}))) as one:
        yield one


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the tests with nothing said of a Grafana but what is given; return the exit status and what they print."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("GRAFANA_", "MOCK_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", TESTS, *arguments],
        cwd=dashboards.ROOT,
        env={**clean, "DASHBOARDS": str(folder), "SCREENSHOTS": str(folder.parent / "screenshots"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def signed_in(url: str) -> dict[str, str]:
    return {"GRAFANA_URL": url, "GRAFANA_USER": USER, "GRAFANA_PASSWORD": PASSWORD}


def test_each_dashboard_is_seen_in_each_way_and_the_bad_day_too(folder: Path, grafana: StandIn, tmp_path: Path) -> None:
    with exporting("mock", tmp_path, {"EXPORTERS": "gpu"}) as mock:
        grafana.is_bad_day = lambda: json.loads(mock.get("/api/v1/scenario"))["scenario"] == "failure"
        status, told = run(folder, **signed_in(grafana.url), MOCK_URL=f"http://127.0.0.1:{mock.port}")
        assert status == 0, told
        assert "5 passed" in told
        assert json.loads(mock.get("/api/v1/scenario"))["scenario"] == "normal"
        grafana.is_bad_day = lambda: False
    assert sorted(path.name for path in (tmp_path / "screenshots/system").iterdir()) == [
        "gpu-usage.dark.desktop.failure.png",
        "gpu-usage.dark.desktop.png",
        "gpu-usage.dark.phone.png",
        "gpu-usage.light.desktop.png",
        "gpu-usage.light.phone.png",
    ]


def test_a_fault_fails_with_the_names_of_dashboard_and_panel(folder: Path, grafana: StandIn) -> None:
    grafana.kinds = {"Power": "empty"}
    status, told = run(folder, "-k", "phone and light", **signed_in(grafana.url))
    assert status == 1
    assert re.search(r"gpu-usage, light, phone:\nE +Power \(panel-5\) says: No data", told), told


def test_without_a_grafana_it_is_skipped_by_name(folder: Path) -> None:
    status, told = run(folder)
    assert status == 0, told
    assert "2 skipped" in told
    assert told.count("no Grafana to look at: GRAFANA_URL names none") == 2


def test_a_grafana_that_does_not_answer_is_a_failure(folder: Path) -> None:
    status, told = run(folder, "-k", "phone and light", **signed_in(f"http://127.0.0.1:{free_port()}"))
    assert status == 1
    assert "does not answer" in told
    assert PASSWORD not in told


def test_without_a_mock_the_bad_day_is_skipped_by_name(folder: Path, grafana: StandIn) -> None:
    status, told = run(folder, "-k", "bad_day", **signed_in(grafana.url))
    assert status == 0, told
    assert "1 skipped" in told
    assert "no simulation to play a bad day: MOCK_URL names none" in told


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"GRAFANA_URL": "grafana:3000"}, "GRAFANA_URL is 'grafana:3000'; it must begin with http:// or https://"),
        ({"GRAFANA_PASSWORD_FILE": "/nowhere/at/all"}, "GRAFANA_PASSWORD_FILE: "),
    ],
)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], told: str) -> None:
    for name, text in {**signed_in("http://127.0.0.1:1"), "GRAFANA_PASSWORD_FILE": "", **environment}.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(GrafanaError, match=re.escape(told)):
        from_environment()


def test_a_password_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    for name, text in {"GRAFANA_URL": "http://grafana:3000/", "GRAFANA_USER": "", "GRAFANA_PASSWORD": ""}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("GRAFANA_PASSWORD_FILE", str(tmp_path / "password"))
    assert from_environment() == Grafana("http://grafana:3000", "admin", PASSWORD)


def test_panels_that_may_be_empty_are_there_and_have_reasons() -> None:
    found = {one.uid: {panel.title for panel in one.panels} for one in dashboards.everyone()}
    listed = yaml.safe_load(dashboards.MAY_BE_EMPTY.read_text())
    for uid, panels in listed.items():
        assert set(panels) <= found[uid], uid
        assert all(reason.strip() for reason in panels.values()), uid
