"""Every alert fires when the simulated server lives through what it is about, judged by a real Prometheus' engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmops.monitoring.tests.scenarios.conftest import MakeCourt
from ansible_collections.llmops.monitoring.tests.scenarios.court import Court, UnfairError
from ansible_collections.llmops.monitoring.tests.scenarios.table import FIRES, LEFT_OUT, TABLE, caused_by, pairs
from ansible_collections.llmops.monitoring.tests.scenarios.tape import LIBRARY, Run, families, library, record

RULES = Path(__file__).parents[1] / "rules"
# What takes days to tell is in test_days.py.
SCENARIOS = sorted(set(FIRES.values()) - {"bad_day"})


def run_of(scenario: str) -> Run:
    minutes = TABLE["minutes"].get(scenario, TABLE["usual_minutes"])
    # Some alerts want to see their condition within a minute, and none of these in hours.
    return Run(scenario, minutes, 30 if minutes <= 60 else 60)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_makes_its_alerts_fire(court: Court, scenario: str) -> None:
    run = run_of(scenario)
    firing = court.firing(run)
    wanted = caused_by(scenario)
    print(f"{scenario} also fires {sorted(firing - wanted)}")
    assert wanted <= firing


@pytest.mark.parametrize("scenario", TABLE["days"])
def test_a_day_makes_nothing_fire_but_what_belongs_to_it(court: Court, scenario: str) -> None:
    day = TABLE["days"][scenario]
    assert court.firing(Run(scenario, day["minutes"], day["step"])) == pairs(day["alerts"])


def test_every_alert_has_a_scenario_or_a_reason(court: Court) -> None:
    assert not LEFT_OUT & FIRES.keys()
    assert court.alerts == LEFT_OUT | FIRES.keys()


@pytest.mark.parametrize("name", TABLE["left_out"])
def test_what_no_scenario_makes_fire_fires_in_the_tests_of_the_rules(name: str) -> None:
    wanted = set(TABLE["left_out"][name])
    assert wanted <= {
        expected["exp_labels"]["severity"]
        for path in RULES.glob("*/*.yml")
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for test in group.get("alert_rule_test", ())
        if test["alertname"] == name
        for expected in test.get("exp_alerts") or ()
    }


def test_the_scenarios_of_these_tests_are_used() -> None:
    assert {path.stem for path in LIBRARY.iterdir()} <= set(FIRES.values())
    assert TABLE["minutes"].keys() <= set(FIRES.values())
    assert set(FIRES.values()) <= set(library().names())


def test_every_series_that_rules_name_is_on_the_tape(court: Court) -> None:
    run = Run("normal", 10)
    seen = {series.partition("{")[0] for series in record(run, court.wants)}
    named = {name for name in families() if court.wants(name)}
    assert len(named) > 60
    assert named - seen == set(TABLE["only_in_trouble"])


def test_silence_without_samples_is_no_silence(court: Court) -> None:
    run = Run("normal", 10)
    series = record(run, court.wants)
    assert court.judge(run, series) == set()
    for lack in ({}, {name: values for name, values in series.items() if 'up{job="gpu"' not in name}):
        with pytest.raises(UnfairError, match="count_over_time"):
            court.judge(run, lack)


def test_a_rule_that_can_t_be_evaluated_is_no_silence(make_court: MakeCourt, tmp_path: Path) -> None:
    court = make_court(tmp_path)
    broken = {"record": "broken", "expr": "up * on () up"}
    (tmp_path / "broken.yml").write_text(json.dumps({"groups": [{"name": "broken", "rules": [broken]}]}))
    with pytest.raises(UnfairError, match="many-to-many"):
        court.firing(Run("normal", 10))
