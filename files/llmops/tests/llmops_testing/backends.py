"""Backends that keep events in memory, and fail as a test wants."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from llmops_monitoring.config import MonitorConfig, StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import RejectedError, StorageBackend
from llmops_testing.events import number_of


def settings(**given: Any) -> MonitorConfig:
    """Return a configuration that waits shortly; names of StorageConfig may be among `given`."""
    storage: dict[str, Any] = {"batch_size": 10, "flush_interval_seconds": 0.02}
    own: dict[str, Any] = {"retry_backoff_seconds": 0.001, "shutdown_timeout_seconds": 3}
    for name, value in given.items():
        (storage if name in StorageConfig.model_fields else own)[name] = value
    return MonitorConfig(storage=StorageConfig(**storage), **own)


class Recorder(StorageBackend):
    """Keeps the numbers of all events in the order in which they came.

    Attributes:
        numbers: All that was written, with what was written twice.
        batches: How many events each write had.
        down: Whether writes fail, as when nobody answers.
        poisoned: Numbers that it rejects.
    """

    def __init__(self, config: StorageConfig | None = None) -> None:
        super().__init__(config or StorageConfig())
        self.numbers: list[int] = []
        self.batches: list[int] = []
        self.down = False
        self.poisoned: set[int] = set()
        self.reject: Callable[[str], Exception] = RejectedError
        self.closed = False

    async def initialize(self) -> None:
        self._answer()

    async def write_event(self, event: MetricEvent) -> None:
        await self.write_batch([event])

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        self._answer()
        numbers = [number_of(event) for event in events]
        if not self.poisoned.isdisjoint(numbers):
            message = "poisoned"
            raise self.reject(message)
        self.numbers += numbers
        self.batches.append(len(numbers))

    async def close(self) -> None:
        self.closed = True

    async def health_check(self) -> bool:
        return not self.down

    def supports_batch_writes(self) -> bool:
        return True

    def _answer(self) -> None:
        if self.down:
            message = "nobody answers"
            raise ConnectionError(message)


class Stuck(Recorder):
    """Writes only once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = False

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        while not self.free:
            await asyncio.sleep(0.001)
        await super().write_batch(events)


class BackAgain(Recorder):
    """Fails in its first writes, and is there again whenever somebody asks whether it is."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self._failing = failing

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        if self._failing:
            self._failing -= 1
            message = "nobody answers yet"
            raise ConnectionError(message)
        await super().write_batch(events)


class Unreliable(Recorder):
    """Fails by chance: before it has written, and after, when only its answer gets lost.

    Attributes:
        acknowledged: The numbers of which it said that they are written.
        repeated: How many of these it was given once more.
        failed: How many writes failed.
    """

    def __init__(self, seed: int, failing: float) -> None:
        super().__init__()
        self._chance = random.Random(seed)  # noqa: S311 - the same each time
        self._failing = failing
        self.acknowledged: set[int] = set()
        self.repeated = 0
        self.failed = 0

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        numbers = {number_of(event) for event in events}
        self.repeated += len(self.acknowledged & numbers)
        if self._chance.random() < self._failing:
            self.failed += 1
            message = "nobody answers, by chance"
            raise ConnectionError(message)
        await super().write_batch(events)
        if self._chance.random() < self._failing / 4:
            self.failed += 1
            message = "the answer gets lost, by chance"
            raise TimeoutError(message)
        self.acknowledged |= numbers

    async def health_check(self) -> bool:
        return self._chance.random() >= self._failing
