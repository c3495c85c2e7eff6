"""The exporter as a real process over stand-ins for servers."""

import json
import re
import subprocess
import time
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.hostile import HOSTILES, serving
from exporter_testing.process import (
    EXPORTER,
    Running,
    Start,
    free_port,
    plain_environment,
    wait_for,
)
from exporter_testing.vllm import RECORDED as FILE
from exporter_testing.vllm import StandIn

Values = dict[tuple[str, ...], float]

RECORDED = FILE.read_bytes()
STARTED = b"start_time_seconds 1.79522784109e+09"
WHOLE = 150


def values(running: Running, **headers: str) -> Values:
    """Return our samples by names without prefix and labels' values, what is about us left out."""
    answer = running.get(**headers)
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("llm_monitor_vllm_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if family.name != "llm_monitor_vllm_build_info"
    }


def of(found: Values, server: str) -> Values:
    return {key: value for key, value in found.items() if key[1:2] == (server,)}


def failed(running: Running) -> list[dict[str, object]]:
    """Return the log lines about servers that fail."""
    lines = [json.loads(line) for line in running.output.read_text().splitlines()]
    return [line for line in lines if line["event"] == "upstream failed"]


def test_a_server_is_given_whole(stand_in: StandIn, start_vllm: Start) -> None:
    one = stand_in(models={"tiny": None, "lora": "tiny"})
    running = start_vllm({"a": one.address})
    found = of(values(running), "a")
    assert found["up", "a"] == 1
    assert found["info", "a", "tiny", "0.32.0"] == found["info", "a", "lora", "0.32.0"] == 1
    assert found["start_time_seconds", "a", "tiny"] == 1795227841.09
    assert found["max_model_length_tokens", "a", "tiny"] == 512
    assert ("max_model_length_tokens", "a", "lora") not in found
    assert found["e2e_request_latency_seconds_bucket", "a", "tiny", "0.5"] == 31
    assert len(found) > WHOLE
    assert running.terminate() < 5


def test_a_server_tells_where_its_weights_come_from(stand_in: StandIn, start_vllm: Start) -> None:
    one = stand_in()
    listed = {"id": "tiny", "root": "meta-llama/Llama-3.2-1B", "parent": None}
    one.bodies["/v1/models"] = json.dumps({"data": [listed]}).encode()
    found = values(start_vllm({"a": one.address}))
    assert found["info", "a", "tiny", "0.32.0", "meta-llama/Llama-3.2-1B"] == 1


def test_version_and_models_are_asked_for_seldom(stand_in: StandIn, start_vllm: Start) -> None:
    one = stand_in()
    running = start_vllm({"a": one.address})
    values(running)
    one.requests.clear()
    seen_after = time.monotonic() + 1.1
    wait_for(lambda: time.monotonic() > seen_after)
    values(running)
    assert sorted(one.requests) == ["/health", "/metrics"]
    one.metrics = RECORDED.replace(
        b"start_time_seconds 1.79522784109e+09", b"start_time_seconds 2e9"
    )
    one.version = "0.33.0"

    def renewed() -> bool:
        return ("info", "a", "tiny", "0.33.0") in values(running)

    wait_for(renewed)
    assert one.requests.count("/version") == one.requests.count("/v1/models") == 1


def test_one_slow_and_one_dead_of_twelve(stand_in: StandIn, start_vllm: Start) -> None:
    servers = {f"s{number}": stand_in().address for number in range(10)}
    slow = stand_in(seconds=20)
    servers |= {"slow": slow.address, "dead": f"http://127.0.0.1:{free_port()}"}
    running = start_vllm(servers)
    began = time.monotonic()
    found = values(running, x_prometheus_scrape_timeout_seconds="5")
    assert time.monotonic() - began < 4.5
    assert found["up", "slow"] == found["up", "dead"] == 0
    assert len(of(found, "slow")) == len(of(found, "dead")) == 2
    assert found["upstream_errors_total", "slow", "timeout"] >= 1
    assert found["upstream_errors_total", "dead", "refused"] >= 1
    for number in range(10):
        assert len(of(found, f"s{number}")) > WHOLE
    assert running.terminate() < 5


