"""Sums over label sets of LiteLLM's that come and go, which nevertheless never fall."""

from collections.abc import Iterable
from typing import NamedTuple

from llm_monitor.base.metrics.family import Family, Histogram, LabelValues, Value

Key = tuple[Family, LabelValues]


class Part(NamedTuple):
    """What one label set of LiteLLM's has counted.

    Attributes:
        key: What it is a part of.
        series: A number that no other label set has.
        value: The count.
    """

    key: Key
    series: int
    value: Value


class Totals:
    """Adds up counters and histograms.

    LiteLLM can be told to forget label sets that were idle for a while (of users, say). Their sum
    would fall, which Prometheus would read as a restart, so what a forgotten one had counted is
    held. Each is looked at by itself: what the others count meanwhile would make up for it, and be
    lost. With LiteLLM's restart, all of it is forgotten, and the sums start anew.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._started: float | None = None
        self._held: dict[Key, Value] = {}
        self._last: dict[tuple[Key, int], Value] = {}

    def settle(self, started: float | None, parts: Iterable[Part]) -> dict[Key, Value]:
        """Return the sums of `parts` by their keys, those of all earlier keys among them.

        Args:
            started: When LiteLLM's process started. None when there are several: they never
                forget, so a sum that falls then tells of a restart.
            parts: What is to be added up.
        """
        if started is None or started != self._started:
            self._held.clear()
            self._last.clear()
        self._started = started
        now: dict[tuple[Key, int], Value] = {}
        sums: dict[Key, Value] = {}
        for key, series, value in parts:
            last = self._last.pop((key, series), value)
            if _count(value) < _count(last):
                # It was forgotten, and has come back.
                _add(self._held, key, last)
            now[key, series] = value
            _add(sums, key, value)
        for (key, _), value in self._last.items():
            _add(self._held, key, value)
        self._last = now
        for key, value in self._held.items():
            _add(sums, key, value)
        return sums


def _count(value: Value) -> float:
    return value.counts[-1] if isinstance(value, Histogram) else value


def _add(sums: dict[Key, Value], key: Key, value: Value) -> None:
    """Add `value` to what `sums` has; a histogram of other buckets is left out."""
    known = sums.get(key)
    if known is None:
        sums[key] = value
    elif not isinstance(known, Histogram) and not isinstance(value, Histogram):
        sums[key] = known + value
    elif (
        isinstance(known, Histogram)
        and isinstance(value, Histogram)
        and known.bounds == value.bounds
    ):
        counts = tuple(a + b for a, b in zip(known.counts, value.counts, strict=True))
        sums[key] = Histogram(known.bounds, counts, known.sum + value.sum)
