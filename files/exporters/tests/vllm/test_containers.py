"""Servers in containers, of an engine that isn't there, and the GPUs that they use."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.docker_api import DockerStandIn
from exporter_testing.docker_api import event as happened
from exporter_testing.docker_api import serving as serving_engine
from exporter_testing.process import Running, Start, wait_for
from exporter_testing.scraping import Values
from exporter_testing.vllm import RECORDED as FILE
from exporter_testing.vllm import StandIn, VllmStandIn

RECORDED = FILE.read_bytes()
SECRETS = ["--api-key", "planted-in-a-command", "--hf-token=planted-in-another"]
GPUS = [f"GPU-{letter * 8}" for letter in "abc"]
IDS = {name: digit * 64 for name, digit in {"one": "1", "two": "2", "three": "3"}.items()}


@pytest.fixture
def engine() -> Iterator[DockerStandIn]:
    with serving_engine(DockerStandIn()) as running:
        yield running


def add(engine: DockerStandIn, name: str, one: VllmStandIn, **changes: object) -> None:
    """Let `one` seem to run in a container of that name."""
    config = {
        "Cmd": ["vllm", "serve", "tiny", "-tp", "2", "--dtype", "bfloat16", *SECRETS],
        "Image": "vllm/vllm-openai:v0.32",
        "Labels": {"llm-monitor.port": one.port, "secret": "planted-in-a-label"},
        "Env": ["VLLM_API_KEY=planted-in-the-environment"],
        **changes.pop("Config", {}),  # type: ignore[dict-item]
    }
    networks = {"Networks": {"bridge": {"IPAddress": "127.0.0.1"}}, "Ports": {}}
    engine.add(IDS[name], name, Config=config, NetworkSettings=networks, **changes)


@pytest.fixture
def start_over(engine: DockerStandIn, start_exporter: Start) -> Start:
    """Start a vLLM exporter that finds its servers in `engine`."""

    def run(**settings: str) -> Running:
        given = {f"VLLM__{name.upper()}": text for name, text in settings.items()}
        shared = {"MIN_INTERVAL": "0", "VLLM__DOCKER": engine.address}
        running = start_exporter("vllm", {**shared, **given})
        engine.await_streams()
        return running

    return run


def values(running: Running) -> Values:
    return {
        (sample.name.removeprefix("llm_monitor_vllm_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(running.get().text)
        for sample in family.samples
    }


def test_servers_are_found_and_told_apart(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    add(engine, "one", stand_in())
    add(engine, "two", stand_in(RECORDED.replace(b"950.0", b"7.0")))
    add(engine, "three", stand_in(), Config={"Labels": {"llm-monitor.vllm": "false"}})
    running = start_over()
    found = values(running)
    assert found["up", "one"] == found["up", "two"] == 1
    assert ("up", "three") not in found
    assert found["generation_tokens_total", "one", "tiny"] == 950
    assert found["generation_tokens_total", "two", "tiny"] == 7
    image = "vllm/vllm-openai:v0.32"
    assert found["info", "one", "tiny", "0.32.0", image, "2", "bfloat16"] == 1
    for path in ("containers", "models", "gpu-map", "targets"):
        answer = running.get(f"/api/v1/{path}")
        assert answer.status_code == 200
        assert "planted" not in answer.text
    assert "planted" not in running.get().text
    assert "planted" not in running.output.read_text()
    assert running.terminate() < 5


def test_a_container_is_shown_the_key_only_where_vllm_wants_it(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    one = stand_in(key="planted-key")
    add(engine, "one", one)
    running = start_over(api_key="planted-key")
    assert values(running)["max_model_length_tokens", "one", "tiny"] == 512
    assert running.get("/api/v1/containers/one/metrics").status_code == 200
    assert {"/metrics", "/health", "/version"} < set(one.requests)
    assert one.shown == {"/v1/models"}


def test_what_stops_is_down_and_what_is_removed_is_gone(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    servers = {name: stand_in() for name in ("one", "two")}
    for name, one in servers.items():
        add(engine, name, one)
    running = start_over()
    wait_for(lambda: values(running).get(("up", "two")) == 1)
    stopped = {"Status": "exited", "Running": False, "Pid": 0}
    add(engine, "one", servers["one"], State=stopped)
    del engine.containers[IDS["two"]]
    engine.emit(happened(IDS["one"], "one", "die"), happened(IDS["two"], "two", "destroy"))
    wait_for(lambda: ("up", "two") not in values(running))
    found = values(running)
    assert [key[:4] for key in found if key[1:2] == ("one",)] == [
        ("up", "one"),
        ("info", "one", "tiny", "0.32.0"),
    ]
    assert found["up", "one"] == 0
    assert [one["status"] for one in running.get("/api/v1/containers").json()] == ["exited"]
    assert running.get("/api/v1/targets").json() == []
    stopped_one = running.get("/api/v1/containers/one/metrics")
    assert (stopped_one.status_code, stopped_one.text) == (502, "its container is exited\n")
    assert "upstream failed" not in running.output.read_text()


def test_what_has_never_answered_has_the_model_of_its_command(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    add(engine, "one", stand_in(), State={"Status": "created", "Running": False, "Pid": 0})
    add(engine, "two", stand_in(statuses={"/metrics": 503}))
    running = start_over()
    about = ("tiny", "vllm/vllm-openai:v0.32", "2", "bfloat16")
    wait_for(lambda: ("info", "two", *about) in values(running))
    found = values(running)
    assert found["up", "one"] == found["up", "two"] == 0
    assert found["info", "one", *about] == 1
    assert not [key for key in found if key[0] in ("start_time_seconds", "requests_running")]
    told = running.get("/api/v1/containers").json()
    assert [(one["status"], one["model_name"]) for one in told] == [
        ("created", "tiny"),
        ("unreachable", "tiny"),
    ]
    assert running.get("/api/v1/models").json()[0]["containers"] == [
        {"container_name": name, "up": False} for name in ("one", "two")
    ]


def test_a_restart_is_another_server(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    add(engine, "one", stand_in())
    running = start_over()
    wait_for(lambda: ("info", "one", "tiny", "0.32.0") in keys(running))
    new = stand_in(RECORDED.replace(b'"tiny"', b'"large"'), version="0.33.0")
    add(engine, "one", new, State={"StartedAt": "2026-11-21T13:00:00Z"})
    engine.emit(happened(IDS["one"], "one", "start"))
    wait_for(lambda: ("info", "one", "large", "0.33.0") in keys(running))
    assert ("info", "one", "tiny", "0.32.0") not in keys(running)


def keys(running: Running) -> set[tuple[str, ...]]:
    return {key[:4] for key in values(running)}


def test_what_can_not_be_reached_says_why_once(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    add(engine, "one", stand_in())
    engine.containers[IDS["one"]]["NetworkSettings"] = {"Networks": {}, "Ports": {}}
    running = start_over()
    # What one collector asked serves others for a second.
    wait_for(lambda: values(running).get(("upstream_errors_total", "one", "connection"), 0) > 1)
    assert values(running)["up", "one"] == 0
    assert running.output.read_text().count("its networks are none; this exporter's, ") == 1


def test_an_engine_that_is_gone_costs_what_only_it_tells(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    add(engine, "one", stand_in())
    running = start_over(endpoints=f"static={stand_in().address}")
    assert {("up", "one"), ("up", "static")} <= keys(running)
    engine.instead["/containers/json"] = engine.instead["/events"] = lambda sock: sock.close()
    engine.cut()
    wait_for(lambda: values(running).get(("collector_success", "docker_events")) == 0)
    wait_for(lambda: ("up", "one") not in keys(running))
    assert values(running)["up", "static"] == 1


def test_an_engine_that_hangs_holds_up_those_that_are_named_once_only(
    engine: DockerStandIn, stand_in: StandIn, start_exporter: Start
) -> None:
    engine.instead["/containers/json"] = engine.instead["/events"] = lambda _: engine.over.wait()  # type: ignore[assignment,return-value]
    one = stand_in()
    settings = {"VLLM__DOCKER": engine.address, "VLLM__ENDPOINTS": f"static={one.address}"}
    running = start_exporter("vllm", {"MIN_INTERVAL": "0", **settings})
    for limit in (3.0, 0.9, 0.9):
        # What one collector asked serves others for a second.
        renewed = time.monotonic() + 1.1
        wait_for(lambda end=renewed: time.monotonic() > end)  # type: ignore[misc]
        began = time.monotonic()
        assert values(running)["up", "static"] == 1
        assert time.monotonic() - began < limit
    assert [one["labels"]["container"] for one in running.get("/api/v1/targets").json()] == [
        "static"
    ]


def test_without_an_engine_nobody_knows_who_there_is(
    engine: DockerStandIn, start_exporter: Start
) -> None:
    engine.instead["/containers/json"] = engine.instead["/events"] = lambda sock: sock.close()
    running = start_exporter("vllm", {"VLLM__DOCKER": engine.address})
    found = values(running)
    assert found["collector_success", "servers"] == found["collector_success", "gpus"] == 0
    for path in ("containers", "models", "gpu-map", "targets", "containers/a/metrics"):
        assert running.get(f"/api/v1/{path}").status_code == 503


@pytest.fixture
def gpu_exporter() -> Iterator[Callable[[dict[str, object]], str]]:
    """Serve JSON by path as a GPU exporter would, to those that show its token."""
    with ExitStack() as stack:

        def run(answers: dict[str, object]) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    known = self.headers["Authorization"] == "Bearer gpu-token"
                    self.send_response(200 if known else 401)
                    self.end_headers()
                    self.wfile.write(json.dumps(answers[self.path]).encode())

                def log_message(self, *_: object) -> None:
                    """Say nothing."""

            server = HTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}"

        yield run


def process(name: str, gpu: int, size: int) -> dict[str, object]:
    return {
        "container_id": IDS[name],
        "gpu": gpu,
        "gpu_uuid": GPUS[gpu],
        "memory_used_bytes": size,
    }


def test_models_share_the_gpus_that_they_use(
    engine: DockerStandIn,
    stand_in: StandIn,
    start_over: Start,
    gpu_exporter: Callable[[dict[str, object]], str],
) -> None:
    add(engine, "one", stand_in())
    add(engine, "two", stand_in(RECORDED.replace(b'"tiny"', b'"large"')))
    wants = {"DeviceRequests": [{"DeviceIDs": ["2"], "Capabilities": [["gpu"]], "Count": 0}]}
    add(engine, "three", stand_in(), HostConfig=wants)
    address = gpu_exporter(
        {
            "/api/v1/processes": [
                process("one", 0, 30 * 10**9),
                process("one", 1, 10 * 10**9),
                process("two", 1, 20 * 10**9),
            ],
            "/api/v1/gpus": [{"uuid": uuid, "index": index} for index, uuid in enumerate(GPUS)],
        }
    )
    running = start_over(gpu_exporter=address, gpu_exporter_token="gpu-token")
    found = values(running)
    assert {key[1:]: value for key, value in found.items() if key[0].startswith("gpu_")} == {
        ("one", "tiny", GPUS[0]): 1,
        ("one", "tiny", GPUS[1]): 0.5,
        ("two", "large", GPUS[1]): 0.5,
        ("three", "tiny", GPUS[2]): 1,
    }
    told = {one["container_name"]: one for one in running.get("/api/v1/containers").json()}
    assert told["one"]["gpu_memory_used_gb"] == 40
    assert told["three"]["gpu_memory_used_gb"] is None
    assert [told[name]["gpu_indices"] for name in ("one", "two", "three")] == [[0, 1], [1], [2]]
    assert told["three"]["gpu_method"] == "device_requests"
    gpus = {one["gpu_uuid"]: one for one in running.get("/api/v1/gpu-map").json()}
    assert gpus[GPUS[1]]["models"] == [
        {
            "model_name": model,
            "container_name": name,
            "ratio": 0.5,
            "memory_used_gb": size,
            "method": "processes",
        }
        for name, model, size in (("one", "tiny", 10), ("two", "large", 20))
    ]


def test_gpus_that_are_known_by_index_alone_are_in_the_map_only(
    engine: DockerStandIn, stand_in: StandIn, start_over: Start
) -> None:
    add(engine, "one", stand_in(), Config={"Env": ["NVIDIA_VISIBLE_DEVICES=0,3"]})
    running = start_over()
    assert not [key for key in values(running) if key[0] == "gpu_assignment_ratio"]
    told = running.get("/api/v1/gpu-map").json()
    assert [(one["gpu_uuid"], one["gpu_index"]) for one in told] == [(None, 0), (None, 3)]
    assert told[0]["models"][0]["method"] == "environment"
