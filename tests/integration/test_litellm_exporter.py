# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The LiteLLM exporter beside a real LiteLLM proxy: what it gives is what was sent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.integration.openai_backend import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    Backend,
    served,
)
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
LITELLM = ROOT / ".cache/litellm/bin/litellm"
EXPORTER = Path(sys.executable).with_name("llm-monitor-exporter")
PREFIX = "llm_monitor_litellm_"

KEY = "sk-planted-master-key-0123456789abcdef"
END_USER = "planted-end-user"
AGENT = "planted-agent"
PRICES = {"input": 0.00001, "output": 0.00002}
ANSWER_USD = PROMPT_TOKENS * PRICES["input"] + COMPLETION_TOKENS * PRICES["output"]

# What each model of the backend that only fails is counted as.
REASONS = {
    "broken": "server_error",
    "limited": "backend_limit",
    "strict": "bad_request",
    "locked": "backend_auth",
    "absent": "not_found",
    "short": "context_window",
    "prudish": "content_filter",
    "slow": "timeout",
}

# What LiteLLM takes a deployment out of routing for at once: it won't change.
COOLED_DOWN = {"backend_auth", "not_found"}

Key = tuple[str, ...]
Values = dict[Key, float]


def config(backend: int) -> dict[str, Any]:
    """Return LiteLLM's configuration: a model for each way in which the backend behaves, and more."""
    base = {"api_base": f"http://127.0.0.1:{backend}/v1", "api_key": "planted-backend-key"}
    given: dict[str, dict[str, Any]] = {name: {"model": f"openai/{name}", **base} for name in (*REASONS, "flaky")}
    given["plain"] = {
        "model": "openai/plain",
        **base,
        "input_cost_per_token": PRICES["input"],
        "output_cost_per_token": PRICES["output"],
    }
    given["slow"]["timeout"] = 1
    given["flaky"]["num_retries"] = 2
    # Its fallback answers in its place.
    given["fallen"] = {"model": "openai/broken", **base}
    given["down"] = {"model": "openai/down", **base, "api_base": "http://127.0.0.1:1/planted-path-key/v1"}
    given["wild/*"] = {"model": "openai/*", **base}
    known = {"plain": {"max_input_tokens": 512}}
    return {
        "model_list": [
            {"model_name": name, "litellm_params": params, "model_info": known.get(name, {})}
            for name, params in given.items()
        ],
        "litellm_settings": {
            "callbacks": ["prometheus"],
            "enable_end_user_cost_tracking_prometheus_only": True,
            "fallbacks": [{"fallen": ["plain"]}],
        },
        "router_settings": {"num_retries": 0, "model_group_alias": {"nick": "plain"}},
        "general_settings": {"master_key": KEY},
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not hold within {seconds} s"
        time.sleep(0.1)


@dataclass
class Proxy:
    """A LiteLLM on loopback, which can be killed and started again."""

    folder: Path
    backend: Backend
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert LITELLM.exists(), f"{LITELLM} is missing: run `make .cache/litellm`"
        settings = self.folder / "config.yaml"
        # JSON is YAML too.
        settings.write_text(json.dumps(config(self.backend.port)))
        # No list of prices from the internet, and no proxy on the way to loopback.
        environment = {"PATH": f"{LITELLM.parent}:{os.environ['PATH']}", "HOME": str(self.folder)}
        with (self.folder / "litellm.log").open("ab") as log:
            self.process = subprocess.Popen(
                [LITELLM, "--config", settings, "--host", "127.0.0.1", "--port", str(self.port)],
                env={**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self.answers, 120)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "litellm.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/health/liveliness", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def ask(self, model: str, key: str = KEY, **more: Any) -> int:
        """Send a chat completion, read the whole answer, and return its status."""
        body = {"model": model, "messages": [{"role": "user", "content": "count"}], "user": END_USER, **more}
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": AGENT}
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            refusal.read()
            return refusal.code


@dataclass
class Exporter:
    """An exporter that asks the proxy."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=15) as answer:
            text: str = answer.read().decode()
        return text

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/ready") == "ready\n"
        except urllib.error.URLError:
            return False

    def values(self) -> Values:
        """Return the samples by their names, without what all have in common, and labels' values."""
        families = text_string_to_metric_families(self.get("/metrics"))
        samples = (sample for family in families for sample in family.samples)
        return {(one.name.removeprefix(PREFIX), *one.labels.values()): one.value for one in samples}


@contextmanager
def exporting(proxy: Proxy, folder: Path, **settings: str) -> Iterator[Exporter]:
    """Run an exporter with a key in a file while the context lasts."""
    folder.mkdir(exist_ok=True)
    key, log, port = folder / "key", folder / "exporter.log", free_port()
    key.write_text(f"{KEY}\n")
    own = {"URL": proxy.url, "API_KEY_FILE": str(key), "PORT": str(port), **settings}
    variables = {f"LLM_MONITOR_LITELLM__{name}": text for name, text in own.items()}
    others = {name: text for name, text in os.environ.items() if not name.startswith("LLM_MONITOR_")}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [EXPORTER, "litellm"],
            env={**others, **variables, "LLM_MONITOR_MIN_INTERVAL": "0"},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    one = Exporter(port, log, process)
    try:
        wait_for(one.ready)
        yield one
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with served() as backend:
        one = Proxy(tmp_path_factory.mktemp("litellm"), backend)
        try:
            one.start()
            yield one
        finally:
            one.kill()


@pytest.fixture(scope="module")
def exporter(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    with exporting(proxy, tmp_path_factory.mktemp("exporter")) as one:
        yield one


def family(values: Values, name: str) -> Values:
    return {key[1:]: value for key, value in values.items() if key[0] == name}


def gained(before: Values, after: Values, name: str) -> Values:
    """Return by how much the series of a family have risen, without those that have not."""
    old = family(before, name)
    risen = {key: value - old.get(key, 0) for key, value in family(after, name).items()}
    return {key: value for key, value in risen.items() if value}


def counted(exporter: Exporter, before: Values, requests: int) -> Values:
    """Return the values once so many requests more have been counted: LiteLLM counts after it has answered."""

    def all_there() -> bool:
        return sum(gained(before, exporter.values(), "requests_total").values()) >= requests

    wait_for(all_there)
    return exporter.values()


def test_requests_that_succeed_are_counted_with_their_tokens_and_their_price(proxy: Proxy, exporter: Exporter) -> None:
    before, asked = exporter.values(), proxy.backend.asked.copy()
    assert [proxy.ask("plain") for _request in range(3)] == [200] * 3
    assert proxy.ask("plain", stream=True) == 200
    assert proxy.ask("plain", stream=True, stream_options={"include_usage": True}) == 200
    assert proxy.ask("nick") == 200
    after = counted(exporter, before, 6)
    assert gained(before, after, "requests_total") == {("plain",): 5, ("nick",): 1}
    assert gained(before, after, "failures_total") == {}
    assert gained(before, after, "tokens_total") == {
        ("plain", "input"): 5 * PROMPT_TOKENS,
        ("plain", "output"): 5 * COMPLETION_TOKENS,
        ("nick", "input"): PROMPT_TOKENS,
        ("nick", "output"): COMPLETION_TOKENS,
    }
    spend = gained(before, after, "spend_usd_total")
    assert spend == {("plain",): pytest.approx(5 * ANSWER_USD), ("nick",): pytest.approx(ANSWER_USD)}
    assert gained(before, after, "request_latency_seconds_count") == {("plain",): 5, ("nick",): 1}
    assert gained(before, after, "time_to_first_token_seconds_count") == {("plain",): 2}
    # LiteLLM does not tell its overhead of streamed requests.
    assert gained(before, after, "overhead_latency_seconds_count") == {("plain",): 3, ("nick",): 1}
    assert proxy.backend.asked - asked == {"plain": 6}


@pytest.mark.parametrize("model", sorted(REASONS))
def test_a_failure_is_counted_once_by_its_reason(proxy: Proxy, exporter: Exporter, model: str) -> None:
    before = exporter.values()
    assert proxy.ask(model) >= 400
    assert proxy.ask(model, stream=True) >= 400
    after = counted(exporter, before, 2)
    assert gained(before, after, "requests_total") == {(model,): 2}
    failures = gained(before, after, "failures_total")
    if REASONS[model] in COOLED_DOWN:
        # LiteLLM sends nothing there for a while, and refuses the second one itself.
        assert failures == {(model, REASONS[model]): 1, (model, "unavailable"): 1}
    else:
        assert failures == {(model, REASONS[model]): 2}
    assert gained(before, after, "tokens_total") == {}
    assert gained(before, after, "request_latency_seconds_count") == {}


def test_a_retry_is_no_second_request(proxy: Proxy, exporter: Exporter) -> None:
    before, asked = exporter.values(), proxy.backend.asked.copy()
    assert proxy.ask("flaky") == 200
    after = counted(exporter, before, 1)
    assert proxy.backend.asked - asked == {"flaky": 2}
    assert gained(before, after, "requests_total") == {("flaky",): 1}
    assert gained(before, after, "failures_total") == {}
    failed = gained(before, after, "deployment_failures_total")
    assert {(model, reason): n for (model, _id, reason), n in failed.items()} == {("flaky", "server_error"): 1}


def test_a_fallback_is_a_request_for_the_model_that_answered(proxy: Proxy, exporter: Exporter) -> None:
    before = exporter.values()
    assert proxy.ask("fallen") == 200
    after = counted(exporter, before, 1)
    assert gained(before, after, "requests_total") == {("plain",): 1}
    assert gained(before, after, "failures_total") == {}
    assert gained(before, after, "fallbacks_total") == {("fallen", "success"): 1}


def test_names_that_clients_invent_are_no_series(proxy: Proxy, exporter: Exporter) -> None:
    before = exporter.values()
    assert {proxy.ask(f"invented-{number}") for number in range(5)} == {400}
    assert proxy.ask("wild/invented") == 200
    assert proxy.ask("wild/other-invented") == 200
    assert proxy.ask("plain", key="sk-wrong") in (400, 401)
    after = counted(exporter, before, 8)
    assert gained(before, after, "requests_total") == {("other",): 5, ("wild/*",): 2, ("plain",): 1}
    assert not [key for key in after if any("invented" in label for label in key)]


def test_a_backend_that_is_down_is_told_apart(proxy: Proxy, exporter: Exporter) -> None:
    before = exporter.values()
    assert proxy.ask("down") == 500
    after = counted(exporter, before, 1)
    # LiteLLM has one word for a backend that fails and one that can't be reached.
    assert gained(before, after, "failures_total") == {("down", "server_error"): 1}


def test_models_are_those_of_the_configuration(proxy: Proxy, exporter: Exporter) -> None:
    assert proxy.ask("absent") >= 400
    values = exporter.values()
    models = {model for model, _id in family(values, "model_configured")}
    assert models == {*REASONS, "plain", "nick", "flaky", "fallen", "down", "wild/*"}
    assert family(values, "model_price_usd_per_token")["plain", "input"] == PRICES["input"]
    assert family(values, "model_price_usd_per_token")["plain", "output"] == PRICES["output"]
    assert family(values, "model_context_tokens")["plain",] == 512
    assert family(values, "info") == {("1.106.2",): 1}
    assert family(values, "ready") == {("proxy",): 1}
    # Behind a wildcard there may be any.
    behind = {(key[0], *key[2:]) for key in family(values, "model_info")}
    assert {("nick", "openai", "plain"), ("fallen", "openai", "broken"), ("wild/*",)} <= behind
    # LiteLLM takes a deployment out of routing for an answer that won't change.
    state = {model: value for (model, _id), value in family(values, "model_available").items()}
    assert state["absent"] == 0


def test_the_exporter_sends_no_request_to_any_model(proxy: Proxy, exporter: Exporter) -> None:
    asked = proxy.backend.asked.copy()
    for _request in range(5):
        exporter.values()
        exporter.get("/api/v1/models")
    assert proxy.backend.asked == asked


def test_nothing_secret_leaves(proxy: Proxy, exporter: Exporter) -> None:
    asked = (
        f"{exporter.get('/metrics')}{exporter.get('/api/v1/models')}{exporter.get('/docs')}{exporter.log.read_text()}"
    )
    assert "nick" in asked
    for secret in ("planted", KEY, END_USER, AGENT, str(proxy.backend.port), "default_user_id", "hashed"):
        assert secret not in asked


def test_probes_are_requests_to_every_model_so_they_have_to_be_allowed(proxy: Proxy, tmp_path: Path) -> None:
    asked = proxy.backend.asked.copy()
    with exporting(proxy, tmp_path, ACTIVE_PROBES="true") as exporter:
        wait_for(lambda: ("collector_success", "checks") in exporter.values(), 60)
        values = exporter.values()
    assert set(REASONS) | {"plain", "flaky"} <= set(proxy.backend.asked - asked)
    state = {model: value for (model, _id), value in family(values, "model_available").items()}
    assert state["plain"] == 1
    assert state["broken"] == state["down"] == 0
    checked = {model for model, _id in family(values, "model_last_check_timestamp_seconds")}
    assert {"plain", "nick", "broken", "down"} <= checked


def test_a_litellm_that_is_killed_and_comes_back_is_followed(proxy: Proxy, exporter: Exporter) -> None:
    proxy.kill()
    down = exporter.values()
    assert down["ready", "proxy"] == 0
    assert not family(down, "requests_total")
    assert down["up",] == 0
    # What fails in one scrape may be counted in the next one only.
    exporter.values()
    assert family(exporter.values(), "upstream_errors_total")["/metrics", "refused"] >= 2
    log = [json.loads(line) for line in exporter.log.read_text().splitlines()]
    # On a busy machine there may have been a timeout before.
    refused = [one["upstream"] for one in log if one.get("reason") == "refused"]
    assert sorted(refused) == sorted({*refused, "/metrics", "/health/readiness"})
    proxy.start()
    wait_for(lambda: exporter.values().get(("ready", "proxy")) == 1)
    before = exporter.values()
    # A restart is one, and no more than what was sent after it is counted.
    assert not family(before, "requests_total")
    assert proxy.ask("plain") == 200
    after = counted(exporter, before, 1)
    assert family(after, "requests_total") == {("plain",): 1}
    assert after["up",] == 1
