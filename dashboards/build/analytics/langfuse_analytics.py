"""What applications do with the models, as they report it to Langfuse."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, variables
from ..board import Board
from ..limits import above, alert
from ..links import Link, cell, label, logs, to, variable
from ..panels import Face, Panel, series, stat, states
from ..queries import Query
from ..tables import Column, table

EMPTY = "No Langfuse exporter reports."
NOTHING = "Langfuse has nothing of this time."
HOST = 'instance=~"$instance"'
BOTH = f'{HOST}, model=~"$model"'
# What has no model, such as spans, is told apart by this name.
MODELS = f'{BOTH}, model!="none"'
DAY, HOUR = 'window="24h"', 'window="1h"'


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="langfuse-analytics",
        title="Langfuse analytics",
        folder="analytics",
        description="What applications do with the models, what it costs and how good it is, as they tell Langfuse.",
        variables=[
            variables.instance("llm_monitor_langfuse_up"),
            variables.model(f"llm_monitor_langfuse_observations{{{HOST}}}"),
        ],
    )
    made.row("", *_status(), *_day())
    made.row("Cost", *_cost(), *_dearest())
    made.row("Latency and errors", *_quality())
    made.row("Scores and use", *_scores(), *_use())
    made.row("The exporter", *_exporter(), collapsed=True)
    return made


def _window(name: str, window: str, *by: str, labels: str = HOST) -> str:
    """Return a sum of what is told of a window, which is a gauge that needs no rate."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (llm_monitor_langfuse_{name}{{{labels}, {window}}})"


def _model_links() -> list[Link]:
    return [
        to("litellm-status", "In LiteLLM", model=label("model")),
        to("performance-trends", "Over weeks", model=label("model")),
    ]


def _status() -> Iterator[Panel]:
    yield stat(
        "Langfuse",
        Query(f"min(llm_monitor_langfuse_ready{{{HOST}}} or on (job, instance) llm_monitor_langfuse_up{{{HOST}}})"),
        face=Face(
            "Whether Langfuse takes what applications report. When it is down they may lose traces; the models work "
            "on.",
            "short",
            EMPTY,
            meanings={1: ("Up", colours.OK), 0: ("Down", colours.CRITICAL)},
            links=[
                to("docker-containers", "Its containers", instance=variable("instance")),
                logs("Errors in logs", instance=variable("instance"), level="error"),
            ],
        ),
    )
    yield stat(
        "Age of the newest trace",
        Query(f"max(llm_monitor_langfuse_data_age_seconds{{{HOST}}})"),
        face=Face(
            "Time from the start of the newest trace to when it was looked for, every five minutes. While models are "
            "asked it is short; when it grows, applications no longer report, or Langfuse's worker hangs.",
            "s",
            "No trace within 7 days",
            above(warning=alert("LangfuseStale")),
        ),
    )
    yield stat(
        "Calls that failed, last hour",
        Query(f"{_window('errors', HOUR, labels=MODELS)} / ({_window('observations', HOUR, labels=MODELS)} > 0)"),
        face=Face(
            "The share of calls of models that applications mark as errors. What is normal depends on them; find the "
            "model below. LiteLLM's own failures are on its dashboard.",
            "percentunit",
            NOTHING,
            above(warning=alert("LitellmFailureRate")),
            decimals=2,
            links=[to("litellm-status", "LiteLLM's failures")],
        ),
    )


