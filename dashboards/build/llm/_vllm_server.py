"""One vLLM server: the row that is repeated for each."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..heatmaps import by_bucket
from ..limits import NONE, above, alert, default
from ..links import logs, to, variable
from ..panels import Face, Panel, series, stat
from ..panels import logs as log_lines
from ..queries import LogQuery, Query
from ._common import QUANTILES, UP_OR_LOADING, quantiles

EMPTY = "No vLLM exporter reports."
NOTHING = "No requests in this time."
# The server in whose row a panel stands.
SERVER = 'instance=~"$instance", container=~"$container"'
CHOSEN = f'{SERVER}, model=~"$model"'
# What ends the sum of the rate of a counter.
RATE = f"{{{SERVER}}}[$__rate_interval]))"
HERE = {"instance": variable("instance"), "container": variable("container")}


def one() -> Iterator[Panel]:
    """Give what a server runs, how fast it is, what it has to do, and its container."""
    yield from _server()
    yield from _times()
    yield from _prefill()
    yield from _work()
    yield from _ends()
    yield from _container()


def _server() -> Iterator[Panel]:
    yield _what_it_runs()
    yield _status_panel()
    yield _gpus()


def _what_it_runs() -> Panel:
    return stat(
        "What it runs",
        Query(
            f"group by (model, version) (llm_monitor_vllm_info{{{CHOSEN}}} unless on (instance, container, model)"
            f" instance_container_model:llm_monitor_vllm_other_name:bool{{{SERVER}}})",
            "{{model}}, vLLM {{version}}",
        ),
        face=Face("The model that the server has, and vLLM's version; as last told, if it is down.", "string", EMPTY),
        width=10,
        height=3,
        names=True,
    )


def _status_panel() -> Panel:
    return stat(
        "Status",
        Query(
            f"min(2 * instance_container:llm_monitor_vllm_loading:bool{{{SERVER}}}"
            f" or on (instance, container) llm_monitor_vllm_up{{{SERVER}}})"
        ),
        face=Face(
            "Whether the server answers. Loading: somebody has started it since it last answered, and it reads its "
            "model, which takes minutes.",
            "short",
            EMPTY,
            meanings=UP_OR_LOADING,
            links=[logs("Its logs", **HERE), to("docker-containers", "The container", **HERE)],
        ),
        width=7,
        height=3,
    )


def _gpus() -> Panel:
    return stat(
        "GPUs",
        Query(f"sum(llm_monitor_vllm_gpu_assignment_ratio{{{SERVER}}})"),
        face=Face(
            "GPUs that count for the server: one that it shares with another model counts as half.",
            "short",
            "Not known which",
            links=[to("gpu-usage", "The GPUs", instance=variable("instance"))],
        ),
        width=7,
        height=3,
    )


def _times() -> Iterator[Panel]:
    yield _requests()
    for title, name, description, limit in (
        (
            "Time to first token",
            "time_to_first_token",
            "From a request to its first token. The line is the target; when much comes later, TtftSlow fires. It "
            "grows with the queue and with long prompts.",
            above(warning=default("prometheus_ttft_target")),
        ),
        (
            "Time between tokens",
            "inter_token_latency",
            "From one token to the next: how fast text appears. It grows with the number of requests that run at once, "
            "and when a GPU is slowed down.",
            NONE,
        ),
        (
            "Whole request",
            "e2e_request_latency",
            "From a request to its end. It grows with the length of answers, so compare it with the lengths below.",
            NONE,
        ),
        (
            "Time in the queue",
            "request_queue_time",
            "How long requests waited. Above the line VllmQueueTimeHigh fires: the server is asked for more than it "
            "can do. Add a replica, or let LiteLLM send less.",
            above(warning=alert("VllmQueueTimeHigh")),
        ),
    ):
        buckets = f"llm_monitor_vllm_{name}_seconds_bucket{{{SERVER}}}"
        meaning = f"{description} Half take longer than p50, 5 % than p95, 1 % than p99."
        face = Face(meaning, "s", NOTHING, limit, least=0)
        yield series(title, *quantiles(buckets), face=face, colour=QUANTILES, width=8)


def _prefill() -> Iterator[Panel]:
    yield series(
        "Prefill against decode",
        *(
            Query(
                f"sum(rate(llm_monitor_vllm_request_{name}_time_seconds_sum{{{SERVER}}}[$__rate_interval]))"
                f" / sum(rate(llm_monitor_vllm_request_{name}_time_seconds_count{{{SERVER}}}[$__rate_interval]))",
                title,
            )
            for name, title in (("prefill", "Prompt (prefill)"), ("decode", "Answer (decode)"))
        ),
        face=Face(
            "What a request's mean time is made of: reading its prompt, and writing its answer. Much prefill calls for "
            "prefix caching or shorter prompts, much decode for more memory bandwidth or smaller weights.",
            "s",
            NOTHING,
            least=0,
        ),
        colour={"Prompt.*": colours.IN, "Answer.*": colours.OUT},
        stacked=True,
        width=8,
    )


def _requests() -> Panel:
    return series(
        "Running and waiting",
        Query(f"sum(llm_monitor_vllm_requests_running{{{SERVER}}})", "Running"),
        Query(f"sum(llm_monitor_vllm_requests_waiting{{{SERVER}}})", "Waiting"),
        face=Face(
            "Requests that are computed and that wait. Some waiting and none running for 5 minutes: the server lets "
            "none in (VllmAdmissionStalled). Some running and no tokens: it is stuck (VllmNoProgress); start it again.",
            "short",
            EMPTY,
            least=0,
        ),
        colour={"Running": colours.USED, "Waiting": colours.WARNING},
        width=8,
    )


def _work() -> Iterator[Panel]:
    yield _tokens_of_prompts_and_answers()
    yield _kv_cache_and_prefix_hits()
    yield _preemptions()


def _tokens_of_prompts_and_answers() -> Panel:
    return series(
        "Tokens of prompts and answers",
        Query(f"sum(rate(llm_monitor_vllm_prompt_tokens_total{RATE}", "Prompts"),
        Query(f"sum(rate(llm_monitor_vllm_generation_tokens_total{RATE}", "Answers"),
        face=Face("Tokens read and written in a second.", "short", NOTHING, least=0),
        colour={"Prompts": colours.IN, "Answers": colours.OUT},
        width=8,
    )


def _kv_cache_and_prefix_hits() -> Panel:
    return series(
        "KV cache and prefix hits",
        Query(f"max(llm_monitor_vllm_kv_cache_usage_ratio{{{SERVER}}})", "KV cache in use"),
        Query(
            f"sum(rate(llm_monitor_vllm_prefix_cache_hits_tokens_total{RATE}"
            f" / sum(rate(llm_monitor_vllm_prefix_cache_queries_tokens_total{RATE}",
            "Prefix hits",
        ),
        face=Face(
            "The share of the KV cache in use: above the line with requests waiting, VllmKvCachePressure fires. And "
            "the share of prompt tokens that were found in the cache: when it falls, prefill gets dearer.",
            "percentunit",
            EMPTY,
            above(warning=alert("VllmKvCachePressure")),
            least=0,
            most=1,
        ),
        colour={"KV cache in use": colours.USED, "Prefix hits": colours.CACHED},
        width=8,
    )


def _preemptions() -> Panel:
    return series(
        "Preemptions",
        Query(f"sum(rate(llm_monitor_vllm_preemptions_total{RATE}", "Preemptions"),
        face=Face(
            "Requests in a second that lost their place in the KV cache and are computed again. Normal is 0; above the "
            "line VllmPreemptions fires: prompts are too long or too many for the cache.",
            "ops",
            EMPTY,
            above(warning=alert("VllmPreemptions")),
            least=0,
        ),
        width=8,
    )


def _ends() -> Iterator[Panel]:
    yield series(
        "How requests end",
        Query(
            f"sum by (finished_reason) (rate(llm_monitor_vllm_requests_total{RATE}",
            "{{finished_reason}}",
        ),
        face=Face(
            "Requests in a second by how they ended. stop: the model was done; length: the answer was cut at its "
            "limit; abort: the client went away, often since it took too long; error: see the log.",
            "reqps",
            NOTHING,
            least=0,
        ),
        stacked=True,
        width=8,
    )
    for title, name in (("Length of prompts", "prompt"), ("Length of answers", "generation")):
        yield by_bucket(
            title,
            Query(f"sum by (le) (rate(vllm:request_{name}_tokens_bucket{RATE}", "{{le}}"),
            face=Face(
                f"How many requests had how many tokens, from vLLM's own metrics: the darker the more. When {name} "
                "lengths move up, times and the KV cache follow.",
                "short",
                "vLLM's own metrics are not scraped.",
            ),
            width=8,
        )


def _container() -> Iterator[Panel]:
    named = 'instance=~"$instance", name=~"$container"'
    links = [to("docker-containers", "The container", **HERE)]
    yield series(
        "The container's CPU",
        Query(f"sum(rate(container_cpu_usage_seconds_total{{{named}}}[$__rate_interval]))", "Cores in use"),
        face=Face(
            "Cores that the container uses. vLLM needs one or two a GPU; when it gets no more, tokens come late though "
            "the GPU has time. The container's own dashboard has its limits.",
            "short",
            "No container exporter reports.",
            links=links,
            least=0,
        ),
        colour={"Cores in use": colours.USED},
    )
    yield series(
        "The container's memory",
        Query(f"sum(container_memory_working_set_bytes{{{named}}})", "In use"),
        face=Face(
            "Memory of the host, not of the GPU, that can't be freed. It shall not grow for hours: when a limit is "
            "reached, the kernel kills the server.",
            "bytes",
            "No container exporter reports.",
            links=links,
            least=0,
        ),
        colour={"In use": colours.USED},
    )
    yield log_lines(
        "Newest lines of its log",
        LogQuery(f'{{{SERVER}, container!=""}}'),
        face=Face(
            "The container's log, the newest line first. The log explorer filters by level and words.",
            "short",
            "No lines in this time, or the log shipper does not run.",
            links=[logs("In the log explorer", **HERE)],
        ),
        height=9,
    )
