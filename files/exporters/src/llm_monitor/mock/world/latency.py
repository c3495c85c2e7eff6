"""Histograms of latencies, filled so that they always add up."""

import numpy as np

from llm_monitor.mock.world.state import Counts, Floats

# The buckets of vLLM 0.32 (recorded), without the last one (+Inf).
FIRST_TOKEN = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
TOKEN = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
)  # fmt: skip
REQUEST = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
)  # fmt: skip

# Of the log-logistic distribution: the 95th percentile is 2.7 times the median.
_SHAPE = 3.0
_LEAST = 1e-9


class Buckets:
    """The buckets of one kind of histogram.

    Attributes:
        bounds: Their upper bounds, without the last one (+Inf).
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Count up to each of `bounds`."""
        self.bounds = bounds
        upper = np.array(bounds)
        lower = np.concatenate([[0.0], upper[:-1]])
        # What one observation adds to the sum: the middle of its bucket, so that sum and counts
        # agree whatever is asked for.
        self._typical = np.append((lower + upper) / 2, 1.5 * upper[-1])
        self._upper = upper

    def empty(self, *shape: int) -> Counts:
        """Return histograms without observations, one for each place of `shape`."""
        return np.zeros((*shape, len(self.bounds) + 1), np.int64)

    def observe(self, counts: Counts, number: Counts, median: Floats, dither: Floats) -> Counts:
        """Return `counts` after so many more observations around a median, in seconds.

        Args:
            counts: Observations in each bucket, the last axis that of the buckets.
            number: How many observations are added to each histogram.
            median: Their medians.
            dither: Chance from 0 to 1 for each histogram: a few observations reach the distant
                buckets as often as many would.
        """
        ratio = np.maximum(median, _LEAST)[..., None] / self._upper
        whole = number[..., None]
        below = np.floor(whole / (1.0 + ratio**_SHAPE) + dither[..., None])
        upto = np.minimum(below, whole).astype(np.int64)
        after = counts.copy()
        after[..., :-1] += upto
        after[..., 1:] -= upto
        after[..., -1] += number
        return after

    def quantile(self, counts: Counts, share: float) -> float | None:
        """Return below what that share of one histogram's observations lies, None without any.

        Within a bucket they are taken to lie evenly, as Prometheus does.
        """
        below = np.cumsum(counts)
        if not below[-1]:
            return None
        wanted = share * below[-1]
        place = int(np.searchsorted(below, wanted))
        if place == len(self.bounds):
            return self.bounds[-1]
        lower = self.bounds[place - 1] if place else 0.0
        before = below[place] - counts[place]
        within = (wanted - before) / max(1, counts[place])
        return float(lower + (self.bounds[place] - lower) * within)

    def total(self, counts: Counts) -> Floats:
        """Return the sums of the observations in `counts`, in seconds."""
        total: Floats = counts @ self._typical
        return total
