"""What a simulated server writes to its logs, beside what its exporters tell."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_testing.simulated import START, Life, settings_of, tell
from llm_monitor.mock.fleet.layout import Container
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.identity import container_id, pid
from llm_monitor.mock.logs import told
from llm_monitor.mock.logs.roll import Line
from llm_monitor.mock.logs.span import Span
from llm_monitor.mock.logs.told import KERNEL, Told
from llm_monitor.mock.scenario.faults import KINDS, Fault
from llm_monitor.mock.sources.docker import SimulatedEngine, SimulatedGpuUse
from llm_monitor.mock.sources.vllm import SimulatedServers
from llm_monitor.vllm.exporter import Settings, build

V = "llm_monitor_vllm_"
FLEET = usual_fleet()
LONG_UP = 1200.0
MINUTES = 240.0
TICK = 10.0
WORKER = "langfuse-worker"
REPORT = re.compile(
    r"Avg prompt throughput: (?P<prompt>[\d.]+) tokens/s, "
    r"Avg generation throughput: (?P<generation>[\d.]+) tokens/s, "
    r"Running: (?P<running>\d+) reqs, Waiting: (?P<waiting>\d+) reqs, "
    r"GPU KV cache usage: (?P<cache>[\d.]+)%, Prefix cache hit rate: (?P<hits>[\d.]+)%$"
)

# A fault, and what it lets which log say: fault, target, value, log, pattern.
SHOWN = [
    ("gpu_lost", "3", None, KERNEL, r"NVRM: Xid \(PCI:0000:5d:00\): 79, pid=4202, name=VLLM::W"),
    ("gpu_lost", "3", None, "vllm-mixtral-8x7b", r"^\(Worker_TP1 pid=\d+\) Traceback \(most rec"),
    ("gpu_lost", "3", None, "vllm-mixtral-8x7b", r"AcceleratorError: CUDA error: unspecified"),
    ("gpu_lost", "3", None, "vllm-mixtral-8x7b", r"NCCL WARN Cuda failure"),
    ("gpu_lost", "3", None, "litellm", r"Falling back from model group mixtral-8x7b to llama3-8b"),
    ("gpu_lost", "3", None, "litellm", r"Deployment of mixtral-8x7b is in cooldown.*WARNING"),
    ("xid", "6", 31, KERNEL, r"NVRM: Xid \(PCI:0000:ba:00\): 31, pid=\d+, name=VLLM::EngineCor"),
    ("xid", "6", 31, "vllm-llama3-8b", r"CUDA error: an illegal memory access"),
    ("xid", "6", 120, KERNEL, r"NVRM: Xid \(PCI:0000:ba:00\): 120, "),
    ("row_remap", "4", None, KERNEL, r"Xid \(PCI:0000:9a:00\): 63, .*Row Remapper"),
    ("row_remap_failure", "4", None, KERNEL, r"Xid \(PCI:0000:9a:00\): 64, .*Row Remapper"),
    ("pcie_replays", "5", None, KERNEL, r"nvidia 0000:ab:00.0: PCIe Bus Error: severity=Corr"),
    ("oom_kill", "", 120, KERNEL, r"kernel: Out of memory: Killed process \d+ \(java\)"),
    ("container_oom", "redis", 60, KERNEL, r"Memory cgroup out of memory: .*\(redis\) total-vm"),
    ("container_oom", "redis", 60, "redis", r"\* starting$"),
    ("disk_used", "/", 1, "litellm-db", r"ERROR:  could not extend file: No space left on device"),
    ("disk_fill", "/", 1e5, "clickhouse", r"<Error> .*No space left on device"),
    ("disk_readonly", "/", None, KERNEL, r"EXT4-fs \(nvme0n1p2\): Remounting filesystem read-only"),
    ("disk_readonly", "/data", None, KERNEL, r"XFS \(nvme1n1\): log I/O error"),
    ("container_stop", "vllm-phi3-mini", 143, "vllm-phi3-mini", r"INFO:     Shutting down$"),
    ("container_stop", "vllm-phi3-mini", 1, "vllm-phi3-mini", r"ERROR .*EngineCore hit a fatal"),
    ("container_stop", "litellm-db", 0, "litellm-db", r"LOG:  received a signal, shutting down"),
    ("container_stop", "langfuse-web", 1, "langfuse-web", r"error fatal error, exiting"),
    ("container_stop", "litellm", 1, "nginx", r"\[error\] .*Connection refused\) while connecting"),
    ("restart_loop", "vllm-phi3-mini", None, "vllm-phi3-mini", r"RuntimeError: a worker process"),
    ("restart_loop", "vllm-phi3-mini", None, "vllm-phi3-mini", r"Starting to load model micro"),
    ("restart_loop", WORKER, None, WORKER, r"error fatal error, exiting"),
    ("unhealthy", "vllm-phi3-mini", None, "vllm-phi3-mini", r'"GET /health HTTP/1.1" 503 Serv'),
    ("unhealthy", "litellm", None, "litellm", r"GET /health/liveliness HTTP/1.1.* 503"),
    ("unhealthy", "langfuse-web", None, "langfuse-web", r"warn  health check .* 503$"),
    ("long_prompts", "llama3-70b", 100, "vllm-llama3-70b", r"WARNING .*KV cache is full: \d+ run"),
    ("model_overload", "phi3-mini", 4, "vllm-phi3-mini", r"Waiting: [1-9]\d* reqs"),
    ("admission_stalled", "phi3-mini", None, "vllm-phi3-mini", r"Running: 0 reqs, Waiting: [1-9]"),
    ("no_progress", "phi3-mini", None, "vllm-phi3-mini", r"put: 0.0 tokens/s, Running: [1-9]"),
    ("model_down", "phi3-mini", None, "litellm", r"APIConnectionError: .*Model Group=phi3-mini"),
    ("model_down", "llama3-70b", None, "litellm", r"from model group llama3-70b to qwen2-72b"),
    ("unserved", "phi3-mini", None, "litellm", r"APIConnectionError: .*Model Group=phi3-mini"),
    ("litellm_down", "", None, "nginx", r'"POST /v1/chat/completions HTTP/1.1" 502 '),
    ("litellm_database_down", "", None, "litellm", r"Database is not reachable"),
    ("langfuse_stale", "", None, WORKER, r"warn  ingestion queue is stale: no trace for \d+ s"),
]
# How many lines of a log a span may have: LiteLLM has a few for each model and reason.
MOST = {"litellm": 210, KERNEL: 100}
LOGS = [KERNEL, *(one.container for one in (*FLEET.models, *FLEET.embedders))]
LOGS += [one.name for one in FLEET.containers]


def spans(life: Life, seconds: float, tick: float = TICK, server: int = 0) -> Iterator[Span]:
    """Give the spans of the next seconds of a server's life, one after the other."""
    view = life.view(server)
    earlier, end = view.at(life.moment), life.moment + seconds
    while life.moment < end:
        later = view.at(life.go_on(tick).moment)
        yield Span(view.plan, view.server, earlier, later)
        earlier = later


