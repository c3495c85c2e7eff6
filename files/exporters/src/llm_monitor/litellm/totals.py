"""Sums over label sets of LiteLLM's that come and go, which nevertheless never fall."""

from collections.abc import Iterable
from typing import NamedTuple

from llm_monitor.base.metrics.family import Family, Histogram, LabelValues, Value

Key = tuple[Family, LabelValues]


class Part(NamedTuple):
    """What one label set of LiteLLM's has counted.

    Attributes:
        key: What it is a part of; None while that is nothing that is told.
        series: A number that no other label set has.
        value: The count.
    """

    key: Key | None
    series: int
    value: Value


class Totals:
    """Adds up what counters and histograms have gained since the first reading.

    LiteLLM can be told to forget label sets that were idle for a while (of users, say). What they
    had counted is known to nobody then but to this, so a sum of all that LiteLLM shows would fall
    when the exporter is started again, which Prometheus would take for a restart of LiteLLM's, and
    all that it has ever counted for spent anew. Hence each label set's gain, by itself: what others
    count meanwhile would make up for one that is forgotten.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._started = 0.0
        self._last: dict[int, Value] | None = None
        self._sums: dict[Key, Value] = {}

    def settle(self, started: float | None, parts: Iterable[Part]) -> dict[Key, Value]:
        """Return what has been gained, by key, of all keys that there have been.

        Args:
            started: When LiteLLM's process started; None when there are several.
            parts: What LiteLLM has counted.
        """
        last = self._last
        if started is not None and started > self._started:
            # An earlier start than one before tells of several LiteLLMs, not of a restart.
            self._started = started
            last = {} if last is not None else None
        now: dict[int, Value] = {}
        for key, series, value in parts:
            now[series] = value
            if key is not None:
                before = value if last is None else last.get(series)
                _add(self._sums, key, _gain(value, before))
        self._last = now
        return dict(self._sums)


def _gain(value: Value, before: Value | None) -> Value:
    """Return what was counted since `before`: all of it where that is more, or not comparable."""
    if isinstance(value, Histogram):
        if (
            not isinstance(before, Histogram)
            or before.bounds != value.bounds
            or before.counts[-1] > value.counts[-1]
        ):
            return value
        counts = tuple(max(0.0, a - b) for a, b in zip(value.counts, before.counts, strict=True))
        return Histogram(value.bounds, counts, max(0.0, value.sum - before.sum))
    if before is None or isinstance(before, Histogram) or before > value:
        return value
    return value - before


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
