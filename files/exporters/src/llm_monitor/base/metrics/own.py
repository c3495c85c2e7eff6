"""The families by which every exporter tells about itself, under its own subsystem."""

from functools import cache
from typing import NamedTuple, Self

from llm_monitor.base.metrics.family import COUNTER, GAUGE, Family, Kind, LabelValues

_DECLARATIONS: tuple[tuple[str, Kind, str, LabelValues, str], ...] = (
    (
        "up",
        GAUGE,
        "1 when at least one collector succeeded in this collection, else 0.",
        (),
        "",
    ),
    (
        "collector_success",
        GAUGE,
        "1 when the collector gave its series, 0 when it failed, overran or is stuck.",
        ("collector",),
        "",
    ),
    (
        "collector_duration_seconds",
        GAUGE,
        "Time that the collector took, or has been running for when it has not ended.",
        ("collector",),
        "seconds",
    ),
    (
        "last_success_timestamp_seconds",
        GAUGE,
        "Unix time at which the collector last succeeded, absent before it ever did.",
        ("collector",),
        "seconds",
    ),
    (
        "series_dropped_total",
        COUNTER,
        "Series left out, each once a collection: over a cap, NaN, or not valid.",
        ("family",),
        "",
    ),
    (
        "collections_total",
        COUNTER,
        "Collections that have ended; scrapes within min_interval share one.",
        (),
        "",
    ),
    (
        "build_info",
        GAUGE,
        "1, with the version of the exporter and of Python.",
        ("version", "python"),
        "",
    ),
)


class OwnFamilies(NamedTuple):
    """One exporter's families about itself, in the order of their declarations."""

    up: Family
    collector_success: Family
    collector_duration: Family
    last_success: Family
    series_dropped: Family
    collections: Family
    build_info: Family

    @classmethod
    @cache
    def of(cls, exporter: str) -> Self:
        """Return the families of the exporter of that name."""
        return cls(
            *(
                Family(f"llm_monitor_{exporter}_{name}", kind, text, labels, unit)
                for name, kind, text, labels, unit in _DECLARATIONS
            )
        )
