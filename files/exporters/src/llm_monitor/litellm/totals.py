"""Sums over label sets of LiteLLM's that come and go, which nevertheless never fall."""

from collections.abc import Iterable

from llm_monitor.base.metrics.family import Family, Histogram, LabelValues, Value
from llm_monitor.base.metrics.guard import Fold

Key = tuple[Family, LabelValues]


class Totals:
    """Adds up counters and histograms.

    LiteLLM can be told to forget label sets that were idle for a while (of users, say). Their sum
    would fall, which Prometheus would read as a restart, so what a forgotten one had counted is
    held. With LiteLLM's restart, all of it is forgotten, and the sums start anew.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._started: float | None = None
        self._folds: dict[Key, Fold] = {}
        self._zeros: dict[Key, Value] = {}

    def settle(self, started: float | None, parts: Iterable[tuple[Key, Value]]) -> dict[Key, Value]:
        """Return the sums of `parts` by their keys, those of all earlier keys among them.

        Args:
            started: When LiteLLM's process started. None when there are several: they never
                forget, so a sum that falls then tells of a restart.
            parts: What is to be added up.
        """
        if started is None or started != self._started:
            self._folds.clear()
            self._zeros.clear()
        self._started = started
        missing = dict(self._zeros)
        for key, value in parts:
            missing.pop(key, None)
            self._folds.setdefault(key, Fold()).add(value)
            self._zeros.setdefault(key, _zero(value))
        for key, zero in missing.items():
            self._folds[key].add(zero)
        sums = {key: fold.close() for key, fold in self._folds.items()}
        return {key: total for key, total in sums.items() if total is not None}


def _zero(value: Value) -> Value:
    if isinstance(value, Histogram):
        return Histogram(value.bounds, (0.0,) * len(value.counts), 0.0)
    return 0.0
