"""Panels about the way of a log line: from Alloy to Loki."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above
from ..panels import Face, Panel, series, stat
from ..queries import Query
from ._metrics import HOST_LINKS

WITHIN = 'instance=~"$instance"'
CHOSEN = f"{{{WITHIN}}}"
NO_LOKI = "No Loki reports."
NO_ALLOY = "No Alloy reports."


def status() -> Iterator[Panel]:
    """Give what is written, and what is lost of it."""
    yield _lines_lost()
    yield _logs_written()
    yield _parts_of_alloy_that_fail()


def _lines_lost() -> Panel:
    return stat(
        "Lines lost",
        Query(
            f"round(sum(increase(loki_write_dropped_entries_total{CHOSEN}[$__range]))"
            f' + (sum(increase(loki_process_dropped_lines_total{{reason!="too_old", {WITHIN}}}[$__range]))'
            " or vector(0))"
            f" + (sum(increase(loki_discarded_samples_total{CHOSEN}[$__range])) or vector(0)))"
        ),
        face=Face(
            "Lines that Alloy left out, that it gave up on or that Loki refused, in the time that is shown. "
            "Normal is none; see the reasons below.",
            "short",
            NO_ALLOY,
            above(warning=1),
            decimals=0,
        ),
    )


def _logs_written() -> Panel:
    return stat(
        "Logs written",
        Query(f"sum(rate(loki_distributor_bytes_received_total{CHOSEN}[$__rate_interval]))"),
        face=Face(
            "What Loki takes in, in a second. Nothing at all means that the shippers are cut off.", "Bps", NO_LOKI
        ),
    )


def _parts_of_alloy_that_fail() -> Panel:
    return stat(
        "Parts of Alloy that fail",
        Query(f'sum(alloy_component_controller_running_components{{health_type!="healthy", {WITHIN}}}) or vector(0)'),
        face=Face(
            "Components of Alloy's configuration that are not healthy; its own page says which.",
            "short",
            NO_ALLOY,
            above(warning=1),
            decimals=0,
        ),
    )


def over_time() -> Iterator[Panel]:
    """Give both ends of the way."""
    yield _lines_that_loki_takes_in()
    yield _lines_that_loki_refuses()
    yield _streams_in_memory()
    yield _lines_that_alloy_sends()
    yield _lines_that_alloy_does_not_send()
    yield _time_that_loki_takes()
    yield _old_logs_last_removed()


def _lines_that_loki_takes_in() -> Panel:
    return series(
        "Lines that Loki takes in",
        Query(
            f"sum by (instance) (rate(loki_distributor_lines_received_total{CHOSEN}[$__rate_interval]))", "{{instance}}"
        ),
        face=Face(
            "In a second. A wall means that some service writes the same again and again.",
            "cps",
            NO_LOKI,
            least=0,
            links=HOST_LINKS,
        ),
        width=8,
    )


def _lines_that_loki_refuses() -> Panel:
    return series(
        "Lines that Loki refuses",
        Query(
            f"sum by (reason) (rate(loki_discarded_samples_total{CHOSEN}[$__rate_interval]))",
            "{{reason}}",
        ),
        face=Face(
            "In a second, by reason. rate_limited and stream_limit are limits of the role loki: who writes so much?",
            "cps",
            "Loki has refused nothing.",
            least=0,
        ),
        width=8,
    )


def _streams_in_memory() -> Panel:
    return series(
        "Streams in memory",
        Query(f"sum by (instance) (loki_ingester_memory_streams{CHOSEN})", "{{instance}}"),
        face=Face(
            "Combinations of labels that are written to. Some hundreds are normal; thousands mean that a label has too "
            "many values.",
            "short",
            NO_LOKI,
            least=0,
            links=HOST_LINKS,
        ),
        width=8,
    )


def _lines_that_alloy_sends() -> Panel:
    return series(
        "Lines that Alloy sends",
        Query(f"sum by (instance) (rate(loki_write_sent_entries_total{CHOSEN}[$__rate_interval]))", "{{instance}}"),
        face=Face(
            "In a second, by host. One that stops has lost its way to Loki or to the containers.",
            "cps",
            NO_ALLOY,
            least=0,
            links=HOST_LINKS,
        ),
        width=8,
    )


def _lines_that_alloy_does_not_send() -> Panel:
    return series(
        "Lines that Alloy does not send",
        Query(
            f"sum by (instance, reason) (rate(loki_write_dropped_entries_total{CHOSEN}[$__rate_interval])) > 0",
            "{{instance}}: {{reason}}",
        ),
        Query(
            f"sum by (instance, reason) (rate(loki_process_dropped_lines_total{CHOSEN}[$__rate_interval])) > 0",
            "{{instance}}: {{reason}}",
        ),
        Query(
            f"sum by (instance) (rate(loki_write_batch_retries_total{CHOSEN}[$__rate_interval])) > 0",
            "{{instance}}: tried again",
        ),
        face=Face(
            "In a second, by reason. too_old: written long before Alloy came; ingester_error: Loki refuses it for "
            "good; what is tried again is not lost yet.",
            "cps",
            "Alloy sends every line.",
            least=0,
            links=HOST_LINKS,
        ),
        colour={".+: tried again": colours.WARNING},
        width=8,
    )


def _time_that_loki_takes() -> Panel:
    return series(
        "Time that Loki takes",
        Query(
            "histogram_quantile(0.95, sum by (route, le) "
            f"(rate(loki_request_duration_seconds_bucket{CHOSEN}[$__rate_interval])))",
            "{{route}}",
        ),
        face=Face(
            "19 of 20 requests take less, by route. Slow queries: ask for less time or more labels.",
            "s",
            NO_LOKI,
            least=0,
        ),
        width=8,
    )


def _old_logs_last_removed() -> Panel:
    return stat(
        "Old logs last removed",
        Query(f"min(loki_compactor_apply_retention_last_successful_run_timestamp_seconds{CHOSEN} > 0) * 1000"),
        face=Face(
            "When Loki last removed logs that are older than their retention. Not within a day: its disk fills.",
            "dateTimeFromNow",
            "Loki has not removed any yet.",
        ),
        width=8,
        height=8,
    )