def _day() -> Iterator[Panel]:
    for title, name, description in (
        ("Traces", "traces", "Traces that began: one is a task that an application did, with all of its calls."),
        ("Sessions", "sessions", "Different sessions of these traces; absent where Langfuse's API can't count them."),
        ("Users", "users", "Different users of these traces; absent where Langfuse's API can't count them."),
    ):
        yield stat(
            f"{title}, last 24 hours",
            Query(_window(name, DAY)),
            face=Face(f"{description} In the 24 hours before the end of the time shown.", "short", NOTHING),
        )
    yield stat(
        "Tokens, last 24 hours",
        Query(_window("tokens", DAY, labels=BOTH)),
        face=Face("Prompts and answers of the models chosen, as applications report them.", "short", NOTHING),
    )
    yield stat(
        "Cost, last 24 hours",
        Query(_window("cost_usd", DAY, labels=BOTH)),
        face=Face(
            "US dollars by Langfuse's own prices. They differ from LiteLLM's where a model has no price in one of "
            "them.",
            "currencyUSD",
            NOTHING,
            decimals=2,
            links=[to("litellm-status", "Spend by LiteLLM")],
        ),
    )
    yield stat(
        "Cost of 1,000 requests",
        Query(
            f"1000 * {_window('cost_usd', DAY, labels=MODELS)} / ({_window('observations', DAY, labels=MODELS)} > 0)"
        ),
        face=Face(
            "What 1,000 calls of models cost over 24 hours. It moves with the length of prompts and answers and with "
            "the models that are asked, not with how many ask.",
            "currencyUSD",
            NOTHING,
            decimals=2,
        ),
    )


def _cost() -> Iterator[Panel]:
    yield series(
        "Cost an hour, by model",
        Query(_window("cost_usd", HOUR, "model", labels=BOTH) + " > 0", "{{model}}"),
        face=Face(
            "US dollars of the hour before each moment. Models that cost nothing are left out.",
            "currencyUSD",
            NOTHING,
            links=_model_links(),
            least=0,
        ),
        stacked=True,
    )
    yield series(
        "Cost of 1,000 requests, by model",
        Query(
            f"1000 * {_window('cost_usd', HOUR, 'model', labels=MODELS)}"
            f" / ({_window('observations', HOUR, 'model', labels=MODELS)} > 0)",
            "{{model}}",
        ),
        face=Face(
            "What 1,000 calls of a model cost in the hour before. A step up is a new prompt, more context, or a dearer "
            "model behind the same name.",
            "currencyUSD",
            NOTHING,
            links=_model_links(),
            least=0,
        ),
    )


def _dearest() -> Iterator[Panel]:
    yield table(
        "Models by cost, last 24 hours",
        [
            Query(_window("cost_usd", DAY, "model", labels=BOTH)),
            Query(_window("observations", DAY, "model", labels=BOTH)),
            Query(_window("tokens", f'{DAY}, direction="input"', "model", labels=BOTH)),
            Query(_window("tokens", f'{DAY}, direction="output"', "model", labels=BOTH)),
            Query(
                f"1000 * {_window('cost_usd', DAY, 'model', labels=BOTH)}"
                f" / ({_window('observations', DAY, 'model', labels=BOTH)} > 0)"
            ),
            Query(
                f"{_window('errors', DAY, 'model', labels=BOTH)}"
                f" / ({_window('observations', DAY, 'model', labels=BOTH)} > 0)"
            ),
            Query(f'max by (model) (llm_monitor_langfuse_latency_seconds{{{BOTH}, {DAY}, quantile="0.95"}})'),
        ],
        columns=_dearest_columns(),
        face=Face(
            "Every model that applications report, the dearest first; none is what has no model, such as spans.",
            "short",
            NOTHING,
        ),
        height=8,
        sort="Cost",
    )


def _dearest_columns() -> list[Column]:
    return [
        Column(
            "model",
            "Model",
            links=[
                to("litellm-status", "In LiteLLM", model=cell("model")),
                to("langfuse-analytics", "Only this model", model=cell("model")),
            ],
        ),
        Column("A", "Cost", unit="currencyUSD", decimals=2),
        Column("B", "Calls", unit="short"),
        Column("C", "Tokens in", unit="short"),
        Column("D", "Tokens out", unit="short"),
        Column("E", "Cost of 1,000", unit="currencyUSD", decimals=2),
        Column("F", "Errors", unit="percentunit", decimals=2, limits=above(warning=alert("LitellmFailureRate"))),
        Column("G", "Slowest 5 % take", unit="s"),
    ]


