"""Panels about what applications tell the event store: what waits, and what is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert, alert_text
from ..panels import Face, Panel, series
from ..queries import Query
from ._metrics import CHOSEN, HOST_LINKS

NO_APPLICATION = "No application that reports with llmops_monitoring is scraped."


def over_time() -> Iterator[Panel]:
    """Give what applications could not write, and what they still hold."""
    yield _lost()
    yield _held()


def _lost() -> Panel:
    window = alert_text("EventsDropped", "window")
    minutes = int(window.removesuffix("m"))
    return series(
        "Events that applications lost",
        Query(
            f"{60 * minutes} * sum by (job, instance, reason) (rate(llmops_dropped_total{CHOSEN}[$__rate_interval]))",
            "{{job}} on {{instance}}: {{reason}}",
        ),
        face=Face(
            f"Calls that are told of nowhere, at the pace of each moment for {minutes} minutes, by application and "
            "reason. Normal is none; EventsDropped fires on the first, and its runbook goes through the reasons.",
            "short",
            NO_APPLICATION,
            above(warning=alert("EventsDropped") + 1),
            least=0,
            links=HOST_LINKS,
        ),
    )


def _held() -> Panel:
    return series(
        "Events that applications hold",
        Query(f"sum(llmops_queue_calls{CHOSEN})", "in memory"),
        Query(f"sum(llmops_spilled_calls{CHOSEN})", "on disk"),
        face=Face(
            "Calls that are not written yet, of all applications. Some in memory are normal; what grows, or lies on "
            "disk, waits for an event store that is slow or away.",
            "short",
            NO_APPLICATION,
            least=0,
        ),
        stacked=True,
        colour={"in memory": colours.USED, "on disk": colours.CACHED},
    )
