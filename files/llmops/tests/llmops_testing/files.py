"""A backend that several processes may share, and that outlives them."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import StorageBackend
from llmops_testing.events import number_of


class FileBackend(StorageBackend):
    """Appends the numbers of events to a file, a line for each, in one write for each batch.

    It is down while there is a file `down` beside it, and hangs while there is one `stuck`.
    """

    def __init__(self, config: StorageConfig) -> None:
        super().__init__(config)
        self._path = config.output_dir / "numbers"
        self._descriptor: int | None = None

    async def initialize(self) -> None:
        self._answer()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(self._path, flags, 0o600)

    async def write_event(self, event: MetricEvent) -> None:
        await self.write_batch([event])

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        self._answer()
        while self._path.with_name("stuck").exists():
            await asyncio.sleep(0.01)
        assert self._descriptor is not None
        lines = "".join(f"{number_of(event)}\n" for event in events).encode()
        assert os.write(self._descriptor, lines) == len(lines)

    async def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    async def health_check(self) -> bool:
        return not self._path.with_name("down").exists()

    def supports_batch_writes(self) -> bool:
        return True

    def _answer(self) -> None:
        if self._path.with_name("down").exists():
            message = "nobody answers"
            raise ConnectionError(message)


def numbers(folder: Path) -> list[int]:
    """Return all numbers that were written, in order."""
    path = folder / "numbers"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []
