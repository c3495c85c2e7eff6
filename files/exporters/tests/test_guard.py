import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_monitor.base.errors import DeclarationError
from llm_monitor.base.metrics.exposition import Series
from llm_monitor.base.metrics.family import COUNTER, GAUGE, HISTOGRAM, Family, Histogram
from llm_monitor.base.metrics.guard import FamilyGuard, gather

GAUGES = Family("g", GAUGE, "Help.", labels=("n",))
COUNTERS = Family("c_total", COUNTER, "Help.", labels=("n",))
ALONE = Family("d_total", COUNTER, "Help.", labels=("n",), summable=False)
HISTOGRAMS = Family("h", HISTOGRAM, "Help.", labels=("n",))
OTHER = 'c_total{n="other"} '


def collect(guard: FamilyGuard, values: dict[str, float | Histogram]) -> Series:
    family = guard.family
    samples = [(family, (label,), value) for label, value in values.items()]
    return gather(samples, {family: guard}).get(family, {})


def test_a_hundred_thousand_series_cost_two_hundred() -> None:
    guard = FamilyGuard(GAUGES, 200)
    series = collect(guard, {str(n): n for n in range(100_000)})
    assert len(series) == 200
    assert guard.dropped == 99_800


def test_counters_over_the_cap_add_up_in_other() -> None:
    guard = FamilyGuard(COUNTERS, 10)
    series = collect(guard, {str(n): 1 for n in range(1000)})
    assert len(series) == 10
    assert series[OTHER] == 991
    assert guard.dropped == 0


def test_exactly_the_cap_is_not_folded() -> None:
    series = collect(FamilyGuard(COUNTERS, 10), {str(n): 1 for n in range(10)})
    assert len(series) == 10
    assert OTHER not in series


def test_counters_that_do_not_add_up_are_dropped() -> None:
    guard = FamilyGuard(ALONE, 10)
    assert len(collect(guard, {str(n): 1 for n in range(25)})) == 10
    assert guard.dropped == 15


@given(
    st.lists(st.dictionaries(st.integers(0, 40), st.integers(1, 50)), min_size=2, max_size=8),
    st.randoms(use_true_random=False),
)
def test_other_never_falls_and_series_keep_their_place(
    growth: list[dict[int, int]], random: Random
) -> None:
    guard = FamilyGuard(COUNTERS, 8)
    totals = dict.fromkeys(range(41), 0)
    last_other = 0.0
    held: set[str] = set()
    for step in growth:
        for number, more in step.items():
            totals[number] += more
        present = list(totals)
        random.shuffle(present)
        series = collect(guard, {str(number): totals[number] for number in present})
        assert len(series) <= 8
        other = series[OTHER]
        assert isinstance(other, int)
        assert other >= last_other
        last_other = other
        named = set(series) - {OTHER}
        assert not held or named == held
        held = named


def test_other_does_not_fall_when_a_folded_series_ends() -> None:
    guard = FamilyGuard(COUNTERS, 2)
    first = collect(guard, {"a": 5, "b": 100, "c": 10})
    assert first == {'c_total{n="a"} ': 5, OTHER: 110}
    second = collect(guard, {"a": 5, "c": 11, "e": 1})
    assert second[OTHER] == 110
    third = collect(guard, {"a": 5, "c": 14, "e": 1})
    assert third[OTHER] == 113


def test_a_series_that_is_really_called_other_is_added_to_the_rest() -> None:
    series = collect(FamilyGuard(COUNTERS, 2), {"other": 3, "b": 4, "c": 5})
    assert series[OTHER] == 12


def test_histograms_fold_bucket_by_bucket() -> None:
    guard = FamilyGuard(HISTOGRAMS, 2)
    one = Histogram((0.1, 1.0), (1, 2, 3), 4.5)
    series = collect(guard, dict.fromkeys("abcd", one))
    assert series['n="other"'] == Histogram((0.1, 1.0), (3, 6, 9), 13.5)


def test_histograms_with_other_buckets_do_not_fold() -> None:
    guard = FamilyGuard(HISTOGRAMS, 1)
    collect(guard, {"a": Histogram((0.1,), (1, 1), 0), "b": Histogram((0.2,), (1, 1), 0)})
    assert guard.dropped == 1


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 10**400, "7", None, Histogram((), (1,), 1)]
)
def test_what_is_no_number_is_dropped_and_counted(value: float) -> None:
    guard = FamilyGuard(GAUGES, 10)
    assert collect(guard, {"a": value, "b": 1}) == {'g{n="b"} ': 1}
    assert guard.dropped == 1


def test_a_counter_below_zero_is_dropped() -> None:
    guard = FamilyGuard(COUNTERS, 10)
    assert collect(guard, {"a": -1, "b": -0.5}) == {}
    assert guard.dropped == 2


def test_true_is_one() -> None:
    assert repr(collect(FamilyGuard(GAUGES, 10), {"a": True})) == repr({'g{n="a"} ': 1})


@pytest.mark.parametrize("label", ["x" * 1025, 7, None])
def test_labels_that_are_no_short_text_are_dropped(label: str) -> None:
    guard = FamilyGuard(GAUGES, 10)
    assert gather([(GAUGES, (label,), 1)], {GAUGES: guard}) == {GAUGES: {}}
    assert guard.dropped == 1


def test_a_wrong_number_of_labels_is_the_collectors_fault() -> None:
    with pytest.raises(DeclarationError, match="has 1 labels, got 2"):
        gather([GAUGES(1, "a", "b")], {GAUGES: FamilyGuard(GAUGES, 10)})


def test_a_family_that_was_not_declared_is_the_collectors_fault() -> None:
    with pytest.raises(DeclarationError, match="not declared"):
        gather([GAUGES(1, "a")], {})


def test_the_exporters_cap_folds_too() -> None:
    guard = FamilyGuard(COUNTERS, 100)
    series = collect(guard, {str(n): 1 for n in range(50)})
    kept = guard.trim(series, 10, closed=True)
    assert len(kept) == 10
    assert kept[OTHER] == 41
    assert guard.trim(series, 0, closed=True) == {}
    assert guard.dropped == 50


def test_a_partial_answer_leaves_no_trace_and_lets_other_not_fall() -> None:
    guard = FamilyGuard(COUNTERS, 200)
    series = collect(guard, {str(n): 10 for n in range(100)})
    assert guard.trim(series, 90, closed=False)[OTHER] == 110
    assert guard.trim(series, 50, closed=True)[OTHER] == 510
    assert guard.trim(series, 90, closed=False)[OTHER] == 510
    assert guard.trim(series, 50, closed=True)[OTHER] == 510


@pytest.mark.parametrize("family", [GAUGES, ALONE])
def test_a_collection_counts_what_it_drops_once(family: Family) -> None:
    guard = FamilyGuard(family, 200)
    series = collect(guard, {str(n): 1 for n in range(100)})
    for _ in range(3):
        assert len(guard.trim(series, 50, closed=False)) == 50
    assert guard.dropped == 0
    guard.trim(series, 50, closed=True)
    assert guard.dropped == 50


def test_names_that_come_and_go_do_not_pile_up() -> None:
    guard = FamilyGuard(GAUGES, 10)
    for step in range(1000):
        assert len(collect(guard, {f"{step}-{n}": 1 for n in range(10)})) == 10
    known = sum((f"{step}-{n}",) in guard.rendered for step in range(1000) for n in range(10))
    assert known <= 50