def test_hostile_servers_cost_their_own_series_only(stand_in: StandIn, start_vllm: Start) -> None:
    with ExitStack() as stack:
        sample = "vllm:num_requests_running"
        urls = {one.name: stack.enter_context(serving(one, sample)) for one in HOSTILES}
        running = start_vllm({"good": stand_in().address, **urls}, patience="6s")
        first = values(running)
        # The first scrape may still share a survey, the others ask anew.
        second = values_later(running)
        found = values_later(running)
        assert found["collector_success", "servers"] == found["up", "good"] == 1
        assert len(of(found, "good")) > WHOLE
        for hostile in HOSTILES:
            said = errors(found, hostile.name)
            logged = [line for line in failed(running) if line["upstream"] == hostile.name]
            assert len(logged) == len({(line["reason"], line["part"]) for line in logged})
            if hostile.reasons - {""}:
                assert found["up", hostile.name] == 0, hostile
                assert set(said) <= hostile.reasons, hostile
                counts = [sum(errors(one, hostile.name).values()) for one in (first, second, found)]
                assert counts[2] - counts[1] == counts[1] - counts[0] > 0, hostile
                assert len(of(found, hostile.name)) == 1 + len(said), hostile
                assert len(logged) == len(said) == 1, hostile
            else:
                assert found["up", hostile.name] == 1, hostile
        # What its container may use.
        assert running.resident() < 192 << 20
        assert running.terminate() < 5
    assert "planted" not in running.output.read_text()


def values_later(running: Running) -> Values:
    """Return the metrics of a second later, which no other scrape shares."""
    renewed = time.monotonic() + 1.1
    wait_for(lambda: time.monotonic() > renewed)
    return values(running)


def test_a_server_of_many_models_does_not_crowd_out_others(
    stand_in: StandIn, start_vllm: Start
) -> None:
    many = b"".join(b'vllm:num_requests_running{model_name="%d"} 1\n' % i for i in range(300))
    adapters = stand_in(models={"tiny": None, **{f"lora-{i}": "tiny" for i in range(199)}})
    servers = {"a": stand_in(many).address, "b": adapters.address, "c": stand_in().address}
    found = values(start_vllm(servers))
    assert (found["up", "a"], errors(found, "a")) == (0, {"too_large": 1})
    for server in "bc":
        assert found["requests_running", server, "tiny"] == 0
        assert found["info", server, "tiny", "0.32.0"] == 1
        assert found["start_time_seconds", server, "tiny"] == 1795227841.09
        assert found["max_model_length_tokens", server, "tiny"] == 512
    assert found["info", "b", "lora-0", "0.32.0"] == 1


def errors(found: Values, server: str) -> dict[str, float]:
    """Return how often a server failed, by reason."""
    name = "upstream_errors_total"
    return {key[2]: n for key, n in of(found, server).items() if key[0] == name}


def test_what_is_odd_but_right_is_given(stand_in: StandIn, start_vllm: Start) -> None:
    odd = 'a "quoted" \\ name\nin two lines'
    escaped = odd.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").encode()
    one = stand_in(RECORDED.replace(b'"tiny"', b'"' + escaped + b'"'))
    found = values(start_vllm({"a": one.address}))
    assert found["requests_running", "a", odd] == 0
    assert found["prompt_tokens_total", "a", odd] == 180


def test_numbers_that_are_none_cost_their_series(stand_in: StandIn, start_vllm: Start) -> None:
    body = re.sub(rb"(num_requests_running\{.*\}) 0\.0", rb"\1 NaN", RECORDED)
    running = start_vllm({"a": stand_in(body).address})
    found = of(values(running), "a")
    assert ("requests_running", "a", "tiny") not in found
    assert found["requests_waiting", "a", "tiny"] == 0
    assert found["up", "a"] == 1
    assert found["upstream_errors_total", "a", "not_finite"] >= 1


