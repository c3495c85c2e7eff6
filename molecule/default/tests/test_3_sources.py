"""Servers that exporters can't read are named by the verification, with what to do."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box, Rollout, eventually

SECRETS = "/opt/llm-monitor/secrets/exporters"
KEYS = f"{SECRETS}/litellm_api_key {SECRETS}/langfuse_secret_key"
EXPORTERS = "llm-monitor-litellm-exporter-1 llm-monitor-langfuse-exporter-1"
# LiteLLM's exporter asks when it is scraped, Langfuse's every ten seconds, as the inventory has it.
READ = "llm_monitor_litellm_up + on (instance) llm_monitor_langfuse_collector_success{collector='usage'}"


@contextmanager
def other_keys(box: Box) -> Iterator[None]:
    """Give the exporters keys that their servers do not know."""
    box.run(f"sed -i s/planted/withdrawn/ {KEYS} && docker restart {EXPORTERS}")
    try:
        yield
    finally:
        box.run(f"sed -i s/withdrawn/planted/ {KEYS} && docker restart {EXPORTERS}")


@contextmanager
def silent(server: str) -> Iterator[None]:
    """Let a server answer nobody."""
    subprocess.run(["docker", "pause", server], check=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "unpause", server], check=True)


def read(box: Box) -> list[str]:
    """Return how many of both servers can be read, as soon as that is known of both."""
    return [one["value"][1] for one in box.query(READ)]


def test_verification_names_servers_that_refuse_their_keys(
    box: Box, roll_out: Rollout, planted: dict[str, str]
) -> None:
    with other_keys(box):
        said = roll_out.fails("verify.yml")
    assert re.search(
        r"Not all is well on box: - The litellm exporter can't read LiteLLM \(http://[0-9.]+:4000\): "
        r"it refuses the key \([^)]+\)\. If it runs, correct exporters_litellm_url or exporters_litellm_api_key in the "
        r"inventory and run site\.yml again; docs/models\.md tells how the exporter's container reaches it\. "
        r"Its log says more: docker compose -p llm-monitor logs litellm-exporter "
        r"- The langfuse exporter can't read Langfuse \(http://[0-9.]+:3000\): it refuses the key \([^)]+\)\. "
        r"If it runs, correct exporters_langfuse_url, exporters_langfuse_public_key or exporters_langfuse_secret_key ",
        said,
    ), said
    assert [name for name, secret in planted.items() if secret in said] == []
    assert "withdrawn" not in said + box.run("docker logs llm-monitor-litellm-exporter-1 2>&1")
    assert eventually(lambda: read(box) == ["2"], seconds=60)


def test_verification_names_a_server_that_does_not_answer(box: Box, roll_out: Rollout) -> None:
    with silent("llm-monitor-molecule-litellm"):
        assert eventually(lambda: read(box) == ["1"], seconds=60)
        said = roll_out.fails("verify.yml")
    assert "The litellm exporter can't read LiteLLM" in said
    assert "it does not answer in time (" in said
    assert "The langfuse exporter" not in said
    assert eventually(lambda: read(box) == ["2"], seconds=60)
