"""Comparing what a repository tells with what a project adds up to."""

import pytest

from exporter_testing.langfuse.data import Expected
from llm_monitor.langfuse.facts import ModelUse, Usage


def check_use(usage: Usage, expected: Expected) -> dict[str, ModelUse]:
    """Check what every repository tells, and return the use by model."""
    models = {one.model: one for one in usage.models}
    assert usage.traces == expected.traces
    assert {name: one.observations for name, one in models.items()} == expected.observations
    assert {name: one.input_tokens for name, one in models.items() if name != "none"} == {
        name: tokens for name, tokens in expected.input.items() if name != "none"
    }
    for name in set(models) - {"none"}:
        assert models[name].output_tokens == expected.output[name]
        assert models[name].cost == pytest.approx(expected.cost[name] or 0)
    return models


def check_all(usage: Usage, expected: Expected) -> None:
    """Check every number that all but the oldest generation tell."""
    models = check_use(usage, expected)
    assert {name: one.errors for name, one in models.items()} == expected.errors
    assert models["none"].cost is None
    for name, one in models.items():
        assert one.latency == pytest.approx(expected.latency[name], abs=1e-6)
        assert one.first_token == pytest.approx(expected.first[name], abs=1e-6)
    scores = {one.name: one for one in usage.scores or ()}
    assert {name: one.count for name, one in scores.items()} == expected.scores
    means = {name: one.mean for name, one in scores.items() if one.mean is not None}
    assert means == pytest.approx(expected.means)