def test_health(stand_in: StandIn, start_vllm: Start) -> None:
    sick = stand_in(statuses={"/health": 503})
    old = stand_in(statuses={"/health": 404, "/version": 404})
    found = values(start_vllm({"sick": sick.address, "old": old.address}))
    assert (found["up", "sick"], found["up", "old"]) == (0, 1)
    assert found["requests_running", "sick", "tiny"] == 0
    assert found["info", "old", "tiny"] == 1


def test_what_a_server_refuses_is_asked_again_in_its_time_only(
    stand_in: StandIn, start_vllm: Start
) -> None:
    one = stand_in(statuses={"/version": 404, "/v1/models": 401})
    running = start_vllm({"a": one.address})
    asked = one.requests.count("/metrics")
    wait_for(lambda: values(running) and one.requests.count("/metrics") >= asked + 2)
    assert one.requests.count("/version") == one.requests.count("/v1/models") == 1
    found = values(running)
    assert found["up", "a"] == 1
    assert found["upstream_errors_total", "a", "unauthorized"] == 1


def test_a_server_of_something_else_is_none(stand_in: StandIn, start_vllm: Start) -> None:
    found = values(start_vllm({"other": stand_in(b"# nothing\nup 1\n").address}))
    assert of(found, "other") == {
        ("up", "other"): 0,
        ("upstream_errors_total", "other", "unparsable"): found[
            "upstream_errors_total", "other", "unparsable"
        ],
    }


def test_recovery_is_seen_and_said(stand_in: StandIn, start_vllm: Start) -> None:
    one = stand_in(statuses={"/metrics": 500})
    running = start_vllm({"a": one.address})
    wait_for(lambda: values(running)["up", "a"] == 0)
    one.statuses.clear()
    wait_for(lambda: values(running)["up", "a"] == 1)
    assert running.output.read_text().count("upstream failed") == 1
    assert running.output.read_text().count("upstream recovered") == 1


def test_an_api_key_is_shown_and_kept_secret(stand_in: StandIn, start_vllm: Start) -> None:
    one = stand_in(key="planted-key")
    running = start_vllm({"a": one.address}, api_key="planted-key", refresh="5s")
    found = values(running)
    assert found["max_model_length_tokens", "a", "tiny"] == 512
    assert one.headers["authorization"] == "Bearer planted-key"
    assert one.shown == {"/metrics", "/health", "/version", "/v1/models"}
    for path in ("/metrics", "/api/v1/containers", "/api/v1/models", "/api/v1/targets", "/docs"):
        assert "planted" not in running.get(path).text
    one.key = "another"
    wait_for(lambda: ("upstream_errors_total", "a", "unauthorized") in values(running), 20)
    assert "planted" not in running.output.read_text()


def test_no_server_at_all_is_no_failure(start_vllm: Start) -> None:
    found = values(start_vllm())
    assert found["collector_success", "servers"] == found["collector_success", "gpus"] == 1
    assert not [key for key in found if key[0] in ("info", "requests_running")]


