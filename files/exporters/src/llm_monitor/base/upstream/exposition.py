"""Reads what others expose in Prometheus' text format: the series that are wanted, no others."""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from types import MappingProxyType
from typing import NamedTuple

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.metrics.family import Histogram
from llm_monitor.base.upstream.errors import Reason, UpstreamError

TEXT_FORMAT = "text/plain;version=0.0.4"
MOST_SERIES = 100_000

_LONGEST_LINE = 16 << 10
_LINES_A_LOOK = 1024
_NEVER = Deadline(math.inf)
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 512
# What it has matched it never takes back, but for the brace at the end of the labels: whatever the
# text, its time grows with the text's length and no faster.
_SAMPLE = re.compile(
    r"[ \t]*+([A-Za-z_:][A-Za-z0-9_:]*+|(?=\{))(?:[ \t]*+(\{.*\})[ \t]*+|[ \t]++)"
    r"([-+]?+(?:\.?+[0-9][0-9.eE+-]*+|[nN]a[nN]|[iI]nf(?:inity)?+))"
    r"(?:[ \t]++-?+[0-9]++)?+[ \t]*+\r?+"
)
_LABEL = re.compile(
    r'[ \t]*+([A-Za-z_][A-Za-z0-9_]*+)[ \t]*+=[ \t]*+"((?:[^"\\]|\\.)*+)"[ \t]*+(?:,[ \t]*+|(?=\}))'
)
_ESCAPE = re.compile(r'\\[\\"n]')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_NAME = "__name__"
_PARTS = ("_bucket", "_sum", "_count")

Labels = Mapping[str, str]
Pairs = frozenset[tuple[str, str]]
Key = tuple[str, ...]


class Point(NamedTuple):
    """One sample.

    Attributes:
        name: Its whole name, `_total`, `_bucket`, `_sum` or `_count` included.
        labels: Its labels, `le` of a bucket included.
        value: Its value, a finite number.
    """

    name: str
    labels: Labels
    value: float


class Points(list[Point]):
    """Samples, in the order in which they were exposed.

    Attributes:
        left_out: How many of those wanted had no finite number for a value.
    """

    left_out: int = 0


def histogram_names(*families: str) -> list[str]:
    """Return the names of the samples of the histograms `families`."""
    return [f"{family}{part}" for family in families for part in _PARTS]


def read(
    body: bytes, wanted: Collection[str], most: int = MOST_SERIES, deadline: Deadline = _NEVER
) -> Points:
    """Return the samples of `body` whose whole names are among `wanted`.

    Args:
        body: What was exposed, in Prometheus' text format 0.0.4.
        wanted: Names of samples; a set.
        most: How many of them there may be.
        deadline: When it is given up: 8 MiB can take seconds.

    Raises:
        UpstreamError: When the body is no such text, ends within a line, has a series twice or more
            series than `most`, or is not read by `deadline`.
    """
    points = Points()
    # Of 20,000 series no two have the same hash by chance, and whole they would take most memory.
    seen: set[int] = set()
    try:
        for name, labels, value in _samples(body, wanted, most, deadline):
            remember = len(labels or "") <= _LONGEST_REMEMBERED
            pairs, mapping = (_remembered if remember else _labels)(labels or "")
            series = hash((name, pairs))
            if series in seen:
                raise UpstreamError(Reason.UNPARSABLE, f"{name} has a series twice")
            seen.add(series)
            number = float(value)
            if math.isfinite(number):
                points.append(Point(name, mapping, number))
            else:
                points.left_out += 1
    except UnicodeDecodeError:
        raise UpstreamError(Reason.ENCODING, "the metrics are no UTF-8") from None
    except ValueError:
        sentence = "a sample is not written as it should be"
        raise UpstreamError(Reason.UNPARSABLE, sentence) from None
    return points


