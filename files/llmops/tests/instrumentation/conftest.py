from collections.abc import Iterator

import pytest

from llmops_monitoring import CollectorRegistry
from llmops_testing.memory import Measuring, Memory, measure, stop


@pytest.fixture
def measuring() -> Iterator[Measuring]:
    """Measure by the given settings until the test ends."""
    yield measure
    stop()
    CollectorRegistry.clear()


@pytest.fixture
def memory(measuring: Measuring) -> Memory:
    """Measure; an error of the library fails the test."""
    return measuring(fail_silently=False)