def written(
    life: Life, seconds: float = MINUTES, seed: int = 1, server: int = 0
) -> dict[str, list[Line]]:
    """Return the lines of each log of a server for so many seconds."""
    crew = life.view().plan.crew.names
    logs: dict[str, list[Line]] = {name: [] for name in (KERNEL, *crew)}
    for span in spans(life, seconds, server=server):
        said = told.tell(span, seed)
        assert not said.failed
        for name, lines in said.lines.items():
            logs[name] += lines
    return logs


def settled(seed: int = 1, servers: int = 1) -> Life:
    return Life(servers=servers, seed=seed).go_on(LONG_UP)


def found(logs: Mapping[str, list[Line]], log: str, pattern: str) -> list[Line]:
    return [line for line in logs[log] if re.search(pattern, line.text)]


@pytest.fixture(scope="module")
def normal() -> dict[str, list[Line]]:
    return written(settled(), 3600.0)


@pytest.mark.parametrize(("fault", "target", "value", "log", "pattern"), SHOWN)
def test_a_fault_shows_where_it_should_and_only_then(
    normal: dict[str, list[Line]],
    fault: str,
    target: str,
    value: float | None,
    log: str,
    pattern: str,
) -> None:
    assert found(written(settled().befall(fault, target, value)), log, pattern)
    assert not found(normal, log, pattern)


def test_a_usual_day_has_hardly_an_error(normal: dict[str, list[Line]]) -> None:
    words = r"ERROR|FATAL|WARN|\[error\]|Error|Traceback|warn "
    assert {log for log in LOGS if found(normal, log, words)} <= {"litellm"}
    assert not normal[KERNEL]
    errors = found(normal, "litellm", '"level": "ERROR"')
    assert 0 < len(errors) < 0.1 * len(normal["litellm"])


def test_every_container_says_something_on_a_usual_day(normal: dict[str, list[Line]]) -> None:
    assert {log for log, lines in normal.items() if lines} == set(LOGS) - {KERNEL}


