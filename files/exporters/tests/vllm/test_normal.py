"""What servers expose, normalised: the recording, several engines, several models, old names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from llm_monitor.base.metrics.family import Family, Histogram
from llm_monitor.base.upstream.exposition import read
from llm_monitor.vllm import metrics
from llm_monitor.vllm.server import names
from llm_monitor.vllm.server.normal import Exposed

RECORDED = (Path(__file__).parent / "recorded/metrics.txt").read_bytes()

Given = dict[tuple[str, ...], object]


def given_by(body: str | bytes) -> Given:
    """Return our samples of `body` by names without prefix and labels' values."""
    text = body.encode() if isinstance(body, str) else body
    samples = Exposed(read(text, names.WANTED)).samples("c")
    return {
        (family.name.removeprefix("llm_monitor_vllm_"), *labels[1:]): value
        for family, labels, value in samples
    }


def test_the_recording_is_given_number_by_number() -> None:
    found = given_by(RECORDED)
    numbers = {key: value for key, value in found.items() if not isinstance(value, Histogram)}
    assert numbers == {
        ("requests_running", "tiny"): 0,
        ("requests_waiting", "tiny"): 0,
        ("requests_waiting_by_reason", "tiny", "capacity"): 0,
        ("requests_waiting_by_reason", "tiny", "deferred"): 0,
        ("prefix_cache_queries_tokens_total", "tiny"): 180,
        ("prefix_cache_hits_tokens_total", "tiny"): 0,
        ("preemptions_total", "tiny"): 0,
        ("prompt_tokens_total", "tiny"): 180,
        ("generation_tokens_total", "tiny"): 950,
        ("requests_total", "tiny", "stop"): 2,
        ("requests_total", "tiny", "length"): 29,
        ("requests_total", "tiny", "abort"): 0,
        ("requests_total", "tiny", "error"): 0,
        ("requests_total", "tiny", "repetition"): 0,
        ("kv_cache_capacity_tokens", "tiny"): 524288,
        ("kv_cache_usage_ratio", "tiny"): 0,
        ("engine_awake", "tiny"): 1,
    }
    assert set(found) - set(numbers) == {
        (f"{name}_seconds", "tiny")
        for name in (
            "time_to_first_token",
            "inter_token_latency",
            "e2e_request_latency",
            "request_queue_time",
            "request_prefill_time",
            "request_decode_time",
        )
    }


def quantile(share: float, bounds: tuple[float, ...], counts: tuple[float, ...]) -> float:
    """Return what Prometheus' histogram_quantile gives for cumulative `counts`."""
    rank = share * counts[-1]
    for place, count in enumerate(counts):
        if count >= rank:
            if place == len(bounds):
                return bounds[-1]
            low, before = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
            return low + (bounds[place] - low) * (rank - before) / (count - before)
    raise AssertionError


@pytest.mark.parametrize("source", names.HISTOGRAMS, ids=lambda one: one.names[0])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99, 1.0])
def test_percentiles_are_those_of_the_original(source: names.Source, share: float) -> None:
    ours = given_by(RECORDED)[source.family.name.removeprefix("llm_monitor_vllm_"), "tiny"]
    assert isinstance(ours, Histogram)
    theirs = [
        sample
        for family in text_string_to_metric_families(RECORDED.decode())
        for sample in family.samples
        if family.name == source.names[0] and sample.name.endswith("_bucket")
    ]
    bounds = tuple(float(sample.labels["le"]) for sample in theirs)[:-1]
    counts = tuple(sample.value for sample in theirs)
    assert quantile(share, ours.bounds, ours.counts) == quantile(share, bounds, counts)
    assert (ours.bounds, ours.counts) == (bounds, counts)


def engine(number: int, model: str = "m", *, tokens: int | None = 1000, usage: float = 0.5) -> str:
    """Return what one of several engines exposes."""
    labels = f'engine="{number}",model_name="{model}"'
    capacity = f',kv_cache_size_tokens="{tokens}"' if tokens is not None else ""
    return f"""\
vllm:num_requests_running{{{labels}}} {number + 1}
vllm:num_requests_waiting{{{labels}}} 10
vllm:kv_cache_usage_perc{{{labels}}} {usage}
vllm:cache_config_info{{engine="{number}",num_gpu_blocks="7",block_size="16"{capacity}}} 1
vllm:prompt_tokens_total{{{labels}}} 100
vllm:request_success_total{{{labels},finished_reason="stop"}} {number}
vllm:engine_sleep_state{{{labels},sleep_state="awake"}} {1 if usage else 0}
vllm:engine_sleep_state{{{labels},sleep_state="discard_all"}} {0 if usage else 1}
vllm:e2e_request_latency_seconds_bucket{{{labels},le="1"}} {number}
vllm:e2e_request_latency_seconds_bucket{{{labels},le="+Inf"}} 5
vllm:e2e_request_latency_seconds_count{{{labels}}} 5
vllm:e2e_request_latency_seconds_sum{{{labels}}} 2.5
"""


def test_engines_are_added_up() -> None:
    found = given_by(engine(0) + engine(1) + engine(2))
    assert found == {
        ("requests_running", "m"): 6,
        ("requests_waiting", "m"): 30,
        ("prompt_tokens_total", "m"): 300,
        ("requests_total", "m", "stop"): 3,
        ("e2e_request_latency_seconds", "m"): Histogram((1.0,), (3, 15), 7.5),
        ("kv_cache_capacity_tokens", "m"): 3000,
        ("kv_cache_usage_ratio", "m"): 0.5,
        ("engine_awake", "m"): 1,
    }


