# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What the exporter counts is what was sent."""

from __future__ import annotations

import pytest
from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.openai_backend import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
)
from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.proxy import ANSWER_USD, REASONS, Proxy
from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.values import counted, gained, values_of
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import Exporter

# What LiteLLM takes a deployment out of routing for at once: it won't change.
COOLED_DOWN = {"backend_auth", "not_found"}


def test_requests_that_succeed_are_counted_with_their_tokens_and_their_price(proxy: Proxy, exporter: Exporter) -> None:
    before, asked = values_of(exporter), proxy.backend.asked.copy()
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
    before = values_of(exporter)
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
    before, asked = values_of(exporter), proxy.backend.asked.copy()
    assert proxy.ask("flaky") == 200
    after = counted(exporter, before, 1)
    assert proxy.backend.asked - asked == {"flaky": 2}
    assert gained(before, after, "requests_total") == {("flaky",): 1}
    assert gained(before, after, "failures_total") == {}
    failed = gained(before, after, "deployment_failures_total")
    assert {(model, reason): n for (model, _id, reason), n in failed.items()} == {("flaky", "server_error"): 1}


def test_a_fallback_is_a_request_for_the_model_that_answered(proxy: Proxy, exporter: Exporter) -> None:
    before = values_of(exporter)
    assert proxy.ask("fallen") == 200
    after = counted(exporter, before, 1)
    assert gained(before, after, "requests_total") == {("plain",): 1}
    assert gained(before, after, "failures_total") == {}
    assert gained(before, after, "fallbacks_total") == {("fallen", "success"): 1}


def test_names_that_clients_invent_are_no_series(proxy: Proxy, exporter: Exporter) -> None:
    before = values_of(exporter)
    assert {proxy.ask(f"invented-{number}") for number in range(5)} == {400}
    assert proxy.ask("wild/invented") == 200
    assert proxy.ask("wild/other-invented") == 200
    assert proxy.ask("plain", key="sk-wrong") in (400, 401)
    after = counted(exporter, before, 8)
    assert gained(before, after, "requests_total") == {("other",): 5, ("wild/*",): 2, ("plain",): 1}
    assert not [key for key in after if any("invented" in label for label in key)]


def test_a_backend_that_is_down_is_told_apart(proxy: Proxy, exporter: Exporter) -> None:
    before = values_of(exporter)
    assert proxy.ask("down") == 500
    after = counted(exporter, before, 1)
    # LiteLLM has one word for a backend that fails and one that can't be reached.
    assert gained(before, after, "failures_total") == {("down", "server_error"): 1}