@pytest.mark.parametrize(
    ("setting", "text", "said"),
    [
        ("ENDPOINTS", "nonsense", "'nonsense' is not allowed; expected a list of {name, url}"),
        ("ENDPOINTS", "a=ftp://b", "expected a list of {name, url}"),
        ("ENDPOINTS", "a=http://b,a=http://c", "expected a list of {name, url}"),
        ("ENDPOINTS", "a b=http://b", "expected a list of {name, url}"),
        ("IMAGE", "(", "expected a regular expression"),
        ("PATIENCE", "8s", "expected a duration such as 3s, 7s at most"),
        ("HOST_GATEWAY", "a b", "expected a host's name"),
        ("GPU_EXPORTER", "https://x", "expected http://host:port"),
        ("DOCKER", "nonsense", "expected a socket"),
    ],
)
def test_settings_that_can_not_be_used(setting: str, text: str, said: str) -> None:
    done = subprocess.run(
        [EXPORTER, "--check", "vllm"],
        env={**plain_environment(), f"LLM_MONITOR_VLLM__{setting}": text},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"vllm.{setting.lower()} (LLM_MONITOR_VLLM__{setting}): " in done.stderr
    assert said in done.stderr


def target(running: Running) -> httpx.Response:
    return running.get("/api/v1/containers/a/metrics")


def test_the_api_tells_of_servers_and_models(stand_in: StandIn, start_vllm: Start) -> None:
    servers = {name: stand_in(models={"tiny": None, "lora": "tiny"}).address for name in "ab"}
    servers["dead"] = f"http://127.0.0.1:{free_port()}"
    running = start_vllm(servers)
    one, _, dead = running.get("/api/v1/containers").json()
    assert one.pop("uptime_seconds") >= 0
    assert one == {
        "container_name": "a",
        "container_id": None,
        "image": None,
        "version": "0.32.0",
        "model_name": "tiny",
        "models": ["tiny", "lora"],
        "gpu_indices": [],
        "gpu_method": "none",
        "gpu_memory_used_gb": None,
        "status": "up",
    }
    assert (dead["status"], dead["uptime_seconds"], dead["model_name"]) == (
        "unreachable",
        None,
        None,
    )
    assert running.get("/api/v1/models").json() == [
        {
            "model_name": name,
            "parent": parent,
            "max_model_length": length,
            "containers": [
                {"container_name": "a", "up": True},
                {"container_name": "b", "up": True},
            ],
        }
        for name, parent, length in (("lora", "tiny", None), ("tiny", None, 512))
    ]
    assert running.get("/api/v1/gpu-map").json() == []
    assert set(running.get("/openapi.json").json()["paths"]) >= {
        "/api/v1/containers",
        "/api/v1/containers/{name}/metrics",
        "/api/v1/gpu-map",
        "/api/v1/models",
        "/api/v1/targets",
    }


def test_prometheus_finds_every_server_through_the_exporter(
    stand_in: StandIn, start_vllm: Start
) -> None:
    one = stand_in()
    running = start_vllm({"a": one.address})
    values(running)
    host = f"127.0.0.1:{running.port}"
    assert running.get("/api/v1/targets").json() == [
        {
            "targets": [host],
            "labels": {
                "__metrics_path__": "/api/v1/containers/a/metrics",
                "container": "a",
                "model": "tiny",
            },
        }
    ]
    assert running.get("/api/v1/targets", host="exporters.lan:9").json()[0]["targets"] == [
        "exporters.lan:9"
    ]
    for bad in ("a b", "a/b", "x@y", "[::1", "a:b"):
        assert running.get("/api/v1/targets", host=bad).status_code == 400
    answer = target(running)
    assert (answer.status_code, answer.content) == (200, RECORDED)
    assert answer.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"


def test_what_can_not_be_passed_through_is_explained(stand_in: StandIn, start_vllm: Start) -> None:
    one = stand_in()
    running = start_vllm({"a": one.address})
    assert running.get("/api/v1/containers/b/metrics").status_code == 404
    one.statuses["/metrics"] = 500
    assert target(running).status_code == 502
    assert target(running).text == f"{one.address}/metrics: status 500\n"
    one.statuses.clear()
    one.metrics = b"# " + b"x" * (9 << 20) + b"\n"
    assert target(running).status_code == 502
    one.metrics, one.seconds = RECORDED, 20
    began = time.monotonic()
    late = running.get("/api/v1/containers/a/metrics", x_prometheus_scrape_timeout_seconds="1.5")
    assert time.monotonic() - began < 1.5
    assert (late.status_code, late.text) == (
        504,
        f"{one.address}/metrics: no whole answer in time\n",
    )


def test_html_is_never_passed_through_as_such(start_vllm: Start) -> None:
    html = next(one for one in HOSTILES if one.name == "html")
    with serving(html) as url:
        answer = target(start_vllm({"a": url}))
    assert answer.headers["content-type"].startswith("text/plain")


def test_the_token_guards_the_servers_too(stand_in: StandIn, start_exporter: Start) -> None:
    one = stand_in()
    running = start_exporter(
        "vllm", {"VLLM__ENDPOINTS": f"a={one.address}", "AUTH__TOKEN": "secret"}
    )
    for path in ("/api/v1/targets", "/api/v1/containers/a/metrics", "/api/v1/containers"):
        assert running.get(path).status_code == 401
        assert running.get(path, authorization="Bearer secret").status_code == 200
