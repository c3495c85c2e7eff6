# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The LiteLLM exporter beside a real LiteLLM proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.openai_backend import served
from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.proxy import Proxy
from ansible_collections.llmops.monitoring.tests.integration.exporters.litellm.values import asking
from ansible_collections.llmops.monitoring.tests.integration.exporters.running import Exporter


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
    with asking(proxy, tmp_path_factory.mktemp("exporter")) as one:
        yield one
