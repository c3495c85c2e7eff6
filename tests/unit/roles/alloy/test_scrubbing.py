# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What Alloy takes out of log lines: every secret of a corpus, and nothing of lines that have none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmops.monitoring.tests.unit.roles.alloy import pipeline, rendering

CORPUS = yaml.safe_load(Path(__file__).with_name("secrets.yml").read_text(encoding="utf-8"))
EVERY = rendering.block(rendering.config(), "loki.process.every")


def scrubbed(line: str) -> str:
    (entry,) = pipeline.run(EVERY, [line], service="litellm")
    return entry.line


@pytest.mark.parametrize("case", CORPUS["secret"], ids=range(len(CORPUS["secret"])))
def test_no_secret_is_kept(case: dict[str, Any]) -> None:
    line = scrubbed(case["line"])
    assert [secret for secret in case["gone"] if secret in line] == [], line
    assert [word for word in case.get("kept", []) if word not in line] == [], line
    assert "<redacted>" in line


@pytest.mark.parametrize("case", CORPUS["secret"], ids=range(len(CORPUS["secret"])))
def test_no_secret_is_kept_within_json_either(case: dict[str, Any]) -> None:
    """As an application writes it that logs what another one said."""
    import json

    line = scrubbed(json.dumps({"level": "error", "message": case["line"]}))
    assert [secret for secret in case["gone"] if json.dumps(secret)[1:-1] in line] == [], line


@pytest.mark.parametrize("line", CORPUS["plain"], ids=range(len(CORPUS["plain"])))
def test_what_is_no_secret_stays_as_it_is(line: str) -> None:
    assert scrubbed(line) == line


def test_what_was_taken_out_is_not_taken_out_again() -> None:
    for case in CORPUS["secret"]:
        once = scrubbed(case["line"])
        assert "<redacted>" in once
        assert len(scrubbed(once)) <= len(once) + 20


def test_rules_of_the_inventory_come_beside_ours() -> None:
    every = rendering.block(rendering.config(**rendering.EVERYTHING), "loki.process.every")
    (entry,) = pipeline.run(every, ['customer="4711" said badword, password=hunter2'], service="x")
    assert "4711" not in entry.line
    assert "badword" not in entry.line
    assert "hunter2" not in entry.line


def test_long_lines_are_cut_and_say_so() -> None:
    (entry,) = pipeline.run(EVERY, ["x" * 100_000], service="x")
    assert len(entry.line) == 64 * 1024
    assert entry.line.endswith(" [cut off]")
    assert entry.metadata["truncated"] == "line"


def test_a_line_that_means_ill_costs_no_more_than_another() -> None:
    lines = ["a" * 200_000, "://" * 60_000, "password=" * 20_000, "(" * 200_000, "eyJ" * 60_000]
    begun = time.process_time()
    for line in lines:
        scrubbed(line)
    assert time.process_time() - begun < 20
