"""The simulated vLLM servers through the vLLM exporter's own collectors, and their own pages."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.simulated import Life, Told, settings_of, tell
from exporter_testing.vllm import RECORDED, VllmStandIn, serving
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.metrics.family import COUNTER, Histogram, Sample, Value
from llm_monitor.base.upstream.exposition import read
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.identity import gpu_uuid
from llm_monitor.mock.sources.docker import SimulatedEngine, SimulatedGpuUse
from llm_monitor.mock.sources.vllm import SimulatedServers
from llm_monitor.vllm import metrics
from llm_monitor.vllm.exporter import Settings, build
from llm_monitor.vllm.facts import Reading
from llm_monitor.vllm.server import names
from llm_monitor.vllm.server.normal import Exposed

V = "llm_monitor_vllm_"
HOUR = 3600.0
STEP = 30.0
MODEL = "llama3-70b"
CONTAINER = f"vllm-{MODEL}"
# What is the server's own.
VARYING = ("container", "model", "path", "reason", "python", "version", "collector")
# What an endpoint without container can't tell, and what a server that answers has not.
WITH_CONTAINER = ("image", "tensor_parallel", "dtype")
PATH = f"/api/v1/containers/{CONTAINER}/metrics"


def servers(life: Life) -> SimulatedServers:
    view = life.view()
    return SimulatedServers(view, SimulatedEngine(view))


def exporter(life: Life) -> Exporter:
    view = life.view()
    source = SimulatedServers(view, SimulatedEngine(view))
    return build(settings_of("vllm", Settings), source, SimulatedGpuUse(view), view.time)


def told(life: Life) -> Told:
    return tell(exporter(life))


def ask(life: Life, path: str) -> httpx.Response:
    app = FastAPI()
    router = exporter(life).router
    assert router is not None
    app.include_router(router)

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a:9902") as client:
            return await client.get(path)

    return asyncio.run(get())


@pytest.fixture(scope="module")
def usual() -> Told:
    return told(Life().go_on(2 * HOUR))


def shapes(found: Told) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    left_out = ("upstream_errors_total", "gpu_assignment_ratio", "up", "last_success")
    return {
        (name, frozenset(pair for pair in labels if pair[0] not in WITH_CONTAINER))
        for name, labels in found.shapes(VARYING)
        if not name.removeprefix(V).startswith(left_out)
    }


def test_families_labels_and_buckets_are_those_of_the_recorded_server(usual: Told) -> None:
    listed = {"/v1/models": RECORDED.with_name("v1_models.json").read_bytes()}
    with serving(VllmStandIn(RECORDED.read_bytes(), bodies=listed)) as one:
        real = tell(build(settings_of("vllm", Settings, endpoints=f"a={one.address}")))
    # An endpoint has no container, so nothing tells its GPUs.
    gpu = metrics.GPU_ASSIGNMENT
    assert usual.families == real.families | {gpu.name: (gpu.kind, gpu.unit, gpu.help)}
    assert shapes(usual) == shapes(real)


def test_every_model_is_told_with_what_serves_it(usual: Told) -> None:
    models = {one.name for one in usual_fleet().models}
    assert set(usual.by(f"{V}info", "model")) == {(one,) for one in models}
    path = "meta-llama/Meta-Llama-3-70B-Instruct"
    about = {"version": "0.32.0", "tensor_parallel": 2, "dtype": "bfloat16", "path": path}
    assert usual.one(f"{V}info", model=MODEL, container=CONTAINER, **about) == 1
    assert usual.one(f"{V}max_model_length_tokens", model=MODEL) == 8192
    assert usual.by(f"{V}up", "container") == {(f"vllm-{one}",): 1 for one in models} | {("",): 1}
    assert usual.by(f"{V}upstream_errors_total", "reason") == {}


def test_numbers_agree_with_one_another(usual: Told) -> None:
    for (model,) in usual.by(f"{V}info", "model"):
        ended = sum(usual.by(f"{V}requests_total", "finished_reason", model=model).values())
        whole = usual.one(f"{V}e2e_request_latency_seconds_count", model=model)
        assert ended == pytest.approx(whole, rel=0.001)
        assert usual.one(f"{V}prefix_cache_hits_tokens_total", model=model) < usual.one(
            f"{V}prompt_tokens_total", model=model
        )
        assert 0 < usual.one(f"{V}kv_cache_usage_ratio", model=model) < 0.5


def test_gpus_are_those_that_the_models_run_on(usual: Told) -> None:
    assert usual.by(f"{V}gpu_assignment_ratio", "gpu_uuid", model=MODEL) == {
        (gpu_uuid(0, 0),): 1,
        (gpu_uuid(0, 1),): 1,
    }
    assert len(usual.by(f"{V}gpu_assignment_ratio", "gpu_uuid")) == 8


def page(life: Life) -> str:
    answer = ask(life, PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def test_the_page_is_a_part_of_what_the_recorded_server_exposes() -> None:
    recorded = {one.name: one for one in text_string_to_metric_families(RECORDED.read_text())}
    shown = list(text_string_to_metric_families(page(Life().go_on(HOUR))))
    assert {one.name for one in shown} >= {
        "vllm:request_prompt_tokens",
        "vllm:request_generation_tokens",
        "vllm:request_params_n",
        "process_cpu_seconds",
    }
    for family in shown:
        known = recorded[family.name]
        assert family.type == known.type
        labels = {(one.name, *sorted(one.labels)) for one in known.samples}
        assert {(one.name, *sorted(one.labels)) for one in family.samples} == labels
        if not family.name.endswith(("_tokens", "_perc")):
            values = {
                one.labels[key] for one in known.samples for key in one.labels.keys() & {"le"}
            }
            mine = {one.labels[key] for one in family.samples for key in one.labels.keys() & {"le"}}
            assert mine == values, family.name


def test_the_exporter_is_given_what_it_would_read_from_the_page() -> None:
    life = Life().go_on(HOUR)
    source = servers(life)
    read_from_it = Exposed(read(page(life).encode(), names.WANTED)).samples(CONTAINER)

    assert by_name(of(source, CONTAINER).samples or ()) == by_name(read_from_it)


def by_name(samples: Iterable[Sample]) -> list[tuple[str, tuple[str, ...], Value]]:
    return sorted((family.name, labels, value) for family, labels, value in samples)


def of(source: SimulatedServers, name: str) -> Reading:
    readings = source.survey(Deadline.after(5))
    return next(one for one in readings if one.server.name == name)


def test_prometheus_finds_each_server_and_scrapes_it_through_the_exporter() -> None:
    life = Life().go_on(HOUR)
    targets = ask(life, "/api/v1/targets").json()
    assert [one["labels"]["model"] for one in targets] == [one.name for one in usual_fleet().models]
    assert {
        "targets": ["a:9902"],
        "labels": {"__metrics_path__": PATH, "container": CONTAINER, "model": MODEL},
    } in targets
    assert f'vllm:num_requests_running{{engine="0",model_name="{MODEL}"}}' in page(life)


def test_the_api_goes_by_the_simulations_clock() -> None:
    one = ask(Life().go_on(HOUR), "/api/v1/containers").json()[0]
    assert one["uptime_seconds"] == HOUR + 900 - 2
    assert one["gpu_memory_used_gb"] == pytest.approx(2 * 0.9 * 150.754, rel=0.01)
    assert one["gpu_method"] == "processes"


def test_model_down_is_unreachable_while_its_container_runs() -> None:
    life = Life().go_on(HOUR).befall("model_down", MODEL).go_on(300)
    down = told(life)
    assert down.one(f"{V}up", container=CONTAINER) == 0
    # What it is, is known of before; what it does, nobody knows.
    assert (CONTAINER,) in down.by(f"{V}info", "container")
    assert (CONTAINER,) not in down.by(f"{V}requests_running", "container")
    assert down.one(f"{V}upstream_errors_total", container=CONTAINER, reason="timeout") >= 8
    # Its container runs on, and its GPUs are still its own.
    assert len(down.by(f"{V}gpu_assignment_ratio", "gpu_uuid", model=MODEL)) == 2
    assert ask(life, PATH).status_code == 504
    assert told(life.heal().go_on(2 * STEP)).one(f"{V}up", container=CONTAINER) == 1


def test_a_model_begins_anew_after_it_has_loaded() -> None:
    life = Life().go_on(HOUR).befall("container_stop", CONTAINER).go_on(3 * STEP)
    tokens, started = f"{V}generation_tokens_total", f"{V}start_time_seconds"
    stopped = told(life)
    assert stopped.one(f"{V}up", container=CONTAINER) == 0
    assert ask(life, PATH).status_code == 502
    assert CONTAINER not in ask(life, "/api/v1/targets").text
    loading = told(life.heal().go_on(2 * STEP))
    assert loading.one(f"{V}up", container=CONTAINER) == 0
    assert ask(life, PATH).status_code == 502
    loaded = told(life.go_on(5 * STEP))
    assert loaded.one(f"{V}up", container=CONTAINER) == 1
    assert loaded.one(f"{V}upstream_errors_total", container=CONTAINER, reason="refused") >= 3
    assert loaded.one(tokens, model=MODEL) < 0.2 * loaded.one(tokens, model="llama3-8b")
    assert loaded.one(started, model=MODEL) > loaded.one(started, model="llama3-8b") + HOUR


@pytest.mark.parametrize(("kind", "target"), [("gpu_lost", "0"), ("unserved", MODEL)])
def test_what_takes_the_container_down_takes_the_model_down(kind: str, target: str) -> None:
    down = told(Life().go_on(STEP).befall(kind, target).go_on(2 * STEP))
    assert down.one(f"{V}up", container=CONTAINER) == 0
    assert (MODEL,) not in down.by(f"{V}gpu_assignment_ratio", "model")


class Change:
    """What ten minutes with a fault do to a model.

    Attributes:
        later: What is told at their end.
    """

    def __init__(self, kind: str, value: float | None = None) -> None:
        life = Life().go_on(HOUR)
        if kind:
            life.befall(kind, MODEL, value)
        self._earlier = told(life.go_on(600))
        self.later = told(life.go_on(300))

    def now(self, name: str) -> float:
        return self.later.one(V + name, model=MODEL)

    def increase(self, name: str, **labels: str) -> float:
        one, two = (
            found.one(V + name, model=MODEL, **labels) for found in (self._earlier, self.later)
        )
        return two - one

    def above(self, name: str, bound: str) -> float:
        """Return the share of what was observed that lies above a bucket's bound."""
        below, count = self.increase(f"{name}_bucket", le=bound), self.increase(f"{name}_count")
        return 1 - below / count


