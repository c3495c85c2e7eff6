"""Alerts: what fires, what fired, what fires too often, and what is silenced."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, links, variables
from ..board import Board
from ..limits import Limits, above
from ..panels import Face, Meanings, Panel, series, since, stat, states
from ..queries import Query
from ..tables import Column, table

# Alerts of all hosts' models have no instance. Watchdog always fires, on purpose, with the severity none.
CHOSEN = 'severity=~"$severity", severity!="none", component=~"$component", instance=~"$instance|"'
FIRING = f'ALERTS{{alertstate="firing", {CHOSEN}}}'
QUIET = "No alert fires."
SEVERITIES: Meanings = {
    3: ("Critical", colours.CRITICAL),
    2: ("Warning", colours.WARNING),
    1: ("Info", colours.INFO),
}
SEVERITY_COLOURS = {"critical": colours.CRITICAL, "warning": colours.WARNING, "info": colours.INFO}
# How often rules are evaluated, and so how long one sample of ALERTS stands for.
EVERY = "scalar(max(prometheus_rule_group_interval_seconds))"
# Every time that an alert becomes active it gets another time since which it is. Only those that fired count.
FIRED = f"count_over_time({FIRING}[$__range])"
STARTED = f"changes(ALERTS_FOR_STATE{{{CHOSEN}}}[$__range]) + 1 and ignoring (alertstate) {FIRED}"


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="alerts",
        title="Alerts",
        folder="stack",
        description="What fires now, what fired, what fires too often, and what is silenced.",
        variables=[
            variables.instance("up"),
            variables.choice("severity", "Severity", "critical", "warning", "info"),
            variables.of_label("component", "Component", "ALERTS"),
        ],
    )
    made.row("", *_now())
    made.row("What fires", _firing())
    made.row("What fired", *since("7d", *_history(), _noisiest()))
    return made


def _now() -> Iterator[Panel]:
    yield _of_severity("Critical", "critical", above(critical=1))
    yield _of_severity("Warnings", "warning", above(warning=1))
    yield _waiting()
    yield _suppressed()
    yield _silences()
    yield from since("7d", _mean_time_to_resolve())


def _of_severity(title: str, severity: str, limit: Limits) -> Panel:
    return stat(
        title,
        Query(f'count(ALERTS{{alertstate="firing", severity="{severity}", {CHOSEN}}}) or vector(0)'),
        face=Face(
            f"Alerts of the severity {severity} that fire now. The table below says what and where.",
            "short",
            QUIET,
            limit,
            decimals=0,
        ),
    )


def _waiting() -> Panel:
    return stat(
        "Waiting",
        Query(f'count(ALERTS{{alertstate="pending", {CHOSEN}}}) or vector(0)'),
        face=Face("Alerts whose condition holds, but not for long enough yet.", "short", QUIET, decimals=0),
    )


def _suppressed() -> Panel:
    return stat(
        "Suppressed",
        Query('sum(alertmanager_alerts{state="suppressed"})'),
        face=Face(
            "Alerts that nobody is told of: silenced, or inhibited by a worse one.",
            "short",
            "No Alertmanager reports.",
            decimals=0,
        ),
    )


def _silences() -> Panel:
    return stat(
        "Silences",
        Query('sum(alertmanager_silences{state="active"})'),
        face=Face(
            "Silences in force. Alertmanager's page, or amtool, says whose they are and when they end.",
            "short",
            "No Alertmanager reports.",
            decimals=0,
        ),
    )


def _mean_time_to_resolve() -> Panel:
    return stat(
        "Mean time to resolve",
        Query(f"sum({FIRED}) * {EVERY} / sum({STARTED})"),
        face=Face(
            "How long an alert fired until its condition was over, on average over the time that is shown.",
            "dtdurations",
            "No alert fired in this time.",
        ),
    )


def _firing() -> Panel:
    return table(
        "Firing now",
        [
            Query(
                "max by (alertname, severity, component, instance, model, container, gpu) (time() - "
                f"ALERTS_FOR_STATE{{{CHOSEN}}} and ignoring (alertstate) {FIRING})"
            )
        ],
        columns=[
            Column(
                "severity",
                "Severity",
                meanings={name: (name, colour) for name, colour in SEVERITY_COLOURS.items()},
                width=90,
            ),
            Column("alertname", "Alert"),
            Column(
                "instance",
                "Host",
                links=[
                    links.to("server-health", "The host", instance=links.cell("instance")),
                    links.logs("Its logs", instance=links.cell("instance")),
                ],
            ),
            Column("model", "Model"),
            Column("container", "Container", links=[links.logs("Its logs", container=links.cell("container"))]),
            Column("gpu", "GPU", width=60),
            Column("component", "Component"),
            Column("A", "For", unit="dtdurations"),
        ],
        face=Face(
            "What fires, where, and for how long its condition has held. The newest comes first. Each alert has a "
            "runbook of its name in the documentation.",
            "short",
            QUIET,
        ),
        sort="For",
        rising=True,
    )


def _history() -> Iterator[Panel]:
    ranked = " or ".join(
        f'{value} * group by (alertname) (ALERTS{{alertstate="firing", severity="{name}", {CHOSEN}}})'
        for value, name in ((3, "critical"), (2, "warning"), (1, "info"))
    )
    yield states(
        "When alerts fired",
        Query(f"topk(20, {ranked})", "{{alertname}}"),
        face=Face(
            "Each alert by its worst severity at that time, wherever it fired. At most twenty at a time, the worst.",
            "short",
            "No alert fired in this time.",
            meanings=SEVERITIES,
        ),
        height=12,
    )
    yield series(
        "Alerts over time",
        Query(f"sum by (severity) ({FIRING})", "{{severity}}"),
        face=Face("How many alerts fired at once, by severity.", "short", "No alert fired in this time.", least=0),
        stacked=True,
        colour=SEVERITY_COLOURS,
    )
    yield series(
        "Silences and suppressed alerts",
        Query('sum(alertmanager_silences{state="active"})', "silences"),
        Query('sum(alertmanager_alerts{state="suppressed"})', "suppressed alerts"),
        face=Face(
            "Silences that never end hide what they were made for.", "short", "No Alertmanager reports.", least=0
        ),
        colour={"silences": colours.INFO, "suppressed alerts": colours.OFF},
    )


def _noisiest() -> Panel:
    return table(
        "Noisiest alerts",
        [
            Query(f"sum by (alertname) ({STARTED})"),
            Query(f"sum by (alertname) ({FIRED}) * {EVERY}"),
            Query(f"sum by (alertname) ({FIRED}) * {EVERY} / sum by (alertname) ({STARTED})"),
            Query(f"count by (alertname) ({FIRED})"),
        ],
        columns=[
            Column("alertname", "Alert"),
            Column("A", "Times", decimals=0),
            Column("B", "Time firing", unit="dtdurations"),
            Column("C", "Mean time to resolve", unit="dtdurations"),
            Column("D", "Places", decimals=0),
        ],
        face=Face(
            "How often each alert fired in the time that is shown, for how long in all, and in how many places (hosts, "
            "GPUs, models). What fires often and ends by itself wants another limit: prometheus_alerts.",
            "short",
            "No alert fired in this time.",
        ),
        sort="Times",
    )
