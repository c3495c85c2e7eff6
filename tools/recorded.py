"""What recording rules would have recorded of samples that Prometheus got afterwards, as a backfill of OpenMetrics.

promtool has a backfill of rules too, but it makes a block for every rule and two hours: tens of thousands in a month.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Rule = dict[str, Any]
Series = dict[str, Any]

# The fewest samples with which rules work: rate(…[5m]), which most of them use, wants two within its five minutes.
STEP = 150
# Prometheus answers 11,000 points a series at once.
MOST_POINTS = 10_000


class RefusedError(Exception):
    """Why Prometheus does not answer a query."""


def levels(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    """Give rules in such an order that each comes after those that it builds on, but itself.

    Raises:
        ValueError: When rules build on each other.
    """
    left = list(rules)
    while left:
        missing = {rule["record"] for rule in left}
        level = [rule for rule in left if not any(_asks(rule, name) for name in missing - {rule["record"]})]
        if not level:
            message = f"rules build on each other: {', '.join(sorted(missing))}"
            raise ValueError(message)
        yield level
        left = [rule for rule in left if rule not in level]


def openmetrics(level: Sequence[Rule], ask: Callable[[str], Sequence[Series]]) -> Iterator[str]:
    """Give what rules record, line by line.

    Args:
        level: Rules that do not build on each other.
        ask: Returns what an expression gives over the time that is asked for.
    """
    for name in sorted({rule["record"] for rule in level}):
        yield f"# TYPE {name} gauge\n"
        for rule in level:
            if rule["record"] == name:
                yield from _lines(rule, ask(rule["expr"]))
    yield "# EOF\n"


def values(url: str, expression: str, begin: int, end: int) -> list[Series]:
    """Return what an expression gives at each step from one Unix time to another, both included.

    Args:
        url: Prometheus' address.
        expression: What it is asked.
        begin: The first step.
        end: No step is after it.

    Raises:
        RefusedError: When Prometheus refuses the expression.
        OSError: When it can't be reached.
    """
    whole: dict[frozenset[tuple[str, str]], Series] = {}
    for first in range(begin, end + 1, MOST_POINTS * STEP):
        last = min(first + (MOST_POINTS - 1) * STEP, end)
        data = urllib.parse.urlencode({"query": expression, "start": first, "end": last, "step": STEP}).encode()
        try:
            with urllib.request.urlopen(f"{url}/api/v1/query_range", data, timeout=1800) as answer:
                part = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise RefusedError(f"{expression}: {error.read().decode()}") from error
        for one in part:
            known = whole.setdefault(frozenset(one["metric"].items()), {"metric": one["metric"], "values": []})
            known["values"] += one["values"]
    return list(whole.values())


def _asks(rule: Rule, name: str) -> bool:
    """Tell whether a rule asks for a series by its name, or by a pattern that its name has."""
    patterns = re.findall(r"""__name__\s*=~\s*["']([^"']*)""", rule["expr"])
    return name in re.findall(r"[\w:]+", rule["expr"]) or any(re.fullmatch(pattern, name) for pattern in patterns)


def _lines(rule: Rule, found: Sequence[Series]) -> Iterator[str]:
    for one in found:
        labels = {name: value for name, value in one["metric"].items() if name != "__name__"} | rule.get("labels", {})
        text = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
        for moment, value in one["values"]:
            yield f"{rule['record']}{{{text}}} {value} {moment}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