def test_an_usual_day_has_none_of_it() -> None:
    usual = Change("")
    assert usual.now("requests_waiting") == 0
    assert usual.increase("generation_tokens_total") > 0
    assert usual.increase("preemptions_total") == 0
    assert usual.above("request_queue_time_seconds", "5.0") == 0
    assert usual.above("time_to_first_token_seconds", "1.0") < 0.01


def test_model_idle_ends_all_requests() -> None:
    idle = Change("model_idle")
    assert idle.now("requests_running") == idle.increase("prompt_tokens_total") == 0


def test_admission_stalled_lets_requests_wait_and_none_run() -> None:
    stalled = Change("admission_stalled")
    assert stalled.now("requests_waiting") > 0
    assert stalled.now("requests_running") == 0


def test_no_progress_lets_requests_run_without_tokens() -> None:
    stuck = Change("no_progress")
    assert stuck.now("requests_running") > 0
    assert stuck.increase("prompt_tokens_total") == stuck.increase("generation_tokens_total") == 0


def test_model_overload_makes_requests_wait_for_long() -> None:
    overloaded = Change("model_overload")
    assert overloaded.above("request_queue_time_seconds", "5.0") > 0.05
    assert overloaded.above("time_to_first_token_seconds", "2.5") > 0.5


def test_slow_takes_long_for_the_first_token() -> None:
    slow = Change("slow", 20)
    assert slow.above("time_to_first_token_seconds", "1.0") > 0.1


