"""Metric families, declared as data, and the samples that collectors give for them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from llm_monitor.base.errors import DeclarationError

Kind = Literal["gauge", "counter", "histogram", "summary"]

GAUGE: Final = "gauge"
COUNTER: Final = "counter"
HISTOGRAM: Final = "histogram"
SUMMARY: Final = "summary"

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_QUANTILE = "quantile"
_RESERVED_LABELS = frozenset({"le", _QUANTILE, "instance", "job", "hostname"})
_BASE_UNITS = frozenset(
    {"seconds", "bytes", "joules", "celsius", "ratio", "hertz", "watts", "usd", "tokens"}
)
_NOT_BASE_UNITS = frozenset(
    {"percent", "milliseconds", "microseconds", "minutes", "hours", "megahertz", "mhz", "ms"}
    | {"kilobytes", "megabytes", "gigabytes", "mib", "gib", "millijoules", "bits"}
)


class Histogram(NamedTuple):
    """A histogram's value as Prometheus counts it.

    Attributes:
        bounds: Upper bounds of the buckets, rising, without the last one (+Inf).
        counts: Observations up to each bound, cumulative; one more than `bounds`.
        sum: Sum of all observations, in the family's unit.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float


Value = float | Histogram
LabelValues = tuple[str, ...]
Sample = tuple["Family", LabelValues, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A metric family; calling it with a value and its labels' values makes a sample.

    Attributes:
        name: The whole name as it is exposed, `_total` of a counter included.
        kind: gauge, counter, histogram, or summary: quantiles that a source has already worked out,
            told apart by the label `quantile`, without sum and count.
        help: One line: what it is, the call it comes from, and any caching.
        labels: Names of the labels, in the order in which samples give their values.
        unit: The base unit that the name ends with (before `_total`), or empty.
        summable: Whether series over the cap may be added up into `other`.

    Raises:
        DeclarationError: When a name, unit or help breaks the catalogue's rules.
    """

    name: str
    kind: Kind
    help: str
    labels: LabelValues = ()
    unit: str = ""
    summable: bool = True

    def __post_init__(self) -> None:
        """Check the declaration against the catalogue's rules."""
        if problem := self._problem():
            message = f"metric family {self.name!r}: {problem}"
            raise DeclarationError(message)

    def __call__(self, value: Value, *labels: str) -> Sample:
        """Return a sample of this family with `value` in the family's unit."""
        return (self, labels, value)

    @property
    def base_name(self) -> str:
        """The name that OpenMetrics gives the family: without a counter's `_total`."""
        return self.name.removesuffix("_total") if self.kind == COUNTER else self.name

    @property
    def folds(self) -> bool:
        """Whether series over the cap are added up into `other` instead of dropped."""
        return self.summable and bool(self.labels) and self.kind in {COUNTER, HISTOGRAM}

    def _problem(self) -> str:
        """Return what is wrong with the declaration, or an empty string."""
        if not _NAME.fullmatch(self.name):
            return "the name must be lower case letters, digits and underscores"
        if (self.kind == COUNTER) != self.name.endswith("_total"):
            return "counters, and only they, end with _total"
        if self.unit and not self.base_name.endswith(f"_{self.unit}"):
            return f"the name must end with its unit, {self.unit}"
        if not self.unit and self.base_name.rpartition("_")[2] in _BASE_UNITS:
            return "the name ends with a unit that is not declared"
        if wrong := _NOT_BASE_UNITS & set(self.name.split("_")):
            return f"{min(wrong)} is not a base unit"
        if not self.help or "\n" in self.help:
            return "the help must be one line"
        return self._label_problem()

    def _label_problem(self) -> str:
        """Return what is wrong with the labels, or an empty string."""
        if not all(_NAME.fullmatch(label) for label in self.labels):
            return "label names must be lower case letters, digits and underscores"
        own = {_QUANTILE} if self.kind == SUMMARY else set()
        if not own <= set(self.labels):
            return "a summary has the label quantile"
        if wrong := (_RESERVED_LABELS - own) & set(self.labels):
            return f"the label {min(wrong)} belongs to Prometheus"
        if len(set(self.labels)) != len(self.labels):
            return "a label is named twice"
        return ""


def check_unique(families: Iterable[Family]) -> None:
    """Raise DeclarationError when two of `families` would be exposed under one name."""
    seen: set[str] = set()
    for family in families:
        if family.base_name in seen:
            message = f"metric family {family.name!r} is declared twice"
            raise DeclarationError(message)
        seen.add(family.base_name)
