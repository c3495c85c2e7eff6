"""Whether the proxy in front of the models is well, and what its clients get."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, variables
from ..board import Board
from ..limits import above, alert
from ..links import cell, logs, to, variable
from ..panels import Face, Panel, series, stat
from ..queries import Query
from ..tables import Column, table
from . import _litellm_backends
from ._common import QUANTILES, UP, alerts_firing, of_model, quantile, quantiles
from ._litellm import BOTH, CONFIGURED, EMPTY, HOST, NOTHING, ONE


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        uid="litellm-status",
        title="LiteLLM status",
        folder="llm",
        description="Whether the proxy in front of the models is well, what clients get from it, and what it costs.",
        variables=[
            variables.instance("llm_monitor_litellm_ready"),
            variables.model(f"llm_monitor_litellm_model_configured{{{HOST}}}"),
        ],
    )
    made.row("", *_health(), *_pace(), *_times_and_load())
    made.row("What clients get", *_traffic(), *_failures(), *_latency())
    made.row("Deployments behind it", *_litellm_backends.deployments(), *_litellm_backends.detours())
    made.row("Tokens and money", *_litellm_backends.use())
    made.row(
        "Objectives of 30 days, and the exporter",
        *_litellm_backends.promises(),
        *_litellm_backends.exporter(),
        collapsed=True,
    )
    return made


def _health() -> Iterator[Panel]:
    yield _litellm()
    yield _its_database()
    yield _models_that_cant_be_used()
    yield alerts_firing("llm", "models and what serves them")


def _litellm() -> Panel:
    return stat(
        "LiteLLM",
        Query(
            f'min(llm_monitor_litellm_ready{{{HOST}, component="proxy"}}'
            f" or on (job, instance) llm_monitor_litellm_up{{{HOST}}})"
        ),
        face=Face(
            "Whether LiteLLM says that it is ready; of several the worst. When it is down no model can be used by it: "
            "look at its container and its logs, then at its database.",
            "short",
            EMPTY,
            meanings=UP,
            links=[
                to("docker-containers", "The containers"),
                logs("Errors in logs", instance=variable("instance"), level="error"),
            ],
        ),
    )


def _its_database() -> Panel:
    return stat(
        "Its database",
        Query(f'min(llm_monitor_litellm_ready{{{HOST}, component="db"}})'),
        face=Face(
            "Whether LiteLLM reaches its database. Without it keys, budgets and spend may be refused or lost. Grey: it "
            "has none, or does not say.",
            "short",
            "LiteLLM has none",
            meanings=UP,
        ),
    )


def _models_that_cant_be_used() -> Panel:
    return stat(
        "Models that can't be used",
        Query(f"sum(1 - model:llm_monitor_available:bool{ONE})"),
        face=Face(
            "Models of which no deployment answers. Normal is 0. The timeline below shows which, and since when.",
            "short",
            EMPTY,
            above(critical=1),
            links=[to("model-catalog", "All models")],
        ),
    )


def _pace() -> Iterator[Panel]:
    yield stat(
        "Requests",
        Query(f"sum(rate(llm_monitor_litellm_requests_total{{{BOTH}}}[$__rate_interval]))"),
        face=Face(
            "Requests that clients got an answer to in a second, failures among them. A fall to 0 at a busy hour means "
            "that clients no longer reach LiteLLM.",
            "reqps",
            EMPTY,
        ),
    )
    yield stat(
        "Requests that fail",
        Query(
            f"sum(model:llm_monitor_failures:rate5m{ONE} and on (model) {CONFIGURED})"
            f" / sum(model:llm_monitor_requests:rate5m{ONE} and on (model) {CONFIGURED})"
        ),
        face=Face(
            "The share of requests of the last 5 minutes that failed for no fault of the client. Find the model and "
            "the reason below.",
            "percentunit",
            NOTHING,
            above(warning=alert("LitellmFailureRate")),
            decimals=2,
        ),
    )


def _times_and_load() -> Iterator[Panel]:
    yield _slowest_5_percent_take()
    yield _litellm_adds()
    yield _in_flight()
    yield _spend_last_24_hours()


def _slowest_5_percent_take() -> Panel:
    return stat(
        "Slowest 5 % take",
        Query(quantile(0.95, f"llm_monitor_litellm_request_latency_seconds_bucket{{{BOTH}}}")),
        face=Face(
            "The time from a request's arrival to the end of its answer that 5 % exceed. Long answers take long; what "
            "counts is a change, which the trends compare with last week.",
            "s",
            NOTHING,
            links=[to("performance-trends", "Against last week")],
        ),
    )


def _litellm_adds() -> Panel:
    return stat(
        "LiteLLM adds",
        Query(quantile(0.95, f"llm_monitor_litellm_overhead_latency_seconds_bucket{{{BOTH}}}")),
        face=Face(
            "The time that LiteLLM itself adds to requests, which 5 % exceed; streamed ones are not measured. Usual "
            "are some milliseconds. When it grows, LiteLLM lacks CPU or its database is slow.",
            "s",
            NOTHING,
        ),
    )


def _in_flight() -> Panel:
    return stat(
        "In flight",
        Query(f"sum(llm_monitor_litellm_requests_in_flight{{{HOST}}})"),
        face=Face(
            "Requests that LiteLLM works on now, of all models. It grows when backends slow down: see their queues.",
            "short",
            EMPTY,
            links=[to("vllm-docker-status", "Queues of the backends")],
        ),
    )


def _spend_last_24_hours() -> Panel:
    return stat(
        "Spend, last 24 hours",
        Query("sum(job:llm_monitor_litellm_spend_usd:increase1d)"),
        face=Face(
            "What all models cost in 24 hours by LiteLLM's prices. Own GPUs cost what they cost: their price is on the "
            "trends. The alert BudgetExceeded has the limit, if the inventory sets one.",
            "currencyUSD",
            EMPTY,
            decimals=2,
            links=[to("performance-trends", "Over weeks")],
        ),
    )


def _traffic() -> Iterator[Panel]:
    yield series(
        "Requests by model",
        Query(f"sum by (model) (rate(llm_monitor_litellm_requests_total{{{BOTH}}}[$__rate_interval]))", "{{model}}"),
        face=Face(
            "Requests in a second by the model that clients ask for; other is what no model is configured for. "
            "A fallback counts for the model that answered.",
            "reqps",
            NOTHING,
            links=of_model(),
            least=0,
        ),
        stacked=True,
        width=8,
    )
    yield _requests_by_status()
    yield _requests_that_fail_by_reason()


def _requests_by_status() -> Panel:
    failed = f"(sum(rate(llm_monitor_litellm_failures_total{{{BOTH}}}[$__rate_interval])) or vector(0))"
    return series(
        "Requests by status",
        Query(f"sum(rate(llm_monitor_litellm_requests_total{{{BOTH}}}[$__rate_interval])) - {failed}", "succeeded"),
        Query(failed, "failed"),
        face=Face(
            "Requests in a second that clients got an answer to, and those that they got an error for. Some errors are "
            "the clients' own: the panel beside says why.",
            "reqps",
            NOTHING,
            least=0,
        ),
        stacked=True,
        colour={"succeeded": colours.OK, "failed": colours.CRITICAL},
        width=8,
    )


def _requests_that_fail_by_reason() -> Panel:
    return series(
        "Requests that fail, by reason",
        Query(
            f"sum by (reason) (rate(llm_monitor_litellm_failures_total{{{BOTH}}}[$__rate_interval])) > 0", "{{reason}}"
        ),
        face=Face(
            "Errors that clients got in a second. connection, timeout and unavailable: the backend; backend_limit and "
            "backend_auth: its provider refuses LiteLLM; auth, bad_request, context_window, content_filter and "
            "rate_limit: the client.",
            "reqps",
            "No request fails.",
            least=0,
        ),
        stacked=True,
        width=8,
    )


def _failures() -> Iterator[Panel]:
    yield series(
        "Share that fails, by model",
        Query(f"model:llm_monitor_failures:ratio_rate5m{ONE}", "{{model}}"),
        face=Face(
            "The share of a model's requests of 5 minutes that failed for no fault of the client. Above the line the "
            "alert LitellmFailureRate fires after 10 minutes.",
            "percentunit",
            NOTHING,
            above(warning=alert("LitellmFailureRate")),
            links=of_model(),
            least=0,
        ),
    )
    yield table(
        "Top errors",
        [
            Query(
                "topk(20, sum by (model, reason) "
                f"(increase(llm_monitor_litellm_failures_total{{{BOTH}}}[$__range])) > 0)"
            )
        ],
        columns=[
            Column("model", "Model", links=[to("litellm-status", "Only this model", model=cell("model"))]),
            Column("reason", "Reason"),
            Column("Value", "Requests", unit="short", decimals=0),
        ],
        face=Face(
            "How many requests failed in the time shown, by model and reason, the most frequent first.",
            "short",
            "No request has failed.",
        ),
        width=12,
        height=8,
        sort="Requests",
    )


def _latency() -> Iterator[Panel]:
    yield _time_of_a_whole_request()
    yield _proxy_against_backends()
    yield _time_to_first_token_by_model()


def _time_of_a_whole_request() -> Panel:
    return series(
        "Time of a whole request",
        *quantiles(f"llm_monitor_litellm_request_latency_seconds_bucket{{{BOTH}}}"),
        face=Face(
            "From a request's arrival to the end of its answer, of those that succeeded: half take longer than p50, "
            "5 % than p95, 1 % than p99. When only p99 rises, few long answers or one slow deployment are behind it.",
            "s",
            NOTHING,
            least=0,
        ),
        colour=QUANTILES,
        width=8,
    )


def _proxy_against_backends() -> Panel:
    return series(
        "Proxy against backends",
        Query(quantile(0.95, f"llm_monitor_litellm_request_latency_seconds_bucket{{{BOTH}}}"), "Whole request"),
        Query(
            "histogram_quantile(0.95, sum by (le) ("
            f"rate(llm_monitor_vllm_e2e_request_latency_seconds_bucket{{{HOST}}}[$__rate_interval])"
            ' and on (model) model:llm_monitor_litellm_routed:bool{litellm_model=~"$model"}))',
            "vLLM",
        ),
        Query(quantile(0.95, f"llm_monitor_litellm_overhead_latency_seconds_bucket{{{BOTH}}}"), "LiteLLM adds"),
        face=Face(
            "What 5 % exceed: the whole request, what our vLLM servers took for theirs, and what LiteLLM added. If "
            "only the first is high, time is lost between both or at other providers; if the third is, LiteLLM is "
            "slow.",
            "s",
            NOTHING,
            least=0,
        ),
        width=8,
    )


def _time_to_first_token_by_model() -> Panel:
    return series(
        "Time to first token, by model",
        Query(
            quantile(0.95, f"llm_monitor_litellm_time_to_first_token_seconds_bucket{{{BOTH}}}", "model"), "{{model}}"
        ),
        face=Face(
            "What 5 % of the streamed requests waited longer for their first token. It grows with queues and long "
            "prompts; the model's servers show which.",
            "s",
            "No streamed requests in this time.",
            links=of_model(),
            least=0,
        ),
        width=8,
    )
