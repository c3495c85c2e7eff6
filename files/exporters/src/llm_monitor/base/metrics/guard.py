"""The cardinality guard: what one exporter may expose, whatever a collector or a source gives."""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import copy

from llm_monitor.base.errors import DeclarationError
from llm_monitor.base.metrics.exposition import Series, header, sample_lines, series_key
from llm_monitor.base.metrics.family import (
    COUNTER,
    HISTOGRAM,
    Family,
    Histogram,
    LabelValues,
    Sample,
    Value,
)

OTHER = "other"

_LONGEST_LABEL = 1024
_LARGEST_INTEGER = 2**64


class Fold:
    """The sum of the series over a cap, as one counter or histogram that never falls.

    Series come and go, so their plain sum may fall, which Prometheus would read as a restart and
    turn into a rate that never was. What falls is therefore held.
    """

    __slots__ = ("_bounds", "_held", "_last", "_sum")

    def __init__(self) -> None:
        """Start with nothing summed."""
        self._bounds: tuple[float, ...] | None = None
        self._sum: Sequence[float] = ()
        self._last: Sequence[float] = ()
        self._held: Sequence[float] = ()

    def add(self, value: Value) -> bool:
        """Add `value` to the sum of this collection; False when its buckets don't match."""
        bounds = value.bounds if isinstance(value, Histogram) else ()
        parts = [*value.counts, value.sum] if isinstance(value, Histogram) else [value]
        if not self._sum and bounds != self._bounds:
            self._bounds = bounds
            self._last = self._held = ()
        if bounds != self._bounds:
            return False
        self._sum = [a + b for a, b in zip(self._sum, parts, strict=True)] if self._sum else parts
        return True

    def close(self) -> Value | None:
        """End this collection and return the sum, or None when nothing was added."""
        parts, self._sum = self._sum, ()
        if not parts:
            return None
        last = self._last or parts
        held = self._held or [0] * len(parts)
        self._held = [h + max(0, a - b) for h, a, b in zip(held, last, parts, strict=True)]
        self._last = parts
        total = [a + b for a, b in zip(parts, self._held, strict=True)]
        if self._bounds:
            return Histogram(self._bounds, tuple(total[:-1]), total[-1])
        return total[0]


class FamilyGuard:
    """One family of one exporter: its series' rendered names, its cap, and what was dropped.

    Attributes:
        family: The declaration.
        dropped: Series left out so far, one for each collection that lost it.
        rendered: The starts of series' lines that have been rendered, by the labels' values.
    """

    __slots__ = (
        "_admitted",
        "_fold",
        "_headers",
        "_other",
        "_trimmed",
        "cap",
        "dropped",
        "family",
        "rendered",
    )

    def __init__(self, family: Family, cap: int) -> None:
        """Guard `family` with at most `cap` series."""
        self.family = family
        self.cap = cap
        self.dropped = 0
        self._headers = header(family, openmetrics=False), header(family, openmetrics=True)
        self._other = series_key(family, (OTHER,) * len(family.labels))
        self.rendered: dict[LabelValues, str] = {}
        self._admitted: frozenset[LabelValues] | None = None
        self._fold = Fold()
        self._trimmed = Fold()

    def block(self, series: Series, openmetrics: bool) -> tuple[str, str]:
        """Return the header and the sample lines of `series`."""
        return self._headers[openmetrics], sample_lines(self.family, series)

    def key(self, labels: LabelValues) -> str | None:
        """Render the start of a series' line; None for label values that can't be used.

        Raises:
            DeclarationError: When the number of values is not that of the declared labels.
        """
        if len(labels) != len(self.family.labels):
            message = f"{self.family.name} has {len(self.family.labels)} labels, got {len(labels)}"
            raise DeclarationError(message)
        if not all(map(_fits, labels)):
            return None
        key = self.rendered[labels] = series_key(self.family, labels)
        return key

    def intake(self) -> "Intake":
        """Return what takes the samples of one collection."""
        if len(self.rendered) > 4 * self.cap:
            self.rendered.clear()
        return Intake(self, self._fold, self._admitted)

    def admit(self, series: Series, overflowed: bool) -> None:
        """Remember which series hold the slots, so that a counter stays where it is counted."""
        held = (labels for labels, key in self.rendered.items() if key in series)
        self._admitted = frozenset(held) if overflowed else None

    def put_other(self, series: Series, fold: Fold) -> int:
        """Put the sum in `fold` into `series` as `other`; return how many series that lost."""
        real = series.pop(self._other, None)
        lost = real is not None and not fold.add(real)
        if (total := fold.close()) is not None:
            series[self._other] = total
        return int(lost)

    def trim(self, series: Series, room: int, *, closed: bool) -> Series:
        """Return at most `room` of `series`, the rest folded or dropped: the exporter's cap.

        What is dropped is counted, and the sum remembered, when the collection is `closed`, which
        it is once. A partial answer before that only looks, so that any number of them is harmless.
        """
        if len(series) <= room:
            return series
        folds = self.family.folds and room > 0
        fold = self._trimmed if closed else copy(self._trimmed)
        kept = dict(list(series.items())[: room - folds])
        rest = (value for key, value in series.items() if key not in kept)
        lost = sum(not (folds and fold.add(value)) for value in rest)
        if folds:
            lost += self.put_other(kept, fold)
        if closed:
            self.dropped += lost
        return kept


