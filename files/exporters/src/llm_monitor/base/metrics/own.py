"""The families by which every exporter tells about itself, under its own subsystem."""

from typing import NamedTuple, Self

from llm_monitor.base.metrics.family import COUNTER, GAUGE, Family


class OwnFamilies(NamedTuple):
    """One exporter's families about itself."""

    up: Family
    collector_success: Family
    collector_duration: Family
    last_success: Family
    series_dropped: Family
    collections: Family
    build_info: Family

    @classmethod
    def of(cls, exporter: str) -> Self:
        """Return the families of the exporter of that name."""
        subsystem = f"llm_monitor_{exporter}"
        return cls(
            Family(
                f"{subsystem}_up",
                GAUGE,
                "1 when at least one collector succeeded in this collection, else 0.",
            ),
            Family(
                f"{subsystem}_collector_success",
                GAUGE,
                "1 when the collector gave its series, 0 when it failed, overran or is stuck.",
                labels=("collector",),
            ),
            Family(
                f"{subsystem}_collector_duration_seconds",
                GAUGE,
                "Time that the collector took, or has been running for when it has not ended.",
                labels=("collector",),
                unit="seconds",
            ),
            Family(
                f"{subsystem}_last_success_timestamp_seconds",
                GAUGE,
                "Unix time at which the collector last succeeded, absent before it ever did.",
                labels=("collector",),
                unit="seconds",
            ),
            Family(
                f"{subsystem}_series_dropped_total",
                COUNTER,
                "Series left out, each once a collection: over a cap, NaN, or not valid.",
                labels=("family",),
            ),
            Family(
                f"{subsystem}_collections_total",
                COUNTER,
                "Collections that have ended; scrapes within min_interval share one.",
            ),
            Family(
                f"{subsystem}_build_info",
                GAUGE,
                "1, with the version of the exporter and of Python.",
                labels=("version", "python"),
            ),
        )
