"""What a backend does. One is made by calling its class with the StorageConfig."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent


class RejectedError(Exception):
    """Raised by a backend for events that it will never take, whatever happens.

    The transport then looks for the ones at fault, and does not wait before it tries the others.
    """


class StorageBackend(ABC):
    """Keeps events. All methods run on the transport's thread, in its event loop.

    What a method raises is taken as "not written": the transport tries again. A backend must
    therefore not keep an event twice that it is given twice, by its `event_id`.
    """

    def __init__(self, config: StorageConfig) -> None:
        """Keep events as `config` says; nothing is opened before `initialize`."""
        self.config = config

    @abstractmethod
    async def initialize(self) -> None:
        """Open what is needed. It is called again after it failed."""

    @abstractmethod
    async def write_event(self, event: MetricEvent) -> None:
        """Keep one event."""

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        """Keep all events or, where it raises, none that a second try would keep again."""
        for event in events:
            await self.write_event(event)

    @abstractmethod
    async def close(self) -> None:
        """Put everything in its final place, and let go of it."""

    @abstractmethod
    async def health_check(self) -> bool:
        """Return whether events could be written now."""

    def supports_batch_writes(self) -> bool:
        """Return whether a batch is written at once, rather than event by event."""
        return False