def test_failing_requests_of_one_provider_are_many(normal: dict[str, list[Line]]) -> None:
    pattern = "InternalServerError: .*Model Group=llama3-8b"
    faulty = written(settled().befall("provider_errors", "llama3-8b"))

    usual = len(found(normal, "litellm", pattern)) / 3600
    assert len(found(faulty, "litellm", pattern)) / MINUTES > 10 * usual


def test_what_no_program_notices_is_the_kernels_alone() -> None:
    logs = written(settled().befall("row_remap", "4"))

    assert found(logs, KERNEL, "Xid")
    assert not found(logs, "vllm-qwen2-72b", "CUDA|ERROR")


def test_a_model_that_hangs_is_silent() -> None:
    life = settled().befall("model_down", "phi3-mini").go_on(60)

    assert not written(life)["vllm-phi3-mini"]


def test_what_was_stopped_is_silent_until_it_comes_back() -> None:
    life = settled().befall("container_stop", "vllm-phi3-mini", 0).go_on(60)
    stopped = written(life)["vllm-phi3-mini"]
    texts = [line.text for line in written(life.heal())["vllm-phi3-mini"]]

    assert not stopped
    assert "version" in texts[0]
    ready = next(place for place, text in enumerate(texts) if "startup complete" in text)
    assert all("(EngineCore pid=" in text for text in texts[:ready])
    assert any("Loading weights took" in text for text in texts[:ready])
    assert any("Avg prompt throughput" in text for text in texts[ready:])


def test_an_xid_is_of_the_moment_at_which_the_gpu_exporter_tells_it() -> None:
    life = settled().go_on(7).befall("gpu_lost", "3")
    (line,) = found(written(life), KERNEL, r"Xid \(PCI")
    _, last = life.view().state().xids[3, 79]

    assert 0 <= line.time - last <= 30


def test_a_traceback_is_one_error_of_several_lines() -> None:
    lines = written(settled().befall("xid", "6", 31), 60.0)["vllm-llama3-8b"]
    first = next(place for place, one in enumerate(lines) if "Traceback" in one.text)
    block = lines[first - 1 : first + 6]

    assert " ERROR " in block[0].text
    assert {line.stream for line in block[1:]} == {"stderr"}
    assert len({line.time for line in block}) == 1
    assert "torch.AcceleratorError" in block[-1].text


@pytest.mark.parametrize(
    ("fault", "server"), [("", 0), ("", 1), ("model_overload", 0), ("no_progress", 0)]
)
def test_throughput_is_what_the_exporter_tells(fault: str, server: int) -> None:
    life = settled(servers=server + 1)
    if fault:
        life.befall(fault)
    view = life.go_on(300).view(server)
    exporter = build(
        settings_of("vllm", Settings),
        SimulatedServers(view, SimulatedEngine(view)),
        SimulatedGpuUse(view),
        view.time,
    )
    before = tell(exporter)
    (span,) = spans(life, TICK, server=server)
    after = tell(exporter)

    for model in FLEET.models:
        lines = told.tell(span, 1).lines[model.container]
        (report,) = (one for line in lines if (one := REPORT.search(line.text)))
        labels = {"container": model.container, "model": model.name}

        def rate(name: str, labels: dict[str, str] = labels) -> float:
            grown = after.one(V + name, **labels) - before.one(V + name, **labels)
            return grown / TICK

        def now(name: str, labels: dict[str, str] = labels) -> float:
            return after.one(V + name, **labels)

        assert float(report["prompt"]) == pytest.approx(rate("prompt_tokens_total"), abs=0.051)
        assert float(report["generation"]) == pytest.approx(
            rate("generation_tokens_total"), abs=0.051
        )
        assert int(report["running"]) == now("requests_running")
        assert int(report["waiting"]) == now("requests_waiting")
        assert float(report["cache"]) == pytest.approx(100 * now("kv_cache_usage_ratio"), abs=0.051)
        hits = now("prefix_cache_hits_tokens_total") / now("prefix_cache_queries_tokens_total")
        assert float(report["hits"]) == pytest.approx(100 * hits, abs=0.051)


def test_the_same_seed_gives_the_same_lines_and_another_one_others() -> None:
    def of(seed: int) -> dict[str, list[Line]]:
        life = settled(seed).befall("gpu_lost", "3").befall("restart_loop", WORKER)
        return written(life, seed=seed)

    assert of(1) == of(1)
    assert of(1) != of(2)


