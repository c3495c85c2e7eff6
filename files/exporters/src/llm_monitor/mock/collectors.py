"""The mock's own collector."""

from collections.abc import Iterator

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.metrics.family import Sample
from llm_monitor.mock import metrics
from llm_monitor.mock.stage import Stage


class StageCollector:
    """Says that all of this is simulated, and what is played."""

    name = "stage"
    families = metrics.FAMILIES

    def __init__(self, stage: Stage) -> None:
        """Tell of `stage`."""
        self._stage = stage

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        """Give the scenario and the time."""
        yield metrics.SCENARIO_INFO(1, self._stage.scenario)
        yield metrics.VIRTUAL_TIME(self._stage.now())
