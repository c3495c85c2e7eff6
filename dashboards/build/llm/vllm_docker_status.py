"""How the vLLM servers do, each in its container."""

from __future__ import annotations

from collections.abc import Iterator

from .. import variables
from ..board import Board
from ..limits import above, alert, default
from ..links import cell, logs, to
from ..panels import Face, Panel, stat, states
from ..queries import Query
from ..tables import Column, table
from ._common import UP, alerts_firing, of_container, quantile
from ._vllm_server import CHOSEN, EMPTY, SERVER, one

# Once for each server, whatever else it is called.
ANSWERS = (
    f"instance_container_model:llm_monitor_vllm_up:bool{{{CHOSEN}}} unless on (instance, container, model)"
    f" instance_container_model:llm_monitor_vllm_other_name:bool{{{SERVER}}}"
)
BY = "instance, container, model"


def board() -> Board:
    """Return the dashboard."""
    hosts = 'instance=~"$instance"'
    made = Board(
        uid="vllm-docker-status",
        title="vLLM servers",
        folder="llm",
        description="How the vLLM servers do: all at a glance, then a row for each with its model and container.",
        variables=[
            variables.instance("llm_monitor_vllm_info"),
            variables.model(f"llm_monitor_vllm_info{{{hosts}}}"),
            variables.container(f'llm_monitor_vllm_info{{{hosts}, model=~"$model"}}'),
        ],
    )
    made.row("", *_status())
    made.row("$container", *one(), collapsed=True, repeat="container")
    return made


def _status() -> Iterator[Panel]:
    yield _servers_down()
    yield alerts_firing("llm", "models and what serves them")
    yield _running()
    yield _waiting()
    yield _tokens_a_second()
    yield _servers()
    yield _which_server_answered_when()


def _servers_down() -> Panel:
    return stat(
        "Servers down",
        Query(f"sum(1 - ({ANSWERS}))"),
        face=Face(
            "vLLM servers that don't answer or call themselves unhealthy. Normal is 0. The table names them; a server "
            "that loads its model does not answer for minutes.",
            "short",
            EMPTY,
            above(critical=1),
        ),
    )


def _running() -> Panel:
    return stat(
        "Running",
        Query(f"sum(llm_monitor_vllm_requests_running{{{CHOSEN}}})"),
        face=Face("Requests that are being computed now, on all servers chosen.", "short", EMPTY),
    )


def _waiting() -> Panel:
    return stat(
        "Waiting",
        Query(f"sum(llm_monitor_vllm_requests_waiting{{{CHOSEN}}})"),
        face=Face(
            "Requests that wait for their turn now. A few are normal at busy hours; a queue that grows means that a "
            "server is overloaded or stuck.",
            "short",
            EMPTY,
        ),
    )


def _tokens_a_second() -> Panel:
    return stat(
        "Tokens a second",
        Query(f"sum(instance_container_model:llm_monitor_vllm_tokens:rate5m{{{CHOSEN}}})"),
        face=Face("Tokens read and written in a second, over 5 minutes, on all servers chosen.", "short", EMPTY),
    )


def _columns() -> list[Column]:
    this = {"instance": cell("instance"), "container": cell("container")}
    links = [
        to("vllm-docker-status", "Only this server", **this, model=cell("model")),
        to("docker-containers", "The container", **this),
        logs("Its logs", **this),
    ]
    return [
        Column("container", "Container", links=links),
        Column("instance", "Host", links=[to("server-health", "The host", instance=cell("instance"))]),
        Column("model", "Model", links=[to("model-catalog", "In the catalogue", model=cell("model"))]),
        Column("A", "Status", meanings=UP),
        Column("B", "Running", unit="short", decimals=0),
        Column("C", "Waiting", unit="short", decimals=0),
        Column("D", "First token, slowest 5 %", unit="s", limits=above(warning=default("prometheus_ttft_target"))),
        Column("E", "Queue, slowest 5 %", unit="s", limits=above(warning=alert("VllmQueueTimeHigh"))),
        Column("F", "KV cache", unit="percentunit", limits=above(warning=alert("VllmKvCachePressure")), decimals=0),
        Column("G", "Tokens a second", unit="short", decimals=0),
        Column("H", "GPUs", unit="short", links=[to("gpu-usage", "The host's GPUs", instance=cell("instance"))]),
        Column("I", "Up for", unit="s"),
    ]


def _which_server_answered_when() -> Panel:
    return states(
        "Which server answered when",
        Query(f"min by (instance, container) ({ANSWERS})", "{{container}}"),
        face=Face(
            "Green while a server answers, red while it does not. Red from its start on for some minutes: it loads its "
            "model. Red and green in turns: it crashes, and its log says why.",
            "short",
            EMPTY,
            meanings=UP,
            links=of_container(),
        ),
        width=24,
        height=6,
    )


def _servers() -> Panel:
    started = f"max by ({BY}) (llm_monitor_vllm_start_time_seconds{{{CHOSEN}}})"
    return table(
        "Servers",
        [
            Query(f"min by ({BY}) ({ANSWERS})"),
            Query(f"sum by ({BY}) (llm_monitor_vllm_requests_running{{{CHOSEN}}})"),
            Query(f"sum by ({BY}) (llm_monitor_vllm_requests_waiting{{{CHOSEN}}})"),
            Query(quantile(0.95, f"llm_monitor_vllm_time_to_first_token_seconds_bucket{{{CHOSEN}}}", *BY.split(", "))),
            Query(f"max by ({BY}) (instance_container_model:llm_monitor_vllm_queue_time:p95_rate5m{{{CHOSEN}}})"),
            Query(f"max by ({BY}) (llm_monitor_vllm_kv_cache_usage_ratio{{{CHOSEN}}})"),
            Query(f"sum by ({BY}) (instance_container_model:llm_monitor_vllm_tokens:rate5m{{{CHOSEN}}})"),
            Query(f"sum by ({BY}) (llm_monitor_vllm_gpu_assignment_ratio{{{CHOSEN}}})"),
            Query(f"time() - {started}"),
        ],
        columns=_columns(),
        face=Face(
            "A line for each server. Coloured values are over the limit of an alert; a click on a container leads to "
            "it alone, to its resources and to its logs.",
            "short",
            EMPTY,
        ),
        height=8,
        sort="Status",
        rising=True,
    )
