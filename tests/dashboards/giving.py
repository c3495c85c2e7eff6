"""What programs give of themselves, held against what dashboards ask of them."""

from __future__ import annotations

import re
import urllib.request

from ansible_collections.llmops.monitoring.tests.dashboards.metrics import ELSEWHERE


def asked_of(giver: str) -> dict[str, str]:
    """Return the metrics that dashboards ask of a program itself, with their types."""
    return {name: one["type"] for name, one in ELSEWHERE.items() if giver in one["from"] and "itself" in one["from"]}


def types(url: str) -> dict[str, str]:
    """Return the types of all families that a program gives."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def missing(asked: dict[str, str], given: dict[str, str]) -> set[str]:
    """Return what is asked for and not given, or of another type."""
    return {
        name
        for name, kind in asked.items()
        if given.get(name) != kind and given.get(name.removesuffix("_bucket")) != "histogram"
    }