def test_a_span_tells_the_same_whatever_was_asked_before() -> None:
    lost = Fault("gpu_lost", "3", 1.0, START + LONG_UP + 5)
    one, other = Life(), Life()
    one.faults.append(lost)
    other.faults.append(lost)
    whole = [told.tell(span, 1) for span in spans(one.go_on(LONG_UP), 120)]
    view = other.go_on(LONG_UP + 3600).view()
    moments = [START + LONG_UP + TICK * number for number in range(13)]
    states = [view.at(moment) for moment in moments]
    pairs = pairwise(states)

    assert [told.tell(Span(view.plan, 0, *pair), 1) for pair in pairs] == whole


@pytest.mark.parametrize("server", [0, 1, 2])
def test_each_of_several_servers_tells_of_itself(server: int) -> None:
    life = settled(servers=3).befall("oom_kill", "", 120).befall("disk_readonly", "/")
    life.befall("gpu_lost", "3").befall("pcie_replays", "5").befall("langfuse_stale")
    life.befall("container_oom", "redis", 60).befall("container_oom", "vllm-phi3-mini", 60)
    place = life.view().plan.crew.names.index("vllm-phi3-mini")
    logs = written(life, server=server)

    assert found(logs, KERNEL, f"oom_memcg=.*{container_id(server, 'redis')}")
    assert found(logs, KERNEL, rf"Killed process {pid(server, place, 0)} \(vllm-phi3-mini\)")
    assert found(logs, KERNEL, f": 79, pid={pid(server, 1, 2)},")
    assert found(logs, KERNEL, r"\(java\)")
    assert found(logs, KERNEL, "Remounting filesystem read-only")
    assert found(logs, KERNEL, "ab:00.0: PCIe Bus Error")
    assert found(logs, "vllm-mixtral-8x7b", "Work on the GPU failed")
    assert found(logs, "litellm", "Falling back from model group mixtral-8x7b")
    assert found(logs, WORKER, "ingestion queue is stale")


def test_only_a_container_with_a_route_has_embeddings_to_tell_of() -> None:
    (embedder,) = FLEET.embedders
    reranker = Container(name="reranker", image=embedder.image)
    fleet = FLEET.model_copy(update={"containers": (*FLEET.containers, reranker)})
    logs = written(Life(fleet).go_on(LONG_UP), 600.0)

    assert found(logs, embedder.container, "embed: Success")
    assert not found(logs, reranker.name, "embed: Success")


def test_a_gpu_whose_count_of_replays_begins_anew_has_none_to_tell_of() -> None:
    (span,) = spans(settled(), TICK)
    more = replace(span.before.gpus, replays=span.after.gpus.replays + 5)
    anew = replace(span, before=replace(span.before, gpus=more))
    before, after = (told.tell(one, 1) for one in (span, anew))

    assert KERNEL not in after.lines
    assert after.left_out == before.left_out


def test_one_log_that_cant_be_told_is_no_others_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    (span,) = spans(settled(), TICK)
    whole = told.tell(span, 1).lines
    error = ValueError("nothing to say")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(told.litellm, "write", fail)
    said = told.tell(span, 1)

    assert said.failed == {"litellm": error}
    assert said.lines == {name: lines for name, lines in whole.items() if name != "litellm"}


def test_litellms_lines_are_json(normal: dict[str, list[Line]]) -> None:
    entries = [json.loads(line.text) for line in normal["litellm"]]

    assert {key for entry in entries for key in entry} == {"message", "level", "timestamp"}


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Return a life with some faults, each of anything at any time."""
    life = settled(draw(st.integers(0, 9)))
    targets = {"gpu": "3", "model": "phi3-mini", "container": "litellm", "mountpoint": "/"}
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(sorted(KINDS)))
        kind = KINDS[name]
        target = draw(st.sampled_from(["", targets.get(kind.target, "")]))
        life.befall(name, target, draw(st.sampled_from([kind.least, kind.usual, kind.most])))
        life.go_on(draw(st.floats(0, 100)))
    return life


@given(lives(), st.sampled_from([TICK, 37.0, 900.0]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_whatever_befalls_it_lines_are_few_in_order_and_within_their_span(
    life: Life, tick: float, heals: bool
) -> None:
    found: list[Told] = []
    for span in spans(life, 2 * tick, tick):
        if heals:
            life.heal()
        found.append(one := told.tell(span, 1))
        assert not one.failed
        assert one.left_out >= 0
        for log, lines in one.lines.items():
            times = [line.time for line in lines]
            assert times == sorted(times)
            assert span.before.time <= times[0]
            assert times[-1] <= span.after.time
            assert len(lines) <= MOST.get(log, 60)
            assert not any("\n" in line.text for line in lines)
    assert found
