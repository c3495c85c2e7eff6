"""The rules, rendered as a rollout renders them and judged by promtool."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmops.monitoring.docs.build import alerts

TESTS = Path(__file__).parent
TEST_FILES = sorted(str(path.relative_to(TESTS)) for path in TESTS.glob("*/*.yml"))
JUST_BELOW: list[dict[str, dict[str, Any]]] = yaml.safe_load((TESTS / "just_below.yml").read_text(encoding="utf-8"))
INVENTORY: dict[str, Any] = yaml.safe_load((TESTS / "inventory.yml").read_text(encoding="utf-8"))
CATALOGUE = alerts.catalogue()

# Parameters that other alerts read too: what one leaves out is the other's.
SHARED = {("GpuXidHardware", "xids"): {"GpuXidApplication"}}

Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Rendered:
    """Rules in a folder of their own, and promtool over them."""

    promtool: str
    folder: Path

    def check(self) -> subprocess.CompletedProcess[str]:
        """Check the rules' syntax, with two equal rules as an error."""
        return self._run("check", "rules", "--lint-fatal", *(str(path) for path in sorted(self.folder.glob("*.yml"))))

    def test(self, test_file: str) -> subprocess.CompletedProcess[str]:
        """Run one file of tests over the rules; they name their rule files by bare names."""
        copy = self.folder / f"test_{Path(test_file).name}"
        shutil.copy(TESTS / test_file, copy)
        return self._run("test", "rules", str(copy))

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.promtool, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )


@pytest.fixture(scope="session")
def promtool() -> str:
    """Return the promtool that LLM_MONITOR_TOOLS or else PATH has."""
    found = shutil.which("promtool", path=os.environ.get("LLM_MONITOR_TOOLS") or None)
    if found is None:
        pytest.fail("There is no promtool: put it on PATH, or name its folder in LLM_MONITOR_TOOLS.")
    return found


@pytest.fixture
def rendered(promtool: str, tmp_path: Path) -> Callable[..., Rendered]:
    """Return a function that renders all rules with changes to alerts and other variables."""

    def render(changes: Changes | None = None, **variables: Any) -> Rendered:
        values = alerts.variables(**{"prometheus_alerts": changes or {}, **INVENTORY, **variables})
        for template in alerts.TEMPLATES.glob("*.j2"):
            (tmp_path / template.stem).write_text(alerts.render(template, values), encoding="utf-8")
        return Rendered(promtool, tmp_path)

    return render


def rules(changes: Changes) -> list[dict[str, Any]]:
    values = alerts.variables(prometheus_alerts=changes)
    return [rule for kind in alerts.SECTIONS for rule in alerts.rules(f"{kind}_alerts", values)]


@functools.cache
def default_rules() -> list[dict[str, Any]]:
    return rules({})


def other(value: Any) -> Any:
    """Return a value of the same kind that differs from a parameter's default."""
    if isinstance(value, int | float):
        return value / 2 + 0.3
    return {"": "/media/.+", "0m": "1m", "critical": "warning", "warning": "info", "none": "info"}.get(value, "7m")


def everything_changed() -> Changes:
    return {name: {key: other(value) for key, value in defaults.items()} for name, defaults in CATALOGUE.items()}


@pytest.mark.parametrize("test_file", TEST_FILES)
def test_alerts_fire_stay_quiet_and_resolve(rendered: Callable[..., Rendered], test_file: str) -> None:
    result = rendered().test(test_file)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("change", JUST_BELOW, ids=json.dumps)
def test_quiet_tests_are_just_below_the_limit(rendered: Callable[..., Rendered], change: Changes) -> None:
    (name,) = change
    looser = rendered(change)
    files = [file for file in TEST_FILES if f"name: {name} stays quiet" in (TESTS / file).read_text(encoding="utf-8")]
    said = "".join(looser.test(file).stdout for file in files)
    assert f"name: {name} stays quiet" in said, f"no quiet test of {name} fails: {said}"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="defaults"),
        pytest.param(everything_changed(), id="every parameter changed"),
        pytest.param({name: {"enabled": False} for name in CATALOGUE}, id="all disabled"),
    ],
)
def test_rules_are_valid(rendered: Callable[..., Rendered], changes: Changes) -> None:
    result = rendered(changes).check()
    assert result.returncode == 0, result.stdout


def test_rules_are_valid_with_other_settings_of_prometheus(rendered: Callable[..., Rendered]) -> None:
    changed = rendered(
        prometheus_runbook_url_base="https://wiki.example.com/alerts?page=",
        prometheus_scrape_interval="1m",
        prometheus_scrape_timeout="1m30s",
        prometheus_series_budget=250000,
        prometheus_retention_size="1TB",
        prometheus_retention_time="1y",
    )
    result = changed.check()
    assert result.returncode == 0, result.stdout
    written = (changed.folder / "stack_alerts.yml").read_text(encoding="utf-8")
    assert "scrape_duration_seconds > 0.8 * 90" in written
    assert "prometheus_tsdb_head_series / 250000" in written
    assert "https://wiki.example.com/alerts?page=/Watchdog.md" in written


@pytest.mark.parametrize(("name", "parameter"), [(name, key) for name, keys in CATALOGUE.items() for key in keys])
def test_every_parameter_changes_its_alert_and_no_other(name: str, parameter: str) -> None:
    before, after = default_rules(), rules({name: {parameter: other(CATALOGUE[name][parameter])}})
    changed = {rule["alert"] for rule, other_rule in zip(before, after, strict=True) if rule != other_rule}
    assert changed == {name, *SHARED.get((name, parameter), ())}


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_alert_that_is_disabled_is_left_out_and_no_other(name: str) -> None:
    assert rules({name: {"enabled": False}}) == [rule for rule in default_rules() if rule["alert"] != name]


@pytest.mark.parametrize(
    ("target", "takes_lines"), [("all", True), ("write", True), ("read", False), ("backend", False)]
)
def test_a_part_of_loki_that_takes_no_lines_need_not_count_any(
    rendered: Callable[..., Rendered], target: str, takes_lines: bool
) -> None:
    said = rendered(loki_target=target).test("stack/logs.yml")
    assert (said.returncode == 0) is takes_lines, said.stdout
    assert ("name: LogIngestStopped" in said.stdout) is not takes_lines
    assert "name: LogShipperDropping" not in said.stdout


def test_mount_points_are_left_out_by_a_regular_expression(rendered: Callable[..., Rendered]) -> None:
    names = [name for name, keys in CATALOGUE.items() if "ignored_mountpoints" in keys]
    written = rendered({name: {"ignored_mountpoints": r"/mnt/\d+|/data"} for name in names})
    assert written.check().returncode == 0
    said = written.test("system/disk.yml").stdout
    assert "DiskLow fires" not in said
    trend = written.test("system/disk_trend.yml").stdout
    assert "DiskFillsIn24h fires" in trend
    assert "DiskFillsIn4h fires" in trend
