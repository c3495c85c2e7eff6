"""Which models there are, what serves them, by what name they can be asked for, and whether they can."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours, variables
from ..board import Board
from ..limits import above, below, default
from ..links import cell, label, logs, outside, to
from ..panels import Face, Panel, stat, states
from ..queries import Query
from ..tables import Column, table
from ._common import UP, alerts_firing

EMPTY = "Neither a vLLM nor a LiteLLM exporter reports."
HOST = 'instance=~"$instance"'
BOTH = f'{HOST}, model=~"$model"'
ONE = '{model=~"$model"}'
SERVER = "instance, container, model"
ROUTED = f"model:llm_monitor_litellm_routed:bool{ONE}"
NAMED = (
    f"(llm_monitor_vllm_info{{{BOTH}}} unless on ({SERVER})"
    f" instance_container_model:llm_monitor_vllm_other_name:bool{{{HOST}}})"
)
SERVED = f"instance_container_model:llm_monitor_vllm_up:bool{{{BOTH}}} and on ({SERVER}) {NAMED}"


def board() -> Board:
    """Return the dashboard."""
    names = "llm_monitor_vllm_info|model:llm_monitor_litellm_routed:bool"
    made = Board(
        uid="model-catalog",
        title="Model catalogue",
        folder="llm",
        description="Which models there are, what serves them, by what names clients ask, and whether they can.",
        variables=[
            variables.instance('{__name__=~"llm_monitor_vllm_info|llm_monitor_litellm_model_configured"}'),
            variables.model(f'{{__name__=~"{names}", instance=~"$instance|"}}'),
        ],
    )
    made.row("", *_status(), _catalogue())
    made.row("Since when", _availability())
    made.row("Where vLLM and LiteLLM differ", *_unserved(), *_unrouted())
    return made


def as_served(expression: str) -> str:
    """Return what is known by the names that clients ask for, with the names that the backends know as well."""
    return (
        f"{ROUTED} * on (litellm_model) group_left ()"
        f' max by (litellm_model) (label_replace({expression}, "litellm_model", "$1", "model", "(.+)"))'
    )


def _status() -> Iterator[Panel]:
    yield stat(
        "Models",
        Query(f"count(group by (model) ({NAMED} or {ROUTED}))"),
        face=Face("Models that a vLLM serves or that LiteLLM routes to.", "short", EMPTY),
    )
    yield stat(
        "Can't be used",
        Query(f"sum(1 - ({as_served('model:llm_monitor_available:bool')}))"),
        face=Face(
            "Models that clients can't use: no deployment answers LiteLLM. Normal is 0. Red in the table below; its "
            "server or its provider is the cause.",
            "short",
            "LiteLLM routes to no model.",
            above(critical=1),
        ),
    )
    yield stat(
        "Routed, but not served",
        Query(f"sum(model:llm_monitor_routed_not_served:bool{ONE}) or 0 * count({ROUTED})"),
        face=Face(
            "Models that LiteLLM routes to, which a vLLM of ours has served within a week, and none does now. Normal "
            "is 0. Requests fail or go to a fallback: start the server, or take the model out of LiteLLM.",
            "short",
            "LiteLLM routes to no model.",
            above(critical=1),
        ),
    )
    yield stat(
        "Served, but not routed",
        Query(f"sum(model:llm_monitor_served_not_routed:bool{ONE}) or 0 * count({SERVED})"),
        face=Face(
            "Models that a vLLM serves and to which LiteLLM routes nothing. Normal is 0. They hold GPUs and get no "
            "requests by LiteLLM: add them to it, or stop them.",
            "short",
            EMPTY,
            above(warning=1),
        ),
    )
    yield alerts_firing("llm", "models and what serves them")


def _catalogue() -> Panel:
    return table(
        "All models",
        _known(),
        columns=_columns(),
        face=Face(
            "A line for each model and server. vLLM: whether its server answers. Usable: whether clients can use it by "
            "LiteLLM. Prices are LiteLLM's, for a million tokens. Models that were there earlier in the time shown "
            "stay with the time at which they were last seen.",
            "short",
            EMPTY,
        ),
        height=11,
        sort="Model",
        rising=True,
    )


def _known() -> list[Query]:
    seen = f"timestamp(instance_container_model:llm_monitor_vllm_up:bool{{{BOTH}}} == 1)[$__range:5m]"
    usable = "max_over_time(timestamp(model:llm_monitor_available:bool == 1)[$__range:5m])"
    length = f"llm_monitor_vllm_max_model_length_tokens{{{BOTH}}}"
    context = as_served(f"llm_monitor_litellm_model_context_tokens{{{HOST}}}")
    requests = "86400 * model:llm_monitor_requests:rate1d"
    page = '"page", "$1", "path", "([a-zA-Z0-9_.-]+/[a-zA-Z0-9_.-]+)"'
    about = f"{SERVER}, version, dtype, tensor_parallel, page"
    gone = f"last_over_time(llm_monitor_vllm_info{{{BOTH}}}[$__range]) unless on ({SERVER})"
    price = "1000000 * llm_monitor_litellm_model_price_usd_per_token"
    # Labels that only some series of a query have would be empty in the others, and no line would agree with another:
    # what is known by different labels is told by the model alone.
    named = (
        f"label_replace(label_replace(llm_monitor_litellm_model_info{{{HOST}}},"
        ' "litellm_model", "$1", "model", "(.+)"), "model", "$1", "served_model", "(.+)")'
    )
    return [
        Query(f"group by ({about}) (label_replace({NAMED} or {gone} llm_monitor_vllm_info{{{BOTH}}}, {page}))"),
        Query(
            f"group by (model, litellm_model, provider, type) ({named} and on (model, litellm_model) {ROUTED})"
            f" or on (model, litellm_model) {ROUTED}"
        ),
        Query(f"min by ({SERVER}) ({SERVED})"),
        Query(as_served("model:llm_monitor_available:bool")),
        Query(as_served("model:llm_monitor_available:avg30d")),
        Query(f"1000 * (max by (model) (max_over_time({seen})) or max by (model) ({as_served(usable)}))"),
        Query(f"max by (model) ({length}) or max by (model) ({context})"),
        Query(f"sum by ({SERVER}) (llm_monitor_vllm_gpu_assignment_ratio{{{BOTH}}})"),
        Query(as_served(f'{price}{{{HOST}, direction="input"}}')),
        Query(as_served(f'{price}{{{HOST}, direction="output"}}')),
        Query(f"sum by (model) ({as_served(requests)}) or sum by (model) ({requests}{ONE} and on (model) {SERVED})"),
        Query(f"86400 * avg_over_time(model:llm_monitor_tokens:rate5m{ONE}[1d])"),
    ]


def _columns() -> list[Column]:
    server = {"instance": cell("instance"), "container": cell("container")}
    return [
        Column(
            "model",
            "Model",
            links=[
                to("vllm-docker-status", "Its vLLM servers", model=cell("model")),
                to("performance-trends", "Over weeks", model=cell("model")),
            ],
        ),
        Column("type", "Type", width=90),
        Column(
            "litellm_model", "LiteLLM name", links=[to("litellm-status", "In LiteLLM", model=cell("litellm_model"))]
        ),
        Column("C", "vLLM", meanings=UP, width=70),
        Column("D", "Usable", meanings={1: ("Yes", colours.OK), 0: ("No", colours.CRITICAL)}, width=75),
        Column("F", "Last seen", unit="dateTimeFromNow"),
        Column(
            "container",
            "Container",
            links=[
                to("vllm-docker-status", "Its vLLM server", **server),
                to("docker-containers", "The container", **server),
                logs("Its logs", **server),
            ],
        ),
        *_about(),
    ]


def _about() -> list[Column]:
    return [
        Column("version", "vLLM version", width=100),
        Column("G", "Context", unit="locale", width=90),
        Column("dtype", "Type of weights", width=115),
        Column("tensor_parallel", "Tensor parallel", width=115),
        Column("H", "GPUs", unit="short", width=65),
        Column("I", "Price in", unit="currencyUSD", width=85, decimals=2),
        Column("J", "Price out", unit="currencyUSD", width=85, decimals=2),
        Column("K", "Requests, 24 h", unit="short", decimals=0, width=115),
        Column("L", "Tokens, 24 h", unit="short", decimals=1, width=105),
        Column(
            "E",
            "Available, 30 days",
            unit="percentunit",
            limits=below(warning=default("prometheus_objective")),
            decimals=2,
        ),
        Column("provider", "Provider"),
        Column(
            "page",
            "Hugging Face",
            links=[outside("Its page on Hugging Face", 'https://huggingface.co/${__data.fields["page"]}')],
        ),
    ]


def _availability() -> Panel:
    served = f"max by (model) ({SERVED}) unless on (model) {ROUTED}"
    return states(
        "Availability for clients",
        Query(f"max by (litellm_model) ({as_served('model:llm_monitor_available:bool')})", "{{litellm_model}}"),
        Query(served, "{{model}} (not in LiteLLM)"),
        face=Face(
            "Green while a model can be used by the name that clients ask for, red while it can't. Several that turn "
            "red at once share a cause: LiteLLM, a GPU or the host.",
            "short",
            EMPTY,
            meanings={1: ("Usable", colours.OK), 0: ("Not usable", colours.CRITICAL)},
            links=[to("litellm-status", "In LiteLLM", model=label("litellm_model"))],
        ),
    )


def _unserved() -> Iterator[Panel]:
    yield table(
        "Routed by LiteLLM, served by no vLLM",
        [
            Query(f"max by (model, litellm_model) (model:llm_monitor_routed_not_served:bool{ONE} == 1)"),
            Query(
                f"max by (model, litellm_model) ({as_served('model:llm_monitor_requests:rate5m')}"
                f" and on (model) model:llm_monitor_routed_not_served:bool{ONE} == 1)"
            ),
        ],
        columns=[
            Column("litellm_model", "LiteLLM name", links=[to("litellm-status", "In LiteLLM")]),
            Column(
                "model", "Name at the backend", links=[to("vllm-docker-status", "vLLM servers", model=cell("model"))]
            ),
            Column("B", "Requests a second", unit="reqps"),
        ],
        face=Face(
            "Requests for these fail or go to a fallback. Only models that a vLLM of ours has served within a week are "
            "told: others may be at a provider.",
            "short",
            "None: all that LiteLLM routes to is served.",
        ),
        width=12,
        height=6,
    )


def _unrouted() -> Iterator[Panel]:
    yield table(
        "Served by a vLLM, not routed by LiteLLM",
        [
            Query(
                f"max by ({SERVER}) (instance_container_model:llm_monitor_vllm_up:bool{{{BOTH}}} and on (model)"
                f" model:llm_monitor_served_not_routed:bool{ONE} == 1)"
            ),
            Query(
                f"sum by ({SERVER}) (llm_monitor_vllm_gpu_assignment_ratio{{{BOTH}}} and on (model)"
                f" model:llm_monitor_served_not_routed:bool{ONE} == 1)"
            ),
        ],
        columns=[
            Column(
                "container",
                "Container",
                links=[
                    to("docker-containers", "The container", instance=cell("instance"), container=cell("container"))
                ],
            ),
            Column("instance", "Host"),
            Column("model", "Model"),
            Column("B", "GPUs that it holds", unit="short"),
        ],
        face=Face(
            "These hold GPUs and get no requests by LiteLLM. Add them to LiteLLM, or stop them.",
            "short",
            "None: LiteLLM routes to all that is served.",
        ),
        width=12,
        height=6,
    )
