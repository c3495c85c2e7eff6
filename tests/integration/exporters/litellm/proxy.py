# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""A real LiteLLM on loopback, before a backend that behaves in every way."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.openai_backend import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    Backend,
)
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from exporter_testing.process import free_port

LITELLM = Path(__file__).resolve().parents[4] / ".cache/litellm/bin/litellm"

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