def histograms(points: Iterable[Point], name: str, by: Sequence[str]) -> dict[Key, Histogram]:
    """Return the histogram `name` by the values of the labels `by`, summed over all others.

    Where two that are added have different buckets, the sum has those that both have. What is not
    whole (no sum, no count) or falls from one bucket to the next is left out.

    Args:
        points: Samples, in any order, others among them.
        name: The histogram's name.
        by: Names of labels; one that a sample does not have counts as empty.
    """
    parts: dict[Pairs, _Parts] = defaultdict(_Parts)
    names = {f"{name}{part}": part for part in _PARTS}
    last, current = None, _Parts()
    for sample, labels, value in points:
        if part := names.get(sample):
            own = dict(labels)
            bound = own.pop("le", "")
            # What belongs together mostly stands together, and to compare is quicker than to hash.
            if own != last:
                last, current = own, parts[frozenset(own.items())]
            current.add(part, bound, value)
    groups: dict[Key, list[_Parts]] = defaultdict(list)
    for pairs, one in parts.items():
        if one.whole():
            told = dict(pairs)
            groups[tuple(told.get(label, "") for label in by)].append(one)
    return {key: _sum(group) for key, group in groups.items()}


class _Parts:
    """What belongs to one histogram of one series."""

    __slots__ = ("broken", "buckets", "count", "sum")

    def __init__(self) -> None:
        """Have nothing yet."""
        self.broken = False
        self.buckets: dict[float, float] = {}
        self.sum: float | None = None
        self.count: float | None = None

    def add(self, part: str, bound: str, value: float) -> None:
        """Take one sample."""
        if part == "_sum":
            self.sum = value
        elif part == "_count":
            self.count = value
        else:
            try:
                upper = float(bound)
            except ValueError:
                upper = math.nan
            self.broken = self.broken or math.isnan(upper)
            self.buckets[upper] = value

    def whole(self) -> bool:
        """Return whether it is a histogram: sum, count, and buckets that do not fall."""
        counted = self.count is not None or math.inf in self.buckets
        if self.broken or self.sum is None or not counted:
            return False
        total = self.buckets.setdefault(math.inf, self.count or 0.0)
        counts = [0.0, *(self.buckets[bound] for bound in sorted(self.buckets))]
        rising = counts == sorted(counts)
        return rising and (self.count is None or total == self.count)


def _sum(group: Sequence[_Parts]) -> Histogram:
    if len(group) == 1:
        one = group[0].buckets
        bounds = sorted(one)
        return Histogram(
            tuple(bounds[:-1]), tuple([one[bound] for bound in bounds]), group[0].sum or 0.0
        )
    bounds = sorted(set.intersection(*(set(one.buckets) for one in group)))
    counts = tuple(sum(one.buckets[bound] for one in group) for bound in bounds)
    return Histogram(tuple(bounds[:-1]), counts, sum(one.sum or 0.0 for one in group))


def _samples(body: bytes, wanted: Collection[str], most: int, deadline: Deadline) -> Iterator[Key]:
    """Give name, labels and value of the samples that are wanted, as they are written.

    All others only have to look like samples.
    """
    if body and not body.endswith(b"\n"):
        raise UpstreamError(Reason.UNPARSABLE, "the metrics end within a line")
    found = 0
    # Line by line: all of them at once may take fifteen times as much memory as the body.
    for number, raw in enumerate(BytesIO(body)):
        if not number % _LINES_A_LOOK and not deadline.remaining():
            raise UpstreamError(Reason.TIMEOUT, "no time is left to read all of the metrics")
        line = raw.decode().rstrip("\n")
        if not line or line[0] == "#" or line.isspace():
            continue
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            raise UpstreamError(Reason.UNPARSABLE, "a line is neither a sample nor a comment")
        if sample[1] in wanted:
            found += 1
            if found > most:
                raise UpstreamError(Reason.TOO_LARGE, f"more than {most} series")
            if len(line) > _LONGEST_LINE:
                raise UpstreamError(Reason.UNPARSABLE, "a series has labels without end")
            yield sample.groups()


def _labels(text: str) -> tuple[Pairs, Labels]:
    """Return the labels in `text`, braces and all, once as what a set can hold.

    Prometheus' own parser takes ten times as long, and on some texts for each label as long as the
    whole line.

    Raises:
        ValueError: When they are not written as they should be.
    """
    labels: dict[str, str] = {}
    place, end = 1, len(text) - 1
    while place < end:
        found = _LABEL.match(text, place)
        if found is None or found[1] in labels or found[1] == _NAME:
            raise ValueError(text)
        value = found[2]
        if "\\" in value:
            value = _ESCAPE.sub(lambda escape: _ESCAPED[escape[0]], value)
        labels[found[1]] = value
        place = found.end()
    return frozenset(labels.items()), MappingProxyType(labels)


# They are the same in each scrape, and parsing them takes most of its time.
_remembered = lru_cache(maxsize=_REMEMBERED)(_labels)
