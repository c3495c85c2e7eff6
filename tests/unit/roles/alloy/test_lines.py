# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""How lines become entries: tracebacks in one piece, levels in few words, and labels that stay few."""

from __future__ import annotations

import json
import traceback

import pytest
from ansible_collections.llmops.monitoring.tests.unit.roles.alloy import pipeline, rendering
from llm_monitor.mock.logs import vllm

ROOT = rendering.config(**rendering.EVERYTHING)
JOINED = rendering.block(ROOT, "loki.process.joined")
EVERY = rendering.block(ROOT, "loki.process.every")
MOCK = rendering.block(ROOT, "loki.process.mock")
BEFORE = 'INFO:     172.18.0.5:48212 - "GET /health HTTP/1.1" 200 OK'
AFTER = "INFO 11-22 06:13:09 [launcher.py:29] Available routes are:"
HEAD = "ERROR 11-22 06:13:04 [core.py:1120]"


def entries(text: str) -> list[str]:
    """Return the entries that a container's lines become, between two others."""
    # The tailer leaves empty lines out.
    lines = [line for line in [BEFORE, *text.splitlines(), AFTER] if line]
    found = [entry.line for entry in pipeline.run(JOINED, lines, service="vllm")]
    assert found[0] == BEFORE
    assert found[-1] == AFTER
    return found[1:-1]


def raised(*, chained: bool = False) -> str:
    """Return what Python really prints for an error."""
    try:
        try:
            json.loads("{")
        except ValueError as error:
            if not chained:
                raise
            raise RuntimeError("the configuration can't be read") from error
    except (RuntimeError, ValueError):
        return traceback.format_exc()
    raise AssertionError


def test_a_traceback_is_one_entry() -> None:
    (found,) = entries(raised())
    assert found.startswith("Traceback (most recent call last):\n")
    assert found.rstrip().endswith("(char 1)")
    assert "json.decoder.JSONDecodeError: " in found


def test_a_chain_of_tracebacks_is_an_entry_each() -> None:
    found = entries(raised(chained=True))
    assert len(found) == 2
    assert "The above exception was the direct cause" in found[0]
    assert found[1].rstrip().endswith("RuntimeError: the configuration can't be read")


@pytest.mark.parametrize("prefix", ["(EngineCore pid=201)", "(Worker_TP3 pid=204)", HEAD, f"(APIServer pid=1) {HEAD}"])
def test_a_traceback_of_vllm_s_is_one_entry_whatever_stands_in_front(prefix: str) -> None:
    lines = raised().splitlines()
    (found,) = entries("\n".join(f"{prefix} {line}" for line in lines))
    assert found.count("\n") == len(lines) - 1
    first, *others = entries("\n".join(f"{prefix} {line}" for line in ["EngineCore hit a fatal error.", *lines]))
    assert first == f"{prefix} EngineCore hit a fatal error."
    assert len(others) == 1


def test_the_mock_s_traceback_is_one_entry() -> None:
    error = "torch.AcceleratorError: CUDA error: unspecified launch failure"
    (found,) = entries(vllm._traceback("(EngineCore pid=201)", "v1/engine/core.py", error))
    assert found.endswith(error)


@pytest.mark.parametrize(
    "line",
    [
        "Error: cannot open the file",
        "Warning: Permanently added 'x' to the list of known hosts.",
        "ERROR:    Exception in ASGI application",
        "Exception in thread Thread-1:",
        '{"event": "scrape", "error": "ValueError: x"}',
        "06:13:04 - LiteLLM:ERROR: utils.py:2001 - boom",
        "(EngineCore pid=201) INFO 11-22 06:13:04 [core.py:214] ready",
        "[rank0]: NCCL WARN Cuda failure",
        "level=error msg=failed",
        "2026-11-22T06:13:04Z ValueError: x",
        "ValueError without a colon",
    ],
)
def test_lines_of_their_own_stay_apart(line: str) -> None:
    assert entries(line) == [line]


def test_indented_lines_go_on_the_one_before() -> None:
    text = '{\n  "a": 1,\n\t"b": 2'
    assert entries(text) == [text]


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (BEFORE, "info"),
        ("(EngineCore pid=201) WARNING 11-22 06:13:04 [x.py:1] slow, no ERROR yet", "warning"),
        ("ERROR:    Exception in ASGI application", "error"),
        ("06:13:04 - LiteLLM:ERROR: utils.py:2001 - boom", "error"),
        ('{"event":"scrape failed","level":"warning"}', "warning"),
        ('{"log":"{\\"level\\":\\"error\\"}"}', "error"),
        ('ts=2026 level=debug msg="an ERROR was mended"', "debug"),
        ('{"severity": "CRITICAL", "msg": "x"}', "critical"),
        ("2026-11-22 [error] 7#7: upstream timed out", "error"),
        ("2026-11-22T06:13:04Z [info     ] collected", "info"),
        ("<warn> eth0: link down", "warning"),
        ("Traceback (most recent call last):\n  File 'x', line 1", "error"),
        (f"{HEAD} Traceback (most recent call last):", "error"),
        ("NOTICE: table exists", "info"),
        ("PANIC:  could not write", "critical"),
        ("TRACE request", "debug"),
        ("information about errors in general", "unknown"),
        ("x" * 200 + " ERROR", "unknown"),
        ("", "unknown"),
    ],
)
def test_levels_are_told_in_a_few_words(line: str, level: str) -> None:
    (entry,) = pipeline.run(EVERY, [line], service="vllm", container="vllm-llama", stream="stderr")
    assert entry.labels == {"service": "vllm", "container": "vllm-llama", "level": level}
    assert entry.metadata == {"stream": "stderr"}


@pytest.mark.parametrize(
    ("priority", "level"),
    [("emerg", "critical"), ("crit", "critical"), ("error", "error"), ("warning", "warning"), ("debug", "debug")],
)
def test_the_journal_s_priority_is_a_level(priority: str, level: str) -> None:
    line = "NVRM: Xid (PCI:0000:1b:00): 79, GPU has fallen off the bus."
    labels = {"service": "kernel", "level": priority, "unit": "init.scope", "identifier": "kernel"}
    (entry,) = pipeline.run(EVERY, [line], **labels)
    assert entry.labels == {"service": "kernel", "level": level}
    assert entry.metadata == {"unit": "init.scope", "identifier": "kernel"}


def test_the_mock_s_lines_are_taken_out_of_docker_s_form() -> None:
    record = {"log": "INFO ready\n", "stream": "stdout", "time": "2026-11-22T06:13:04.000000Z"}
    (entry,) = pipeline.run(MOCK, [json.dumps(record)], service="litellm", container="litellm")
    assert entry.line == "INFO ready"
    assert entry.labels["stream"] == "stdout"
    (kernel,) = pipeline.run(MOCK, ["Nov 22 06:13:04 host kernel: NVRM: Xid"], service="kernel")
    assert kernel.line.endswith("NVRM: Xid")