class Intake:
    """Takes the samples that one collection gives for one family."""

    __slots__ = ("_admitted", "_fold", "_free", "_guard", "_overflowed", "_series")

    def __init__(
        self, guard: FamilyGuard, fold: Fold, admitted: frozenset[LabelValues] | None
    ) -> None:
        """Take samples for `guard`; `admitted` hold their slots since the last collection."""
        self._guard = guard
        self._fold = fold
        self._admitted = admitted or frozenset()
        self._free = guard.cap - len(self._admitted) - bool(admitted and guard.family.folds)
        self._series: Series = {}
        self._overflowed = False

    def add(self, labels: LabelValues, value: Value) -> None:
        """Take one sample; what can't be exposed is folded or counted as dropped."""
        guard = self._guard
        usable = _usable(value, guard.family)
        if usable is None:
            guard.dropped += 1
            return
        held = bool(self._admitted) and labels in self._admitted
        key = guard.rendered.get(labels)
        if key is None:
            if self._free <= 0 and not held:
                self._overflow(usable)
                return
            key = guard.key(labels)
            if key is None:
                guard.dropped += 1
                return
        if not held and key not in self._series:
            if self._free <= 0:
                self._overflow(usable)
                return
            self._free -= 1
        self._series[key] = usable

    def close(self) -> Series:
        """Return the series of this collection, `other` among them when it is needed."""
        guard = self._guard
        if self._overflowed and guard.family.folds:
            if len(self._series) >= guard.cap and not self._fold.add(self._series.popitem()[1]):
                guard.dropped += 1
            guard.dropped += guard.put_other(self._series, self._fold)
        guard.admit(self._series, self._overflowed)
        return self._series

    def _overflow(self, value: Value) -> None:
        self._overflowed = True
        if not (self._guard.family.folds and self._fold.add(value)):
            self._guard.dropped += 1


def gather(samples: Iterable[Sample], guards: Mapping[Family, FamilyGuard]) -> dict[Family, Series]:
    """Return what `samples` give, by family, within the caps.

    Raises:
        DeclarationError: When a sample's family is not one of `guards`, or its labels don't fit.
    """
    intakes: dict[Family, Intake] = {}
    for family, labels, value in samples:
        intake = intakes.get(family)
        if intake is None:
            if family not in guards:
                message = f"{family.name} is not declared by this collector"
                raise DeclarationError(message)
            intake = intakes[family] = guards[family].intake()
        intake.add(labels, value)
    return {family: intake.close() for family, intake in intakes.items()}


def _usable(value: Value, family: Family) -> Value | None:
    """Return `value` as it can be exposed; None for NaN, infinities, and counters below zero."""
    # Most are floats, and this is asked of every sample.
    if type(value) is float:
        if value - value != 0.0 or family.kind == HISTOGRAM:
            return None
        return None if value < 0.0 and family.kind == COUNTER else value
    if isinstance(value, Histogram):
        numbers = [*value.counts, value.sum]
        fits = len(value.counts) == len(value.bounds) + 1 and family.kind == HISTOGRAM
        return value if fits and all(map(math.isfinite, numbers)) else None
    if family.kind == HISTOGRAM or not isinstance(value, int) or abs(value) > _LARGEST_INTEGER:
        return None
    return None if value < 0 and family.kind == COUNTER else int(value)


def _fits(label: object) -> bool:
    return isinstance(label, str) and len(label) <= _LONGEST_LABEL
