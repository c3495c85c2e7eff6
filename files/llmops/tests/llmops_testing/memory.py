"""A monitor whose events are there at once: calls are made into events on the caller's thread."""

from collections.abc import Callable
from threading import Lock
from typing import Any

from llmops_monitoring.call import Call
from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.instrumentation.active import ACTIVE
from llmops_monitoring.instrumentation.making import EventMaker
from llmops_monitoring.instrumentation.problems import Problems
from llmops_monitoring.instrumentation.recorder import Recorder


class Memory:
    """Keeps the calls that are put, and makes events of them when they are asked for."""

    def __init__(self, **given: Any) -> None:
        self.problems = Problems()
        config = MonitorConfig(**given)
        self.maker = EventMaker(config, self.problems)
        self.recorder = Recorder(config, self._put, self.problems)
        self._calls: list[Call] = []
        self._lock = Lock()

    def _put(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)

    @property
    def events(self) -> list[MetricEvent]:
        """The events of all calls since this was last asked, each checked as a backend would."""
        with self._lock:
            calls, self._calls = self._calls, []
        made = self.maker.make(calls)
        return [MetricEvent.model_validate_json(one.model_dump_json()) for one in made]

    @property
    def event(self) -> MetricEvent:
        """The only event since this was last asked."""
        (event,) = self.events
        return event


Measuring = Callable[..., Memory]


def measure(**given: Any) -> Memory:
    """Have decorated functions report to memory from now on."""
    memory = Memory(**given)
    ACTIVE.recorder = memory.recorder
    return memory


def stop() -> None:
    """Have nothing measured."""
    ACTIVE.recorder = None
