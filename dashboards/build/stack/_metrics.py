"""Panels about targets, their scrapes, and what Prometheus holds."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, limits, links
from ..limits import above, alert, below, default, default_text
from ..panels import Face, Meanings, Panel, series, stat, states
from ..queries import Query
from ..tables import Column, table

CHOSEN = '{instance=~"$instance"}'
NO_PROMETHEUS = "No Prometheus reports."
NO_TARGET = "Nothing is scraped."
COLLECTORS = '{__name__=~"llm_monitor_.+_collector_success", instance=~"$instance"}'
UP: Meanings = {1: ("Up", colours.OK), 0: ("Down", colours.CRITICAL)}
HOST_LINKS = (
    links.to("server-health", "The host", instance=links.label("instance")),
    links.logs("Logs of the host", instance=links.label("instance")),
)
TIMEOUT = float(default_text("prometheus_scrape_timeout").removesuffix("s"))


def status() -> Iterator[Panel]:
    """Give numbers that must be zero, and how much room there is."""
    yield _targets_down()
    yield _collectors_that_fail()
    yield _configuration()
    yield _space_left()
    yield _series()


def _targets_down() -> Panel:
    return stat(
        "Targets down",
        Query(f"count(up{CHOSEN} == 0) or vector(0)"),
        face=Face(
            "Targets that Prometheus could not scrape the last time. Normal is none; the table below names them.",
            "short",
            NO_TARGET,
            above(critical=1),
            decimals=0,
        ),
    )


def _collectors_that_fail() -> Panel:
    return stat(
        "Collectors that fail",
        Query(f"count({COLLECTORS} == 0) or vector(0)"),
        face=Face(
            "Parts of exporters that could not read their source. Their metrics are missing; the table names them.",
            "short",
            NO_TARGET,
            above(warning=1),
            decimals=0,
        ),
    )


def _configuration() -> Panel:
    return stat(
        "Configuration",
        Query(
            f"min(prometheus_config_last_reload_successful{CHOSEN}"
            f" or alertmanager_config_last_reload_successful{CHOSEN})"
        ),
        face=Face(
            "Whether Prometheus and Alertmanager took their last configuration. With one that was refused, the old one "
            "goes on, and the service's log says why.",
            "short",
            NO_PROMETHEUS,
            meanings={1: ("Taken", colours.OK), 0: ("Refused", colours.CRITICAL)},
        ),
    )


def _space_left() -> Panel:
    return stat(
        "Space left",
        Query(f"1 - max(instance:prometheus_tsdb_storage:ratio{CHOSEN})"),
        face=Face(
            "The share of the space for samples that is not used yet. With none, the oldest go before their time.",
            "percentunit",
            "No limit on size is set.",
            below(warning=round(1 - alert("PrometheusStorageFilling"), 3)),
        ),
    )


def _series() -> Panel:
    return stat(
        "Series",
        Query(f"max(prometheus_tsdb_head_series{CHOSEN})"),
        face=Face(
            "Series that are written to. Each costs memory; a jump means that some label has too many values.",
            "short",
            NO_PROMETHEUS,
            above(warning=alert("SeriesBudgetExceeded") * default("prometheus_series_budget")),
        ),
    )


def scrapes() -> Iterator[Panel]:
    """Give which targets answer, and how long they take."""
    yield _targets_by_job()
    yield _targets_that_do_not_answer()
    yield _longest_scrapes()
    yield _collectors_that_cant_read_their_source()


def _targets_by_job() -> Panel:
    return states(
        "Targets by job",
        Query(f"min by (job) (up{CHOSEN})", "{{job}}"),
        face=Face(
            "When all targets of a job could be scraped. What a target reports is unknown while it is down.",
            "short",
            NO_TARGET,
            meanings=UP,
        ),
        width=12,
        height=9,
    )


def _targets_that_do_not_answer() -> Panel:
    return table(
        "Targets that do not answer",
        [Query(f"max by (job, instance) (up{CHOSEN}) == 0")],
        columns=[
            Column("instance", "Host", links=[links.to("server-health", "The host", instance=links.cell("instance"))]),
            Column("job", "Job", links=[links.logs("Logs of the host", instance=links.cell("instance"))]),
            Column("A", "State", meanings=UP),
        ],
        face=Face(
            "Targets whose last scrape failed. See whether the host, the container or the way to it is down.",
            "short",
            "All targets answer.",
        ),
        width=12,
        height=9,
    )


def _longest_scrapes() -> Panel:
    return series(
        "Longest scrapes",
        Query(f"topk(10, max by (job, instance) (scrape_duration_seconds{CHOSEN}))", "{{job}} on {{instance}}"),
        face=Face(
            f"How long the slowest targets take. Beyond the timeout of {TIMEOUT:g} s a scrape is lost; see what the "
            "exporter waits for.",
            "s",
            NO_TARGET,
            above(warning=alert("ScrapeSlow") * TIMEOUT),
            least=0,
            links=HOST_LINKS,
        ),
    )


def _collectors_that_cant_read_their_source() -> Panel:
    return table(
        "Collectors that can't read their source",
        [
            Query(
                "max by (instance, exporter, collector) (label_replace("
                f'{COLLECTORS} == 0, "exporter", "$1", "__name__", "llm_monitor_(.+)_collector_success"))'
            )
        ],
        columns=[
            Column("instance", "Host", links=[links.logs("Logs of the host", instance=links.cell("instance"))]),
            Column("exporter", "Exporter"),
            Column("collector", "Collector"),
            Column("A", "State", meanings={0: ("Fails", colours.CRITICAL)}),
        ],
        face=Face(
            "Parts of exporters that fail. The exporter's log says what it could not read; other parts go on.",
            "short",
            "All collectors work.",
        ),
        width=12,
    )


def storage() -> Iterator[Panel]:
    """Give how much comes in, how much is held, and how long it will fit."""
    yield _series_over_time()
    yield _series_that_come_and_go()
    yield _samples()
    yield _space()
    yield _oldest_sample()
    yield _samples_of_the_largest_targets()


def _series_over_time() -> Panel:
    return series(
        "Series over time",
        Query(f"sum by (instance) (prometheus_tsdb_head_series{CHOSEN})", "{{instance}}"),
        face=Face(
            "Series that are written to. It grows with hosts, containers and models, and else it should be flat.",
            "short",
            NO_PROMETHEUS,
            above(warning=alert("SeriesBudgetExceeded") * default("prometheus_series_budget")),
            least=0,
            links=HOST_LINKS,
        ),
        width=8,
    )


def _series_that_come_and_go() -> Panel:
    return series(
        "Series that come and go",
        Query(f"sum(rate(prometheus_tsdb_head_series_created_total{CHOSEN}[$__rate_interval]))", "created"),
        Query(f"sum(rate(prometheus_tsdb_head_series_removed_total{CHOSEN}[$__rate_interval]))", "removed"),
        face=Face(
            "New and forgotten series in a second. Always many: a label changes with every restart or request.",
            "cps",
            NO_PROMETHEUS,
            least=0,
        ),
        width=8,
    )


def _samples() -> Panel:
    return series(
        "Samples",
        Query(
            f"sum by (instance) (rate(prometheus_tsdb_head_samples_appended_total{CHOSEN}[$__rate_interval]))",
            "{{instance}}",
        ),
        face=Face(
            "Samples written in a second. It falls when targets are lost.",
            "cps",
            NO_PROMETHEUS,
            least=0,
            links=HOST_LINKS,
        ),
        width=8,
    )


def _space() -> Panel:
    return series(
        "Space",
        Query(f"sum(prometheus_tsdb_storage_blocks_bytes{CHOSEN})", "used by blocks"),
        Query(f"sum(prometheus_tsdb_retention_limit_bytes{CHOSEN} > 0)", "limit"),
        face=Face("What samples take on disk, and the most that they may take.", "bytes", NO_PROMETHEUS, least=0),
        colour={"used by blocks": colours.USED, "limit": colours.LIMIT},
        dashed="limit",
        width=8,
    )


def _oldest_sample() -> Panel:
    return stat(
        "Oldest sample",
        Query(f"(time() - min(prometheus_tsdb_lowest_timestamp_seconds{CHOSEN}))"),
        face=Face(
            "How far back Prometheus can look. Less than its retention time, and not new: the limit on size cut it.",
            "dtdurations",
            NO_PROMETHEUS,
            limits.NONE,
        ),
        width=8,
        height=8,
    )


def _samples_of_the_largest_targets() -> Panel:
    return series(
        "Samples of the largest targets",
        Query(
            f"topk(10, max by (job, instance) (scrape_samples_post_metric_relabeling{CHOSEN}))",
            "{{job}} on {{instance}}",
        ),
        face=Face("Samples of a scrape, of the targets with the most.", "short", NO_TARGET, least=0, links=HOST_LINKS),
        width=8,
    )


def use() -> Iterator[Panel]:
    """Give what the services and exporters themselves take."""
    yield _memory()
    yield _processors()


def _memory() -> Panel:
    return series(
        "Memory",
        Query(f"topk(15, sum by (job) (process_resident_memory_bytes{CHOSEN}))", "{{job}}"),
        face=Face(
            "Resident memory of what tells it, by job: the monitoring's services, and vLLM.",
            "bytes",
            NO_TARGET,
            least=0,
        ),
    )


def _processors() -> Panel:
    return series(
        "Processors",
        Query(f"topk(15, sum by (job) (rate(process_cpu_seconds_total{CHOSEN}[$__rate_interval])))", "{{job}}"),
        face=Face("Cores in use by what tells it, by job.", "short", NO_TARGET, least=0),
    )
