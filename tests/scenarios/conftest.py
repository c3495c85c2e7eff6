"""The court that all tests of scenarios go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from ansible_collections.llmops.monitoring.tests.scenarios.court import Court
from ansible_collections.llmops.monitoring.tests.scenarios.tape import INSTANCE
from llm_monitor.mock.fleet.reading import usual_fleet

# What the usual day never costs, and our bad day does.
_BUDGET = 750


MakeCourt = Callable[[Path], Court]


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Let other tests see the logs that playing a scenario turns off."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def make_court() -> MakeCourt:
    """Return what renders the rules of a rollout onto the simulated server into a folder."""
    variables = {
        "prometheus_expected_containers": {INSTANCE: [one.name for one in usual_fleet().containers]},
        "prometheus_daily_budget_usd": _BUDGET,
        "prometheus_gpu_cost_usd_per_hour": 3.6,
    }
    return lambda folder: Court(folder, variables)


@pytest.fixture(scope="session")
def court(make_court: MakeCourt, tmp_path_factory: pytest.TempPathFactory) -> Court:
    """Return the court that judges most scenarios."""
    return make_court(tmp_path_factory.mktemp("rules"))
