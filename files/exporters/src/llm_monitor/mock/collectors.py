"""The mock's own collector."""

from collections.abc import Iterator

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.metrics.family import Sample
from llm_monitor.mock import metrics
from llm_monitor.mock.logs.writer import LogWriter
from llm_monitor.mock.stage import Stage


class StageCollector:
    """Says that all of this is simulated, and what is played."""

    name = "stage"
    families = metrics.FAMILIES

    def __init__(self, stage: Stage, logs: LogWriter | None = None) -> None:
        """Tell of `stage`, and of its logs if there are any."""
        self._stage = stage
        self._logs = logs

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        """Give the scenario, the time and what became of log lines."""
        yield metrics.SCENARIO_INFO(1, self._stage.scenario)
        yield metrics.VIRTUAL_TIME(self._stage.now())
        if self._logs is not None:
            for result, count in self._logs.counts.items():
                yield metrics.LOG_LINES(count, result)
