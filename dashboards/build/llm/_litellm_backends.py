"""What stands behind LiteLLM: its deployments, what they cost, what was promised of them, and who tells of it."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert, below
from ..links import label, to
from ..panels import Face, Panel, bars, series, states
from ..queries import Query
from ._common import UP, of_model
from ._litellm import BOTH, EMPTY, HOST, NOTHING, ONE


def deployments() -> Iterator[Panel]:
    """Return which deployments answer, and which calls fail."""
    short = (
        f"label_replace(instance_deployment:llm_monitor_litellm_available:bool{{{BOTH}}},"
        ' "deployment", "$1", "deployment_id", "(.{1,8}).*")'
    )
    yield states(
        "Availability of each deployment",
        Query(f"min by (model, deployment) ({short})", "{{model}} ({{deployment}})"),
        face=Face(
            "Green while a deployment answers LiteLLM, red while it does not, by its health check or its last "
            "requests; the name has the start of LiteLLM's id of it. A model is lost when all of its deployments are "
            "red.",
            "short",
            "LiteLLM does not know yet.",
            meanings=UP,
            links=of_model(),
        ),
        width=24,
        height=7,
    )
    yield series(
        "Backend calls that fail",
        Query(
            f"sum by (model, reason) (rate(llm_monitor_litellm_deployment_failures_total{{{BOTH}}}[$__rate_interval]))"
            " > 0",
            "{{model}} {{reason}}",
        ),
        face=Face(
            "Calls of backends that failed in a second, those that a retry or a fallback made good among them. Clients "
            "may not notice yet; the deployment that fails should be mended all the same.",
            "reqps",
            "No call fails.",
            links=of_model(),
            least=0,
        ),
        width=8,
    )


def detours() -> Iterator[Panel]:
    """Return what LiteLLM does when a deployment does not answer."""
    yield series(
        "Fallbacks",
        Query(
            f"sum by (model, outcome) (rate(llm_monitor_litellm_fallbacks_total{{{BOTH}}}[$__rate_interval])) > 0",
            "{{model}} {{outcome}}",
        ),
        face=Face(
            "Requests that LiteLLM passed on to another model because theirs did not answer. Users get answers of "
            "another quality; failure means that they got none.",
            "reqps",
            "No request falls back.",
            links=of_model(),
            least=0,
        ),
        width=8,
    )
    yield series(
        "Taken out of routing",
        Query(
            f"sum by (model) (increase(llm_monitor_litellm_deployment_cooldowns_total{{{BOTH}}}[$__rate_interval]))",
            "{{model}}",
        ),
        face=Face(
            "How often LiteLLM took a deployment out of routing for a while, since it failed too often. Again and "
            "again means that it comes back ill.",
            "short",
            "No deployment is taken out.",
            links=of_model(),
            least=0,
        ),
        as_bars=True,
        width=8,
    )


def use() -> Iterator[Panel]:
    """Return what goes through, in tokens and dollars."""
    yield _tokens()
    yield _tokens_by_model()
    yield _spend_an_hour_by_model()


def _tokens() -> Panel:
    return series(
        "Tokens",
        Query(
            f"sum by (direction) (rate(llm_monitor_litellm_tokens_total{{{BOTH}}}[$__rate_interval]))", "{{direction}}"
        ),
        face=Face(
            "Tokens in a second of requests that succeeded: input is prompts, output is answers.",
            "short",
            NOTHING,
            least=0,
        ),
        colour={"input": colours.IN, "output": colours.OUT},
        stacked=True,
        width=8,
    )


def _tokens_by_model() -> Panel:
    return series(
        "Tokens by model",
        Query(f"sum by (model) (rate(llm_monitor_litellm_tokens_total{{{BOTH}}}[$__rate_interval]))", "{{model}}"),
        face=Face(
            "Prompts and answers together, tokens in a second by the model that clients ask for.",
            "short",
            NOTHING,
            links=of_model(),
            least=0,
        ),
        stacked=True,
        width=8,
    )


def _spend_an_hour_by_model() -> Panel:
    return series(
        "Spend an hour, by model",
        Query(
            f"3600 * sum by (model) (rate(llm_monitor_litellm_spend_usd_total{{{BOTH}}}[$__rate_interval]))",
            "{{model}}",
        ),
        face=Face(
            "US dollars an hour by LiteLLM's prices, at the pace of each moment. A spike without more requests means "
            "longer prompts, or a dearer model.",
            "currencyUSD",
            NOTHING,
            links=of_model(),
            least=0,
        ),
        stacked=True,
        width=8,
    )


def promises() -> Iterator[Panel]:
    """Return how the objectives of 30 days are kept."""
    yield bars(
        "Error budget left",
        Query(f"sort(model:llm_monitor_error_budget_left:ratio_rate30d{ONE})", "{{model}}"),
        face=Face(
            "Of the requests that may fail in 30 days, the share that has not yet. Below 0 the objective is missed: "
            "changes that can wait should.",
            "percentunit",
            NOTHING,
            below(warning=0.25, critical=0.0),
            links=[to("performance-trends", "Over weeks", model=label("model"))],
            most=1,
        ),
    )
    yield series(
        "Pace at which the budget is used",
        Query(
            f"model:llm_monitor_failures:ratio_rate1h{ONE} / on (model) (1 - model:llm_monitor_objective:ratio{ONE})",
            "{{model}}",
        ),
        face=Face(
            "How many times faster than allowed requests of the last hour failed: at 1 the budget of 30 days lasts 30 "
            "days. Above the lines ErrorBudgetSlow and ErrorBudgetFast fire.",
            "short",
            NOTHING,
            above(warning=alert("ErrorBudgetSlow", "burn"), critical=alert("ErrorBudgetFast", "burn")),
            links=of_model(),
            least=0,
        ),
        width=16,
    )


def exporter() -> Iterator[Panel]:
    """Return whether what the panels show is told at all."""
    yield states(
        "What the exporter could read",
        Query(f"llm_monitor_litellm_collector_success{{{HOST}}}", "{{collector}}"),
        face=Face(
            "Red while a part of LiteLLM can't be read: its metrics, its models, its health. Panels above are empty or "
            "old then. A wrong key shows here while LiteLLM itself is ready.",
            "short",
            EMPTY,
            meanings={1: ("Read", colours.OK), 0: ("Failed", colours.CRITICAL)},
            links=[to("monitoring-health", "The monitoring itself")],
        ),
        width=12,
    )
    yield series(
        "Questions that LiteLLM does not answer",
        Query(
            f"sum by (endpoint, reason) (rate(llm_monitor_litellm_upstream_errors_total{{{HOST}}}[$__rate_interval]))",
            "{{endpoint}} {{reason}}",
        ),
        face=Face(
            "Calls of the exporter's to LiteLLM that failed in a second, by path and reason. The exporter's log says "
            "each once, with its address.",
            "short",
            "All of its questions are answered.",
            least=0,
        ),
    )
