# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What the exporter tells of models and of LiteLLM itself, without a request to any and without a secret."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.proxy import (
    AGENT,
    END_USER,
    KEY,
    PRICES,
    REASONS,
    Proxy,
)
from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.values import (
    Values,
    asking,
    counted,
    family,
    gained,
    values_of,
)
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import Exporter
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for


def available(values: Values) -> dict[str, float]:
    return {model: value for (model, _id), value in family(values, "model_available").items()}


def test_models_are_those_of_the_configuration(proxy: Proxy, exporter: Exporter) -> None:
    assert proxy.ask("absent") >= 400
    # LiteLLM takes a deployment out of routing for an answer that won't change.
    wait_for(lambda: available(values_of(exporter)).get("absent") == 0)
    values = values_of(exporter)
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


def test_the_exporter_sends_no_request_to_any_model(proxy: Proxy, exporter: Exporter) -> None:
    asked = proxy.backend.asked.copy()
    for _request in range(5):
        values_of(exporter)
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
    with asking(proxy, tmp_path, ACTIVE_PROBES="true") as exporter:
        wait_for(lambda: ("collector_success", "checks") in values_of(exporter), 60)
        values = values_of(exporter)
    assert set(REASONS) | {"plain", "flaky"} <= set(proxy.backend.asked - asked)
    state = available(values)
    assert state["plain"] == 1
    assert state["broken"] == state["down"] == 0
    checked = {model for model, _id in family(values, "model_last_check_timestamp_seconds")}
    assert {"plain", "nick", "broken", "down"} <= checked


def test_a_litellm_that_is_killed_and_comes_back_is_followed(proxy: Proxy, exporter: Exporter) -> None:
    known = family(values_of(exporter), "requests_total")
    proxy.kill()
    down = values_of(exporter)
    assert down["ready", "proxy"] == 0
    assert not family(down, "requests_total")
    assert down["up",] == 0
    # What fails in one scrape may be counted in the next one only.
    values_of(exporter)
    assert family(values_of(exporter), "upstream_errors_total")["/metrics", "refused"] >= 2
    log = [json.loads(line) for line in exporter.log.read_text().splitlines()]
    # On a busy machine there may have been a timeout before.
    refused = [one["upstream"] for one in log if one.get("reason") == "refused"]
    assert sorted(refused) == sorted({*refused, "/metrics", "/health/readiness"})
    proxy.start()
    wait_for(lambda: values_of(exporter).get(("up",)) == 1)
    before = values_of(exporter)
    # A restart takes nothing back, and no more than what was sent after it is counted.
    assert family(before, "requests_total") == known
    assert proxy.ask("plain") == 200
    after = counted(exporter, before, 1)
    assert gained(before, after, "requests_total") == {("plain",): 1}
    assert after["up",] == 1
