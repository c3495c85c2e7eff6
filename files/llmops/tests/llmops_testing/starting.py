"""What the fixture `started` gives."""

from collections.abc import Callable

from llmops_monitoring.transport.worker import InProcessTransport

Started = Callable[..., InProcessTransport]
