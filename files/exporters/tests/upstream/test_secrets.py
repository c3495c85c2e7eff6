"""Exporters before upstreams that say again which secret they were shown: it is told nowhere."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter_testing.docker_api import DockerStandIn
from exporter_testing.docker_api import serving as serving_engine
from exporter_testing.echo import SAYINGS, Echo, echoing
from exporter_testing.litellm.server import recorded
from exporter_testing.process import (
    EXPORTER,
    Running,
    Start,
    free_port,
    wait_for,
)
from exporter_testing.vllm import RECORDED
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.gpus import GpuUse

# Each secret has this in it, so that a part of one is found too.
PLANTED = "planted"
KEY = "sk-planted-0123456789abcdef-planted"
EAGER = {"MIN_INTERVAL": "0", "LOG_LEVEL": "debug"}
VLLM = {
    "/metrics": RECORDED.read_bytes(),
    "/v1/models": json.dumps({"data": [{"id": "tiny"}]}).encode(),
}
LITELLM = {
    "/metrics/": recorded("metrics.txt"),
    "/model/info": recorded("model_info.json"),
    "/health/readiness": recorded("health_readiness.json"),
}


def told(running: Running) -> dict[str, str]:
    """Return all that a process tells: its routes, its log, and what others see of it."""
    paths = ["/", "/docs", "/openapi.json", *running.get("/openapi.json").json()["paths"]]
    found = {path: running.get(path.format(name="far")).text for path in paths}
    found["/api/v1/nothing"] = running.get("/api/v1/nothing?key=1").text
    found["OpenMetrics"] = running.get(accept="application/openmetrics-text").text
    found["log"] = running.output.read_text()
    for file in ("cmdline", "environ", "comm"):
        found[file] = Path(f"/proc/{running.process.pid}/{file}").read_text()
    return found


def leaks(found: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Return what has a secret in it."""
    words = {PLANTED, *secrets}
    return {where: text for where, text in found.items() if any(word in text for word in words)}


@pytest.fixture
def secret_file(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a secret to a file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / f"file-{len(list(tmp_path.iterdir()))}"
        path.write_text(f"{text}\n")
        return str(path)

    return write


SecretFile = Callable[[str], str]


def heard(echo: Echo, running: Running, path: str, times: int) -> None:
    """Scrape until `path` has been asked for so often."""

    def asked() -> bool:
        running.get()
        return echo.asked[path] >= times

    wait_for(asked, 60)


@pytest.mark.slow
def test_of_vllm(start_exporter: Start, secret_file: SecretFile) -> None:
    with echoing([*SAYINGS.values()], VLLM) as echo:
        settings = {"VLLM__ENDPOINTS": f"far={echo.url}", "VLLM__API_KEY_FILE": secret_file(KEY)}
        running = start_exporter("vllm", {**settings, **EAGER, "VLLM__REFRESH": "5s"})
        found = {f"at first {where}": text for where, text in told(running).items()}
        assert 'up{container="far"} 1' in found["at first /metrics"]
        echo.saying = True
        for turn in range(len(SAYINGS)):
            answer = running.get("/api/v1/containers/far/metrics")
            # What is passed through is what Prometheus would be told by vLLM itself.
            if answer.status_code != 200:
                found[f"passed through {turn}"] = answer.text + str(answer.headers)
        heard(echo, running, "/health", echo.asked["/health"] + len(SAYINGS))
        found |= told(running)
        assert KEY in echo.shown
        del found["/api/v1/containers/{name}/metrics"]
    assert leaks(found, echo.shown) == {}


def test_of_litellm(start_exporter: Start, secret_file: SecretFile) -> None:
    with echoing([*SAYINGS.values()], LITELLM) as echo:
        settings = {"LITELLM__URL": echo.url, "LITELLM__API_KEY_FILE": secret_file(KEY)}
        running = start_exporter("litellm", {**settings, **EAGER})
        found = {f"at first {where}": text for where, text in told(running).items()}
        assert 'ready{component="proxy"} 1' in found["at first /metrics"]
        echo.saying = True
        for path in ("/health/readiness", "/metrics/"):
            heard(echo, running, path, echo.asked[path] + len(SAYINGS))
        found |= told(running)
    assert KEY in echo.shown
    assert leaks(found, echo.shown) == {}


DATABASE = "clickhouse://monitor:planted%2Fpassword@{}/langfuse"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["api", "database"])
def test_of_langfuse(start: Start, secret_file: SecretFile, mode: str) -> None:
    """Polls are far apart, so each saying has a process of its own."""
    with ExitStack() as stack:
        both: list[tuple[Echo, Running]] = []
        for saying in SAYINGS.values():
            echo = stack.enter_context(echoing([saying]))
            both.append((echo, start_langfuse(start, echo, secret_file, mode)))
        for echo, running in both:
            wait_for(running.answers, 60)
            wait_for(lambda running=running: '{collector="usage"}' in running.get().text, 30)
            found = told(running)
            assert any(PLANTED in secret for secret in echo.shown)
            assert leaks(found, echo.shown) == {}
            assert "upstream failed" in found["log"]


def start_langfuse(start: Start, echo: Echo, secret_file: SecretFile, mode: str) -> Running:
    host = echo.url.removeprefix("http://")
    if mode == "api":
        keys = {"PUBLIC_KEY": "pk-lf-public", "SECRET_KEY_FILE": secret_file(KEY)}
        own = {"URL": echo.url, **keys}
    else:
        own = {"DATABASE_FILE": secret_file(DATABASE.format(host))}
    port = free_port()
    own |= {"PORT": str(port), "INTERVAL": "10s"}
    settings = {f"LANGFUSE__{name}": text for name, text in own.items()}
    variables = {f"LLM_MONITOR_{name}": text for name, text in {**settings, **EAGER}.items()}
    return start([EXPORTER, "langfuse"], port, variables, ready=False)


GPU_TOKEN = "planted-gpu-token"  # noqa: S105 - planted


CONTAINER = "1" * 64


@pytest.mark.parametrize("exporter", ["container", "vllm"])
def test_of_the_gpu_exporter(start_exporter: Start, secret_file: SecretFile, exporter: str) -> None:
    with echoing([SAYINGS["unauthorized"]]) as echo, serving_engine(DockerStandIn()) as engine:
        engine.add(CONTAINER, "far")
        own = {
            "DOCKER": engine.address,
            "GPU_EXPORTER": echo.url,
            "GPU_EXPORTER_TOKEN_FILE": secret_file(GPU_TOKEN),
        }
        settings = {f"{exporter.upper()}__{name}": text for name, text in own.items()}
        running = start_exporter(exporter, {**settings, **EAGER})
        heard(echo, running, "/api/v1/processes", 2)
        found = told(running)
    assert echo.shown == {GPU_TOKEN}
    assert "/api/v1/processes: status 401" in found["log"]
    assert leaks(found, echo.shown) == {}


@pytest.mark.parametrize("saying", SAYINGS)
def test_of_the_gpu_exporter_in_whatever_it_says(saying: str) -> None:
    with echoing([SAYINGS[saying]]) as echo, capture_logs() as logs:
        GpuUse(echo.url, GPU_TOKEN).of([], Deadline.after(5))
    assert echo.shown == {GPU_TOKEN}
    assert len(logs) == 1
    assert PLANTED not in str(logs)
