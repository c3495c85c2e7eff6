"""What is expected of a Prometheus, and the line that an operator reads when it is not so."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._expectations import (
    assertion_problem,
    expectation,
    rule_problems,
    target_problems,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._prometheus import Rule, Sample, Target


def target(job: str, instance: str, health: str = "up", error: str = "") -> Target:
    return Target(job, instance, health, error, f"http://{instance}:9100/metrics")


def rule(name: str, group: str = "node", health: str = "ok", error: str = "") -> Rule:
    return Rule(name, group, "/etc/rules.yml", "alerting", health, error)


UP = [target("node", "gpu01"), target("node", "gpu02"), target("prometheus", "mon01")]
DOWN = target("node", "gpu01", "down", "connection reset by peer")


@pytest.mark.parametrize(
    ("targets", "expected", "problems"),
    [
        (UP, [{"job": "node"}, {"job": "node", "instance": "gpu02"}, {"job": "prometheus", "instance": None}], []),
        ([], [], []),
        (
            UP,
            [{"job": "gpu"}],
            ["target job=gpu: expected up, found none. Hint: the jobs with targets are node, prometheus."],
        ),
        (
            UP,
            [{"job": "node", "instance": "gpu09"}],
            ["target job=node instance=gpu09: expected up, found none. Hint: the job has gpu01, gpu02."],
        ),
        ([], [{"job": "node"}], ["target job=node: expected up, found none. Hint: there is no target at all."]),
        (
            [DOWN, target("node", "gpu02")],
            [{"job": "node"}, {"job": "node", "instance": "gpu01"}],
            [
                "target job=node instance=gpu01: expected up, found down. "
                "http://gpu01:9100/metrics: connection reset by peer."
            ],
        ),
        (
            [target("node", "gpu01", "unknown")],
            [{"job": "node"}],
            [
                "target job=node instance=gpu01: expected up, found not scraped yet. "
                "Hint: wait for longer than the scrape interval."
            ],
        ),
    ],
)
def test_expected_targets_are_there_and_up(targets: Any, expected: Any, problems: list[str]) -> None:
    assert target_problems(targets, expected, [], all_up=False) == problems


@pytest.mark.parametrize(
    ("targets", "lines"),
    [(UP, 0), ([DOWN, *UP[1:]], 1), ([DOWN, target("node", "gpu02", "unknown")], 2), ([], 1)],
)
def test_all_targets_are_up(targets: Any, lines: int) -> None:
    assert len(target_problems(targets, [], [], all_up=True)) == lines


def test_a_target_that_is_expected_in_two_ways_is_told_once() -> None:
    assert len(target_problems([DOWN], [{"job": "node"}], [], all_up=True)) == 1


@pytest.mark.parametrize(
    ("unwanted", "found"),
    [
        ({"instance": "gpu01"}, ["gpu01"]),
        ({"job": "node", "instance": None}, ["gpu01", "gpu02"]),
        ({"job": "node", "instance": "mon01"}, []),
    ],
)
def test_unwanted_targets_are_told(unwanted: Any, found: list[str]) -> None:
    problems = target_problems(UP, [], [unwanted], all_up=False)
    assert [problem.split(":")[0] for problem in problems] == [f"target job=node instance={name}" for name in found]
    assert all("expected none, found up at http://" in problem for problem in problems)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        ('Get "http://gpu01:9100/metrics": dial tcp 10.0.0.1:9100: connect: connection refused', "nothing listens"),
        ('Get "http://gpu01:9100/metrics": dial tcp: lookup gpu01: no such host', "does not resolve"),
        ('Get "http://gpu01:9100/metrics": context deadline exceeded', "too slow or a firewall"),
        ("server returned HTTP status 401 Unauthorized", "other credentials"),
        ("server returned HTTP status 404 Not Found", "another path"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "not trusted"),
        ("http: server gave HTTP response to HTTPS client", "speaks http"),
        ("unable to read authorization credentials file /run/secrets/token", "can't read a file"),
        ("connect: no route to host", "firewall"),
    ],
)
def test_the_last_scrape_error_comes_with_a_hint(error: str, hint: str) -> None:
    (problem,) = target_problems([target("node", "gpu01", "down", error)], [{"job": "node"}], [], all_up=False)
    assert error in problem
    assert hint in problem.split("Hint: ")[1]
    assert problem.count("http://gpu01:9100/metrics") == 1


@pytest.mark.parametrize(
    ("rules", "expected", "all_ok", "problems"),
    [
        ([rule("HostDown"), rule("DiskLow")], ["node", "DiskLow"], True, []),
        ([rule("HostDown", health="err")], [], False, []),
        (
            [rule("HostDown")],
            ["GpuMissing"],
            False,
            [
                "rule or group GpuMissing: expected loaded, found none. Hint: the groups are node; a file that does "
                "not load keeps Prometheus on its former rules, and its log says why."
            ],
        ),
        (
            [rule("HostDown", health="err", error="found duplicate series"), rule("DiskLow")],
            ["node", "HostDown"],
            True,
            ["rule HostDown of group node in /etc/rules.yml: expected ok, found err: found duplicate series."],
        ),
        (
            [rule("HostDown", health="unknown")],
            ["HostDown"],
            False,
            [
                "rule HostDown of group node in /etc/rules.yml: expected ok, found not evaluated yet. "
                "Hint: wait for longer than the evaluation interval."
            ],
        ),
        (
            [],
            [],
            True,
            ["rules: expected at least one, found none. Hint: the configuration's rule_files match no file."],
        ),
    ],
)
def test_rules_are_loaded_and_healthy(rules: Any, expected: Any, all_ok: bool, problems: list[str]) -> None:
    assert rule_problems(rules, expected, all_ok) == problems


def samples(*values: str) -> list[Sample]:
    return [Sample({"instance": f"gpu{number:02}"}, value) for number, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("expect", "values", "holds"),
    [
        ("non_empty", ["0"], True),
        ("non_empty", [], False),
        ("empty", [], True),
        ("empty", ["0"], False),
        ("== 1", ["1", "1"], True),
        ("== 1", ["1", "0"], False),
        ("==1", ["1"], True),
        (" >= 3 ", ["3", "4.5"], True),
        (">= 3", ["2.9"], False),
        ("> 1e9", ["137438953472"], True),
        ("<= -.5", ["-0.5"], True),
        ("< +Inf", ["1"], True),
        ("< +Inf", ["+Inf"], False),
        ("!= 0", ["1"], True),
        ("!= 0", ["NaN"], False),
        ("== 0", ["NaN"], False),
        ("== 1", [], False),
        ("!= 1", [], False),
    ],
)
def test_expectations_hold_for_every_series(expect: str, values: list[str], holds: bool) -> None:
    assert expectation(expect)(samples(*values)) is holds


@pytest.mark.parametrize("text", ["", "1", "= 1", "=> 1", ">", "> one", "> NaN", "nonempty", "== 1 or 2"])
def test_what_is_no_expectation_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="is no expectation; it must be non_empty, empty, or one of == != >= <= > <"):
        expectation(text)


@pytest.mark.parametrize(
    ("expect", "values", "problem"),
    [
        ("== 1", ["1"], None),
        ("non_empty", [], "Hosts are up: expected non_empty, found no series. Query: up"),
        ("> 0", [], "Hosts are up: expected > 0, found no series. Query: up"),
        (
            "== 1",
            ["1", "0", "NaN"],
            'Hosts are up: expected == 1, found 2 of 3 series off: {instance="gpu02"} = 0; {instance="gpu03"} = NaN. '
            "Query: up",
        ),
        (
            "empty",
            ["7"],
            'Hosts are up: expected empty, found 1 of 1 series off: {instance="gpu01"} = 7. Query: up',
        ),
        (
            "== 1",
            ["0"] * 7,
            "Hosts are up: expected == 1, found 7 of 7 series off: "
            + "; ".join(f'{{instance="gpu{number:02}"}} = 0' for number in range(1, 6))
            + " and 2 more. Query: up",
        ),
    ],
)
def test_an_assertion_that_does_not_hold_shows_what_is_off(expect: str, values: list[str], problem: str | None) -> None:
    assertion = {"name": "Hosts are up", "expr": "up", "expect": expect}
    assert assertion_problem(assertion, samples(*values)) == problem


@pytest.mark.parametrize(
    ("labels", "text"),
    [({}, "1"), ({"__name__": "up"}, "up{} = 1"), ({"__name__": "up", "job": "a", "b": "c"}, 'up{b="c", job="a"} = 1')],
)
def test_a_sample_reads_as_prometheus_writes_it(labels: dict[str, str], text: str) -> None:
    assert str(Sample(labels, "1")) == text