def test_a_larger_cache_weighs_more() -> None:
    found = given_by(engine(0, tokens=3000, usage=1.0) + engine(1, tokens=1000, usage=0.2))
    assert found["kv_cache_usage_ratio", "m"] == pytest.approx(0.8)
    assert found["kv_cache_capacity_tokens", "m"] == 4000


@pytest.mark.parametrize("tokens", [None, 0])
def test_no_capacity_is_made_up_where_one_engine_does_not_tell(tokens: int | None) -> None:
    found = given_by(engine(0, tokens=tokens, usage=1.0) + engine(1, usage=0.2))
    assert ("kv_cache_capacity_tokens", "m") not in found
    assert found["kv_cache_usage_ratio", "m"] == pytest.approx(0.6)


def test_one_engine_asleep_is_not_awake() -> None:
    assert given_by(engine(0) + engine(1, usage=0.0))["engine_awake", "m"] == 0


def test_models_of_one_server_are_told_apart() -> None:
    found = given_by(engine(0, "a") + engine(0, "b", usage=0.1).replace("vllm:cache", "other"))
    assert found["kv_cache_usage_ratio", "a"] == 0.5
    assert found["kv_cache_usage_ratio", "b"] == 0.1
    assert found["prompt_tokens_total", "a"] == found["prompt_tokens_total", "b"] == 100


def test_gauges_of_several_processes_count_once() -> None:
    process = engine(0).replace('model_name="m"', 'model_name="m",pid="{}"')
    both = process.replace("{}", "7") + process.replace("{}", "8")
    found = given_by(
        "".join(line + "\n" for line in both.splitlines() if "cache_config" not in line)
    )
    assert found["requests_running", "m"] == 1
    assert found["kv_cache_usage_ratio", "m"] == 0.5
    assert found["prompt_tokens_total", "m"] == 200


V0 = """\
vllm:cache_config_info{block_size="16",num_gpu_blocks="1000"} 1.0
vllm:num_requests_running{model_name="m"} 3.0
vllm:num_requests_swapped{model_name="m"} 1.0
vllm:num_requests_waiting{model_name="m"} 4.0
vllm:gpu_cache_usage_perc{model_name="m"} 0.25
vllm:cpu_cache_usage_perc{model_name="m"} 0.75
vllm:num_preemptions_total{model_name="m"} 5.0
vllm:prompt_tokens_total{model_name="m"} 6.0
vllm:generation_tokens_total{model_name="m"} 7.0
vllm:request_success_total{finished_reason="stop",model_name="m"} 8.0
vllm:time_per_output_token_seconds_bucket{le="0.01",model_name="m"} 9.0
vllm:time_per_output_token_seconds_bucket{le="+Inf",model_name="m"} 10.0
vllm:time_per_output_token_seconds_count{model_name="m"} 10.0
vllm:time_per_output_token_seconds_sum{model_name="m"} 0.5
vllm:time_in_queue_requests_bucket{le="+Inf",model_name="m"} 2.0
vllm:time_in_queue_requests_count{model_name="m"} 2.0
vllm:time_in_queue_requests_sum{model_name="m"} 1.0
"""


def test_the_first_engine_s_names_are_understood() -> None:
    assert given_by(V0) == {
        ("requests_running", "m"): 3,
        ("requests_waiting", "m"): 4,
        ("kv_cache_usage_ratio", "m"): 0.25,
        ("preemptions_total", "m"): 5,
        ("prompt_tokens_total", "m"): 6,
        ("generation_tokens_total", "m"): 7,
        ("requests_total", "m", "stop"): 8,
        ("inter_token_latency_seconds", "m"): Histogram((0.01,), (9, 10), 0.5),
        ("request_queue_time_seconds", "m"): Histogram((), (2,), 1.0),
    }


def test_where_old_and_new_names_are_given_the_new_one_counts() -> None:
    body = "".join(
        f'vllm:{name}{{engine="0",model_name="m"}} {value}\n'
        for name, value in {
            "gpu_cache_usage_perc": 0.1,
            "kv_cache_usage_perc": 0.2,
            "gpu_prefix_cache_queries_total": 3,
            "prefix_cache_queries_total": 4,
            "gpu_prefix_cache_hits_total": 5,
            "prefix_cache_hits_total": 6,
        }.items()
    )
    assert given_by(body) == {
        ("kv_cache_usage_ratio", "m"): 0.2,
        ("prefix_cache_queries_tokens_total", "m"): 4,
        ("prefix_cache_hits_tokens_total", "m"): 6,
    }


def test_an_engine_that_was_restarted_counts_anew() -> None:
    before, after = (f'vllm:prompt_tokens_total{{model_name="m"}} {n}\n' for n in (500, 3))
    assert given_by(before)["prompt_tokens_total", "m"] == 500
    assert given_by(after)["prompt_tokens_total", "m"] == 3


def test_every_family_that_servers_tell_comes_from_somewhere() -> None:
    sources = {one.family for one in (*names.GAUGES, *names.COUNTERS, *names.HISTOGRAMS)}
    others: set[Family] = {
        metrics.UP,
        metrics.UPSTREAM_ERRORS,
        metrics.INFO,
        metrics.START_TIME,
        metrics.MAX_MODEL_LENGTH,
        metrics.KV_CACHE_USAGE,
        metrics.KV_CACHE_CAPACITY,
        metrics.ENGINE_AWAKE,
        metrics.GPU_ASSIGNMENT,
    }
    assert sources | others == set(metrics.FAMILIES)


@given(st.lists(st.sampled_from(sorted(names.WANTED)), max_size=30), st.floats(-1e9, 1e9))
def test_no_choice_of_series_breaks_it(chosen: list[str], value: float) -> None:
    given_by(
        "".join(f'{name}{{model_name="m",le="1"}} {value}\n' for name in dict.fromkeys(chosen))
    )
