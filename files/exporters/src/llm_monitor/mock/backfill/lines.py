"""The samples of a while, series by series, as OpenMetrics has them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter

from llm_monitor.base.metrics.exposition import Series, header
from llm_monitor.base.metrics.family import HISTOGRAM, Family, Histogram, Value

Column = list[Value | None]


class Table:
    """The series of one family.

    They are kept as columns of values, because most values stay as they are: what is the same all
    the while is turned into text once.
    """

    def __init__(self, family: Family, labels: str) -> None:
        """Add `labels`, such as `job="gpu"`, to each series of `family`."""
        self._family = family
        self._labels = labels
        self._header = header(family, openmetrics=True)
        self._columns: dict[str, Column] = {}

    def add(self, place: int, series: Series) -> int:
        """Take the values at the moment with the number `place`, and return how many samples."""
        columns = self._columns
        for key, value in series.items():
            column = columns.get(key)
            if column is None:
                column = columns[key] = []
            if len(column) < place:
                column.extend([None] * (place - len(column)))
            column.append(value)
        if self._family.kind == HISTOGRAM:
            return sum(len(one.counts) + 2 for one in series.values() if isinstance(one, Histogram))
        return len(series)

    def write(self, stamps: Sequence[str]) -> Iterator[str]:
        """Give the text of all that was taken, whose moments are `stamps`, and forget it.

        Collectors may give series in any order, so that here they are sorted.
        """
        if self._columns:
            yield self._header
        for key, column in sorted(self._columns.items(), key=itemgetter(0)):
            if self._family.kind == HISTOGRAM:
                yield from self._histogram(key, column, stamps)
            else:
                yield "".join(
                    _lines(_labelled(self._family.name, key, self._labels), column, stamps)
                )
        self._columns.clear()

    def _histogram(self, pairs: str, column: Column, stamps: Sequence[str]) -> Iterator[str]:
        """Give a histogram, all of one moment together."""
        known = [
            (value, stamp)
            for value, stamp in zip(column, stamps, strict=False)
            if isinstance(value, Histogram)
        ]
        name, kept = self._family.name, [stamp for _, stamp in known]
        labels = ",".join(filter(None, (self._labels, pairs)))
        bounds = [*map(repr, map(float, known[0][0].bounds)), "+Inf"]
        counts = list(zip(*(value.counts for value, _ in known), strict=True))
        rows = [
            _lines(f'{name}_bucket{{{labels},le="{bound}"}} ', one, kept)
            for bound, one in zip(bounds, counts, strict=True)
        ]
        rows.append(_lines(f"{name}_sum{{{labels}}} ", [value.sum for value, _ in known], kept))
        rows.append(_lines(f"{name}_count{{{labels}}} ", counts[-1], kept))
        yield "".join(chain.from_iterable(zip(*rows, strict=True)))


def stamped(moments: Sequence[int]) -> list[str]:
    """Return how a line at each of `moments` ends."""
    return [f" {moment}\n" for moment in moments]


def plain(name: str, jobs: Mapping[str, Sequence[float]], labels: str, ends: Sequence[str]) -> str:
    """Return a gauge of Prometheus' own, with a value for each moment, by job."""
    lines = (_lines(f'{name}{{job="{job}",{labels}}} ', one, ends) for job, one in jobs.items())
    return f"# TYPE {name} gauge\n" + "".join(chain.from_iterable(lines))


def _lines(start: str, values: Sequence[Value | None], stamps: Sequence[str]) -> list[str]:
    """Return the lines of one series, without the moments at which it has no value."""
    first = values[0]
    if first is not None and values.count(first) == len(values):
        same = f"{start}{first!r}"
        return [same + stamp for stamp in stamps[: len(values)]]
    return [
        f"{start}{value!r}{stamp}"
        for value, stamp in zip(values, stamps, strict=False)
        if value is not None
    ]


def _labelled(name: str, key: str, labels: str) -> str:
    """Return the start of a line with `labels` before those that it has."""
    own = key[len(name) :].strip("{ ")
    return f"{name}{{{labels},{own} " if own else f"{name}{{{labels}}} "