def _quality() -> Iterator[Panel]:
    for title, name, description in (
        (
            "Latency",
            "latency_seconds",
            "From the start to the end of a call as the application sees it, network and all.",
        ),
        ("Time to first token", "time_to_first_token_seconds", "Until the first token of a streamed answer is there."),
    ):
        yield series(
            f"{title}, slowest 5 %, by model",
            Query(f'max by (model) (llm_monitor_langfuse_{name}{{{MODELS}, {HOUR}, quantile="0.95"}})', "{{model}}"),
            face=Face(
                f"{description} 5 % of the calls of the hour before took longer. If LiteLLM's own latency has not "
                "moved as well, the time is lost in the application.",
                "s",
                NOTHING,
                links=_model_links(),
                least=0,
            ),
            width=8,
        )
    yield series(
        "Share of calls that failed, by model",
        Query(
            f"{_window('errors', HOUR, 'model', labels=MODELS)}"
            f" / ({_window('observations', HOUR, 'model', labels=MODELS)} > 0)",
            "{{model}}",
        ),
        face=Face(
            "Of the calls of the hour before, those that applications mark as errors: refused by the model's server, "
            "or an answer that they could not use.",
            "percentunit",
            NOTHING,
            above(warning=alert("LitellmFailureRate")),
            links=_model_links(),
            least=0,
        ),
        width=8,
    )


def _scores() -> Iterator[Panel]:
    yield series(
        "Mean scores",
        Query(f"avg by (name) (llm_monitor_langfuse_score_mean{{{HOST}, {HOUR}}})", "{{name}}"),
        face=Face(
            "The mean of each score, by people or by evaluators, of the hour before. A lasting fall after a change of "
            "a model or a prompt is the reason to take it back.",
            "none",
            "No scores in this time.",
        ),
        width=8,
    )
    yield table(
        "Scores, last 24 hours",
        [
            Query(f"avg by (name) (llm_monitor_langfuse_score_mean{{{HOST}, {DAY}}})"),
            Query(_window("scores", DAY, "name")),
        ],
        columns=[
            Column("name", "Score"),
            Column("A", "Mean", unit="none", decimals=3),
            Column("B", "Times given", unit="short"),
        ],
        face=Face("Every score that was given; few of a kind prove little.", "short", "No scores in this time."),
        width=8,
        height=8,
        sort="Times given",
    )


def _use() -> Iterator[Panel]:
    yield series(
        "Tokens an hour",
        Query(_window("tokens", HOUR, "direction", labels=BOTH), "{{direction}}"),
        face=Face(
            "Tokens of the hour before each moment, in and out of the models chosen.",
            "short",
            NOTHING,
            least=0,
        ),
        colour={"input": colours.IN, "output": colours.OUT},
        stacked=True,
        width=8,
    )
    yield series(
        "Traces an hour",
        Query(_window("traces", HOUR), "Traces"),
        face=Face("Traces that began in the hour before each moment.", "short", NOTHING, least=0),
        width=8,
    )
    yield series(
        "Calls an hour, by model",
        Query(_window("observations", HOUR, "model", labels=MODELS), "{{model}}"),
        face=Face(
            "Calls of models that began in the hour before each moment. A model that falls to 0 while LiteLLM still "
            "gets requests for it is used by applications that no longer report.",
            "short",
            NOTHING,
            links=_model_links(),
            least=0,
        ),
        stacked=True,
        width=16,
    )


def _exporter() -> Iterator[Panel]:
    yield states(
        "What could be read from Langfuse",
        Query(f"llm_monitor_langfuse_collector_success{{{HOST}}}", "{{collector}}"),
        face=Face(
            "Red while a part of Langfuse can't be read. If only usage is red, the public or the secret key is wrong.",
            "short",
            EMPTY,
            meanings={1: ("Read", colours.OK), 0: ("Failed", colours.CRITICAL)},
            links=[to("monitoring-health", "The monitoring itself")],
        ),
        width=12,
    )
    yield series(
        "Questions that Langfuse does not answer",
        Query(
            f"sum by (endpoint, reason) (rate(llm_monitor_langfuse_upstream_errors_total{{{HOST}}}[$__rate_interval]))",
            "{{endpoint}} {{reason}}",
        ),
        face=Face(
            "Questions in a second that were refused or failed, by what was asked and why. rate_limited: ask less "
            "often, by the setting langfuse.interval.",
            "short",
            "All questions are answered.",
            least=0,
        ),
    )
