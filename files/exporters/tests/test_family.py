import pytest

from llm_monitor.base.errors import DeclarationError
from llm_monitor.base.metrics.family import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    SUMMARY,
    Family,
    Kind,
    check_unique,
)


@pytest.mark.parametrize(
    ("name", "kind", "labels", "unit", "problem"),
    [
        ("requests", COUNTER, (), "", "end with _total"),
        ("requests_total", GAUGE, (), "", "end with _total"),
        ("power_milliwatts", GAUGE, (), "watts", "must end with its unit"),
        ("power_watts", GAUGE, (), "", "unit that is not declared"),
        ("cpu_percent", GAUGE, (), "", "not a base unit"),
        ("Power", GAUGE, (), "", "lower case"),
        ("queue", GAUGE, ("job",), "", "belongs to Prometheus"),
        ("latency_seconds", HISTOGRAM, ("le",), "seconds", "belongs to Prometheus"),
        ("latency_seconds", GAUGE, ("quantile",), "seconds", "belongs to Prometheus"),
        ("latency_seconds", SUMMARY, ("model",), "seconds", "has the label quantile"),
        ("latency_seconds", SUMMARY, ("quantile", "le"), "seconds", "le belongs to Prometheus"),
        ("queue", GAUGE, ("Kind",), "", "label names"),
        ("queue", GAUGE, ("kind", "kind"), "", "named twice"),
    ],
)
def test_a_declaration_against_the_rules_is_refused(
    name: str, kind: Kind, labels: tuple[str, ...], unit: str, problem: str
) -> None:
    with pytest.raises(DeclarationError, match=problem):
        Family(name, kind, "Help.", labels=labels, unit=unit)


@pytest.mark.parametrize("text", ["", "two\nlines"])
def test_the_help_is_one_line(text: str) -> None:
    with pytest.raises(DeclarationError, match="one line"):
        Family("queue", GAUGE, text)


def test_two_families_of_one_openmetrics_name_are_refused() -> None:
    families = [Family("queue_total", COUNTER, "Help."), Family("queue", GAUGE, "Help.")]
    with pytest.raises(DeclarationError, match="declared twice"):
        check_unique(families)


def test_a_family_makes_samples() -> None:
    family = Family("queue", GAUGE, "Help.", labels=("kind",))
    assert family(3, "fast") == (family, ("fast",), 3)


def test_only_counters_and_histograms_are_added_up() -> None:
    kinds = {COUNTER: "a_total", GAUGE: "a", HISTOGRAM: "a", SUMMARY: "a"}
    labels = {SUMMARY: ("quantile",)}
    families = [Family(n, k, "Help.", labels.get(k, ("kind",))) for k, n in kinds.items()]
    assert [one.kind for one in families if one.folds] == [COUNTER, HISTOGRAM]
