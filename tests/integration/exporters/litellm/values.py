# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What the LiteLLM exporter has counted, and by how much that has risen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.proxy import KEY, Proxy
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import Exporter, exporting
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from prometheus_client.parser import text_string_to_metric_families

PREFIX = "llm_monitor_litellm_"

Key = tuple[str, ...]
Values = dict[Key, float]


@contextmanager
def asking(proxy: Proxy, folder: Path, **settings: str) -> Iterator[Exporter]:
    """Run an exporter with a key in a file, which has read what LiteLLM had counted before, while the context lasts."""
    key = folder / "key"
    key.write_text(f"{KEY}\n")
    with exporting("litellm", folder, {"URL": proxy.url, "API_KEY_FILE": str(key), **settings}) as one:
        wait_for(lambda: values_of(one).get(("up",)) == 1)
        yield one


def values_of(exporter: Exporter) -> Values:
    """Return the samples by their names, without what all have in common, and labels' values."""
    families = text_string_to_metric_families(exporter.get("/metrics"))
    samples = (sample for family in families for sample in family.samples)
    return {(one.name.removeprefix(PREFIX), *one.labels.values()): one.value for one in samples}


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
        return sum(gained(before, values_of(exporter), "requests_total").values()) >= requests

    wait_for(all_there)
    return values_of(exporter)
