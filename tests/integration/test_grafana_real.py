# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The modules against a real Grafana, one that the collection has rolled out, where GRAFANA_URL says where it is.

GRAFANA_PASSWORD, or GRAFANA_PASSWORD_FILE, has the password of GRAFANA_USER, who is admin unless it is set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import grafana_dashboards_check, grafana_service_account

DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
pytestmark = pytest.mark.skipif(
    "GRAFANA_URL" not in os.environ, reason="GRAFANA_URL is not set: there is no real Grafana to ask"
)


@pytest.fixture
def access() -> dict[str, str]:
    """Return url and credentials, as the modules take them."""
    file = os.environ.get("GRAFANA_PASSWORD_FILE")
    password = Path(file).read_text().strip() if file else os.environ["GRAFANA_PASSWORD"]
    return {
        "url": os.environ["GRAFANA_URL"],
        "username": os.environ.get("GRAFANA_USER") or "admin",
        "password": password,
    }


def test_it_has_the_dashboards_of_the_collection_and_answers_every_query(
    run_module: Any, access: dict[str, str]
) -> None:
    options = {"folder": str(DASHBOARDS), "data_sources": ["llm-monitor-prometheus"], "timeout": 120}
    result = run_module(grafana_dashboards_check.main, {**access, **options})
    assert result["failed"] is False, result["msg"]
    assert result["dashboards"] == len(list(DASHBOARDS.glob("*/*.json")))


def test_an_account_and_its_token_come_and_go(run_module: Any, access: dict[str, str]) -> None:
    def account(**options: Any) -> dict[str, Any]:
        result: dict[str, Any] = run_module(
            grafana_service_account.main, {**access, "name": "llm-monitor-test", **options}
        )
        assert result["failed"] is False, result["msg"]
        return result

    try:
        token = account(token="")["token"]
        assert account(token=token)["changed"] is False
        assert account(token=token, role="Editor")["changed"] is True
        assert "token" in account(token="glsa_of_nobody", role="Editor")
    finally:
        account(state="absent")
    assert account(state="absent")["changed"] is False
