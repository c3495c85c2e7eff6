"""How the models do over weeks: against last week, against what was promised, against each other, and what comes.

All of it is read from recorded series; thirty days of raw ones are too many for a panel.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, variables
from ..board import Board
from ..limits import above, alert, below, default
from ..links import cell, to
from ..panels import Face, Panel, bars, series, stat
from ..queries import Query
from ..tables import Column, table
from . import _trends
from ._recorded import EMPTY, NO_PRICE, of_asked, of_served, recorded

# The hours of the time shown, each by its last moment.
HOURS = "[$__range:1h]"
BUDGETS = below(warning=0.25, critical=0.0)


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="performance-trends",
        title="Performance trends",
        folder="analytics",
        description="How the models do over weeks: against last week, their objectives and each other, and what comes.",
        range="30d",
        variables=[
            variables.instance("llm_monitor_vllm_info"),
            variables.model("model:llm_monitor_objective:ratio"),
        ],
    )
    made.row("", *_status(), *_yield_of_gpus(), _comparison())
    made.row("Latency", *_latency(), *_latency_by_model())
    made.row("What GPUs give for their energy and money", *_trends.efficiency())
    made.row("Objectives", *_objectives())
    made.row("Load, and when it will be too much", *_trends.load(), *_trends.capacity(), *_trends.outlook())
    return made


def _mean(name: str, window: str = HOURS) -> str:
    """Return the mean over the hours of a time."""
    return f"avg_over_time({recorded(name)}{window})"


def _sum(name: str) -> str:
    """Return the sum over the hours of the time shown, of all models chosen."""
    return f"sum(sum_over_time({recorded(name)}{HOURS}))"


def _status() -> Iterator[Panel]:
    yield stat(
        "Least error budget left",
        Query(f"min({recorded('error_budget_left:ratio_rate30d')})"),
        face=Face(
            "Of the requests that may fail in 30 days, the share that has not yet, of the model with the least. Below "
            "0 its objective is missed.",
            "percentunit",
            EMPTY,
            BUDGETS,
            decimals=0,
        ),
    )
    yield stat(
        "Most slowed since last week",
        Query(
            "max(("
            f"{recorded('request_latency:p95_rate1h')} / ({recorded('request_latency:p95_rate1h')} offset 1w > 0))"
            f" and {recorded('request_latency:p95_rate1h')} > {alert('LatencyRegression', 'floor'):g}"
            f" and 3600 * {recorded('requests:rate1h')} >= {alert('LatencyRegression', 'min_requests'):g})"
        ),
        face=Face(
            "How many times as long the slowest 5 % of the last hour took as in the same hour of last week, of the "
            "model for which that is the most; short and few requests are left out. Around 1 is normal; from "
            f"{alert('LatencyRegression'):g} on LatencyRegression fires.",
            "suffix: times",
            "Too few requests, or no week to compare with.",
            above(warning=alert("LatencyRegression")),
            decimals=2,
        ),
    )


def _yield_of_gpus() -> Iterator[Panel]:
    yield stat(
        "Tokens for a joule",
        Query(f"{_sum('gpu_tokens:rate1h')} / {_sum('energy_watts:rate1h')}"),
        face=Face(
            "Tokens read and written for each joule that the models' GPUs used, over all of the time shown. More is "
            "better; idle GPUs and long answers lower it.",
            "short",
            EMPTY,
            decimals=2,
        ),
    )
    yield stat(
        "Tokens in a GPU-hour",
        Query(f"3600 * {_sum('gpu_tokens:rate1h')} / {_sum('gpus:avg1h')}"),
        face=Face("Tokens that a GPU gives in an hour, over all models and all of the time shown.", "short", EMPTY),
    )
    yield stat(
        "Cost of a million tokens",
        Query(
            f"1000000 / 3600 * {_sum('gpu_cost_usd_per_hour:avg1h')} / {_sum('gpu_tokens:rate1h')}",
        ),
        face=Face(
            "What the models' GPUs cost by the inventory, for each million tokens. Compare it with what a provider "
            "asks.",
            "currencyUSD",
            NO_PRICE,
            decimals=2,
        ),
    )
    yield stat(
        "GPUs of all models, cost",
        Query(_sum("gpu_cost_usd_per_hour:avg1h")),
        face=Face(
            "What the GPUs that hold the models have cost in the time shown, whether they worked or not.",
            "currencyUSD",
            NO_PRICE,
            decimals=0,
        ),
    )


def _comparison() -> Panel:
    return table(
        "Model against model",
        [
            Query(f"3600 * sum by (model) (sum_over_time({recorded('requests:rate1h')}{HOURS}))"),
            Query(f"3600 * sum by (model) (sum_over_time({recorded('gpu_tokens:rate1h')}{HOURS}))"),
            Query(f"avg by (model) ({_mean('request_latency:p95_rate1h')})"),
            Query(f"avg by (model) ({_mean('time_to_first_token:p95_rate1h')})"),
            Query(
                f"3600 * {_mean('gpu_tokens:rate1h')} / {_mean('gpus:avg1h')}",
            ),
            Query(f"{_mean('gpu_tokens:rate1h')} / {_mean('energy_watts:rate1h')}"),
            Query(
                f"1000000 / 3600 * {_mean('gpu_cost_usd_per_hour:avg1h')} / ({_mean('gpu_tokens:rate1h')} > 0)",
            ),
            Query(f"max by (model) ({recorded('available:avg30d')})"),
            Query(f"max by (model) ({recorded('error_budget_left:ratio_rate30d')})"),
        ],
        columns=_comparison_columns(),
        face=Face(
            "All models beside each other over the time shown; latencies are means of the hours. A model that LiteLLM "
            "knows by another name than vLLM has two lines.",
            "short",
            EMPTY,
        ),
        height=8,
        sort="Requests",
    )


def _comparison_columns() -> list[Column]:
    return [
        Column(
            "model",
            "Model",
            links=[
                to("performance-trends", "Only this model", model=cell("model")),
                to("vllm-docker-status", "Its vLLM servers", model=cell("model")),
                to("model-catalog", "In the catalogue", model=cell("model")),
            ],
        ),
        Column("A", "Requests", unit="short"),
        Column("B", "Tokens", unit="short"),
        Column("C", "Slowest 5 % take", unit="s"),
        Column("D", "First token, slowest 5 %", unit="s", limits=above(warning=default("prometheus_ttft_target"))),
        Column("E", "Tokens in a GPU-hour", unit="short"),
        Column("F", "Tokens for a joule", unit="short", decimals=2),
        Column("G", "A million tokens", unit="currencyUSD", decimals=2),
        Column(
            "H",
            "Available, 30 days",
            unit="percentunit",
            limits=below(warning=default("prometheus_objective")),
            decimals=2,
        ),
        Column("I", "Error budget left", unit="percentunit", limits=BUDGETS, decimals=0),
    ]


def _latency() -> Iterator[Panel]:
    latency = recorded("request_latency:p95_rate1h")
    busiest = f"{recorded('requests:rate1h')}"
    yield series(
        "Latency against last week",
        Query(f"sum({latency} * {busiest}) / sum({busiest} and {latency})", "This week"),
        Query(
            f"sum({latency} offset 1w * {busiest} offset 1w) / sum({busiest} offset 1w and {latency} offset 1w)",
            "A week before",
        ),
        face=Face(
            "The time of a whole request that 5 % exceed, of all models by their number of requests, beside the same "
            "hour of last week. Lines that part tell of a change of models, prompts or load.",
            "s",
            EMPTY,
            least=0,
        ),
        colour={"This week": colours.P95, "A week before": colours.LAST_WEEK},
        dashed="A week before",
    )
    yield series(
        "Latency by model, times last week's",
        Query(f"{latency} / ({latency} offset 1w > 0)", "{{model}}"),
        face=Face(
            "How many times as long the slowest 5 % took as in the same hour of last week. Around 1 is normal; above "
            "the line, with requests enough, LatencyRegression fires.",
            "suffix: times",
            "Nothing is recorded of the week before yet.",
            above(warning=alert("LatencyRegression")),
            links=of_asked(),
            least=0,
        ),
    )


def _latency_by_model() -> Iterator[Panel]:
    yield series(
        "Slowest 5 %, by model",
        Query(recorded("request_latency:p95_rate1h"), "{{model}}"),
        face=Face(
            "The time of a whole request that 5 % exceed, by the hour. It follows the length of answers.",
            "s",
            EMPTY,
            links=of_asked(),
            least=0,
        ),
    )
    yield series(
        "First token, slowest 5 %, by model",
        Query(recorded("time_to_first_token:p95_rate1h"), "{{model}}"),
        face=Face(
            "The time to the first token that 5 % exceed, by the hour. The line is the target that was promised.",
            "s",
            EMPTY,
            above(warning=default("prometheus_ttft_target")),
            links=of_served(),
            least=0,
        ),
    )


def _objectives() -> Iterator[Panel]:
    for title, name, ways, description in (
        (
            "Error budget left",
            "error_budget_left:ratio_rate30d",
            of_asked(),
            "Of the requests that may fail in 30 days, the share that has not yet.",
        ),
        (
            "Budget of late first tokens left",
            "first_token_budget_left:ratio_rate30d",
            of_served(),
            "Of the first tokens that may be late in 30 days, the share that has not been yet.",
        ),
    ):
        yield bars(
            title,
            Query(f"sort({recorded(name)})", "{{model}}"),
            face=Face(
                f"{description} All of it is well; at 0 the objective is just met, below it is missed. With little "
                "left, changes that can wait should.",
                "percentunit",
                EMPTY,
                BUDGETS,
                links=ways,
                decimals=0,
                most=1,
            ),
            width=6,
        )
    yield series(
        "Share of requests that fail",
        Query(recorded("failures:ratio_rate1d"), "{{model}}"),
        face=Face(
            "The share of a day's requests that failed for no fault of the client. The line is what the objective "
            "allows.",
            "percentunit",
            EMPTY,
            above(warning=round(1 - default("prometheus_objective"), 6)),
            links=of_asked(),
            least=0,
        ),
    )