def test_long_prompts_fill_the_cache_and_let_requests_give_way() -> None:
    full = Change("long_prompts")
    assert full.now("kv_cache_usage_ratio") > 0.95
    assert full.now("requests_waiting") > 0
    assert full.increase("preemptions_total") / 300 > 0.1


def test_collector_failing_loses_all_servers() -> None:
    life = Life().go_on(STEP).befall("collector_failing", "vllm").go_on(2 * STEP)
    failing = told(life)
    assert failing.one(f"{V}collector_success", collector="servers") == 0
    assert failing.by(f"{V}info", "model") == {}
    assert ask(life, "/api/v1/targets").status_code == 503


SLOWING = ("model_down", "model_overload", "admission_stalled", "no_progress", "slow")
FAULTS = st.lists(
    st.sampled_from([*SLOWING, "long_prompts", "model_idle", "unserved", "provider_errors"]),
    max_size=3,
)


@given(faults=FAULTS, seconds=st.lists(st.integers(1, 200), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_histograms_add_up_and_counters_fall_at_a_start_only(
    faults: list[str], seconds: list[int]
) -> None:
    life = Life().go_on(STEP)
    source = servers(life)
    seen: list[dict[str, Reading]] = []
    for pause in seconds:
        for kind in faults:
            life.befall(kind, MODEL)
        readings = source.survey(Deadline.after(5)) if life.go_on(pause) else []
        seen.append({one.server.name: one for one in readings if one.samples is not None})
        life.heal()
    for earlier, later in pairwise(seen):
        for name in earlier.keys() & later.keys():
            if earlier[name].started == later[name].started:
                before, after = values(earlier[name]), values(later[name])
                assert all(after[key] >= value for key, value in before.items())
    for reading in (one for found in seen for one in found.values()):
        for _, _, value in reading.samples or ():
            if isinstance(value, Histogram):
                assert all(after >= before for before, after in pairwise(value.counts))
                assert (value.sum > 0) == (value.counts[-1] > 0)


def values(reading: Reading) -> dict[tuple[str, ...], float]:
    """Return all that only rises."""
    risen: dict[tuple[str, ...], float] = {}
    for family, labels, value in reading.samples or ():
        if isinstance(value, Histogram):
            parts = enumerate((*value.counts, value.sum))
            risen |= {(family.name, *labels, str(number)): part for number, part in parts}
        elif family.kind == COUNTER:
            risen[family.name, *labels] = value
    return risen
