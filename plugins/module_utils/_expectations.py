# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is expected of a Prometheus, held against what it says; each difference is one line for the operator.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils._prometheus import Rule, Sample, Target

_SHOWN = 5
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"\s*(==|!=|>=|<=|>|<)\s*([+-]?(?:Inf|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+))\s*")
_HINTS = (
    ("connection refused", "nothing listens there: see whether the exporter runs, and on which address and port"),
    ("no such host", "the name does not resolve where Prometheus runs"),
    ("server misbehaving", "the name does not resolve where Prometheus runs"),
    ("deadline exceeded", "the exporter is too slow or a firewall swallows the request"),
    ("timeout", "the exporter is too slow or a firewall swallows the request"),
    ("no route to host", "the host is off, or a firewall or a missing route stands between"),
    ("network is unreachable", "Prometheus' host or container has no way to that network"),
    ("status 401", "the exporter wants other credentials than the scrape job sends"),
    ("status 403", "the exporter wants other credentials than the scrape job sends"),
    ("status 404", "the exporter serves its metrics under another path"),
    ("http response to https client", "the exporter speaks http, the scrape job https"),
    ("x509", "the exporter's certificate is not trusted by the scrape job"),
    ("unable to read", "Prometheus can't read a file that the scrape job names, such as its token"),
)


def target_problems(
    targets: Sequence[Target],
    expected: Iterable[Mapping[str, Any]],
    unwanted: Iterable[Mapping[str, Any]],
    all_up: bool,
) -> list[str]:
    """Return what is not as expected of the targets: those that must be up, those that must not be there."""
    problems: list[str] = []
    for wanted in expected:
        found = [target for target in targets if _fits(target, wanted)]
        if not found:
            problems.append(f"target {_words(wanted)}: expected up, found none. {_what_there_is(targets, wanted)}")
        problems.extend(_not_up(target) for target in found if target.health != "up")
    for wanted in unwanted:
        problems.extend(
            f"target {target}: expected none, found {target.health} at {target.scrape_url}. "
            "Hint: see in which file of the service discovery it still stands."
            for target in targets
            if _fits(target, wanted)
        )
    if all_up:
        if not targets:
            problems.append("targets: expected at least one, found none. Hint: the scrape configuration names none.")
        problems.extend(_not_up(target) for target in targets if target.health != "up")
    return list(dict.fromkeys(problems))


def _fits(target: Target, wanted: Mapping[str, Any]) -> bool:
    return wanted.get("job") in (None, target.job) and wanted.get("instance") in (None, target.instance)


def _words(wanted: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={wanted[name]}" for name in ("job", "instance") if wanted.get(name) is not None)


def _what_there_is(targets: Sequence[Target], wanted: Mapping[str, Any]) -> str:
    instances = [target.instance for target in targets if target.job == wanted.get("job")]
    if instances:
        return f"Hint: the job has {_listed(instances)}."
    jobs = [target.job for target in targets]
    return f"Hint: the jobs with targets are {_listed(jobs)}." if jobs else "Hint: there is no target at all."


def _not_up(target: Target) -> str:
    if target.health == "unknown":
        return f"target {target}: expected up, found not scraped yet. Hint: wait for longer than the scrape interval."
    hint = next((f" Hint: {words}." for sign, words in _HINTS if sign in target.last_error.lower()), "")
    error = target.last_error
    where = "" if target.scrape_url in error else f"{target.scrape_url}: "
    return f"target {target}: expected up, found {target.health}. {where}{error}.{hint}"


def rule_problems(rules: Sequence[Rule], expected: Iterable[str], all_ok: bool) -> list[str]:
    """Return what is not as expected of the rules: names of groups, alerts or records, and whether all are healthy."""
    problems = []
    groups = [rule.group for rule in rules]
    judged = list(rules) if all_ok else []
    for name in expected:
        found = [rule for rule in rules if name in (rule.group, rule.name)]
        judged.extend(found)
        if not found:
            there = f"the groups are {_listed(groups)}" if groups else "no rule is loaded"
            problems.append(
                f"rule or group {name}: expected loaded, found none. Hint: {there}; a file that does not load keeps "
                "Prometheus on its former rules, and its log says why."
            )
    problems.extend(_not_ok(rule) for rule in judged if rule.health != "ok")
    if all_ok and not rules:
        problems.append("rules: expected at least one, found none. Hint: the configuration's rule_files match no file.")
    return list(dict.fromkeys(problems))


def _not_ok(rule: Rule) -> str:
    where = f"rule {rule.name} of group {rule.group} in {rule.file}"
    if rule.health == "unknown":
        return f"{where}: expected ok, found not evaluated yet. Hint: wait for longer than the evaluation interval."
    return f"{where}: expected ok, found {rule.health}: {rule.last_error}."


def expectation(text: str) -> Callable[[Sequence[Sample]], bool]:
    """Return the test that `non_empty`, `empty` or a comparison such as `>= 3` stands for.

    A comparison must hold for the value of every series, and there must be one; NaN fulfils none.
    Raises ValueError, with what is allowed, for any other text.
    """
    if text == "non_empty":
        return bool
    if text == "empty":
        return operator.not_
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is no expectation; it must be non_empty, empty, or one of == != >= <= > < and a number"
        )
    compare, wanted = _OPERATORS[match[1]], float(match[2])
    return lambda samples: bool(samples) and all(_compares(sample, compare, wanted) for sample in samples)


def _compares(sample: Sample, compare: Callable[[float, float], bool], wanted: float) -> bool:
    value = float(sample.value)
    return not math.isnan(value) and compare(value, wanted)


def assertion_problem(assertion: Mapping[str, Any], samples: Sequence[Sample]) -> str | None:
    """Return what is not as an assertion (`name`, `expr`, `expect`) expects, or None."""
    holds = expectation(assertion["expect"])
    if holds(samples):
        return None
    off = [sample for sample in samples if assertion["expect"] in ("empty", "non_empty") or not holds([sample])]
    shown = "; ".join(str(sample) for sample in off[:_SHOWN])
    more = f" and {len(off) - _SHOWN} more" if len(off) > _SHOWN else ""
    found = f"{len(off)} of {len(samples)} series off: {shown}{more}" if off else "no series"
    return f"{assertion['name']}: expected {assertion['expect']}, found {found}. Query: {assertion['expr']}"


def _listed(names: Iterable[str]) -> str:
    different = sorted(set(names))
    more = f" and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
    return ", ".join(different[:_SHOWN]) + more
