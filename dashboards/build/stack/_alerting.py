"""Panels about the way of an alert: from its rule to whom it may concern."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert
from ..panels import Face, Panel, series, stat
from ..queries import Query

CHOSEN = '{instance=~"$instance"}'
NO_RULE = "No Prometheus reports."
NO_ALERTMANAGER = "No Alertmanager reports."


def _by_group(what: str) -> str:
    """Return seconds of each group of rules, whose label has the name of its file in front."""
    return f'label_replace(prometheus_rule_group_{what}_seconds{CHOSEN}, "group", "$1", "rule_group", ".*;(.+)")'


def status() -> Iterator[Panel]:
    """Give what must be zero for alerts to reach people."""
    yield _rules_that_fail()
    yield _notifications_that_failed()


def _rules_that_fail() -> Panel:
    return stat(
        "Rules that fail",
        Query(f"round(sum(increase(prometheus_rule_evaluation_failures_total{CHOSEN}[$__range])))"),
        face=Face(
            "Evaluations of rules that failed in the time that is shown. Their alerts may not fire; Prometheus' page "
            "of rules says why.",
            "short",
            NO_RULE,
            above(warning=1),
            decimals=0,
        ),
    )


def _notifications_that_failed() -> Panel:
    return stat(
        "Notifications that failed",
        Query(
            f"sum(increase(alertmanager_notifications_failed_total{CHOSEN}[$__range]))"
            f" / (sum(increase(alertmanager_notifications_total{CHOSEN}[$__range])) > 0) or vector(0)"
        ),
        face=Face(
            "The share of notifications that did not reach their receiver in the time that is shown. Look at "
            "Alertmanager's log.",
            "percentunit",
            NO_ALERTMANAGER,
            above(critical=alert("AlertmanagerNotificationsFailing")),
        ),
    )


def over_time() -> Iterator[Panel]:
    """Give how long rules take, and what becomes of alerts."""
    yield _time_that_rules_take()
    yield _rules_that_failed_or_were_left_out()
    yield _alerts_that_prometheus_could_not_hand_on()
    yield _alerts_in_alertmanager()
    yield _notifications()
    yield _time_that_notifications_take()


def _time_that_rules_take() -> Panel:
    return series(
        "Time that rules take",
        Query(
            f"topk(10, max by (group) ({_by_group('last_duration')}) / max by (group) ({_by_group('interval')}))",
            "{{group}}",
        ),
        face=Face(
            "The share of its interval that each group of rules needs. Near 100% evaluations are left out, and alerts "
            "come late.",
            "percentunit",
            NO_RULE,
            least=0,
        ),
        width=8,
    )


def _rules_that_failed_or_were_left_out() -> Panel:
    return series(
        "Rules that failed or were left out",
        Query(f"sum(rate(prometheus_rule_evaluation_failures_total{CHOSEN}[$__rate_interval]))", "failed"),
        Query(f"sum(rate(prometheus_rule_group_iterations_missed_total{CHOSEN}[$__rate_interval]))", "left out"),
        face=Face(
            "Evaluations in a second that failed, or did not take place for want of time. Normal is none.",
            "cps",
            NO_RULE,
            least=0,
        ),
        colour={"failed": colours.CRITICAL, "left out": colours.WARNING},
        width=8,
    )


def _alerts_that_prometheus_could_not_hand_on() -> Panel:
    return series(
        "Alerts that Prometheus could not hand on",
        Query(f"sum(rate(prometheus_notifications_dropped_total{CHOSEN}[$__rate_interval]))", "dropped"),
        Query(f"sum(rate(prometheus_notifications_errors_total{CHOSEN}[$__rate_interval]))", "errors"),
        face=Face("On the way to Alertmanager, in a second; normal is none.", "cps", NO_RULE, least=0),
        colour={"dropped": colours.CRITICAL, "errors": colours.WARNING},
        width=8,
    )


def _alerts_in_alertmanager() -> Panel:
    return series(
        "Alerts in Alertmanager",
        Query(f"sum by (state) (alertmanager_alerts{CHOSEN})", "{{state}}"),
        face=Face(
            "Active ones are told of; suppressed ones are silenced or inhibited.", "short", NO_ALERTMANAGER, least=0
        ),
        colour={"active": colours.WARNING, "suppressed": colours.OFF, "unprocessed": colours.INFO},
        width=8,
    )


def _notifications() -> Panel:
    return series(
        "Notifications",
        Query(
            f"sum by (integration) (rate(alertmanager_notifications_total{CHOSEN}[$__rate_interval])) > 0",
            "{{integration}}",
        ),
        Query(
            f"sum by (integration) (rate(alertmanager_notifications_failed_total{CHOSEN}[$__rate_interval])) > 0",
            "{{integration}} failed",
        ),
        face=Face("Sent in a second, by the way that they take.", "cps", NO_ALERTMANAGER, least=0),
        colour={".+ failed": colours.CRITICAL},
        width=8,
    )


def _time_that_notifications_take() -> Panel:
    return series(
        "Time that notifications take",
        Query(
            "histogram_quantile(0.95, sum by (integration, le) "
            f"(rate(alertmanager_notification_latency_seconds_bucket{CHOSEN}[$__rate_interval])))",
            "{{integration}}",
        ),
        face=Face("19 of 20 take less. A slow receiver delays what is behind it.", "s", "Nothing was sent.", least=0),
        width=8,
    )
