"""What the exporter asks: one interface, over Langfuse's API or over its database."""

from dataclasses import dataclass
from typing import Protocol

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.langfuse.facts import Poll


@dataclass(frozen=True, slots=True)
class State:
    """How Langfuse is.

    Attributes:
        version: Its version, empty when it does not tell.
        source: Which of the ways to ask answered last, empty before the first poll.
    """

    version: str
    source: str


class Repository(Protocol):
    """Where the numbers come from."""

    def state(self, deadline: Deadline, /) -> State:
        """Return how Langfuse is.

        Raises:
            UpstreamError: When it does not answer, or says that it does not work.
        """
        ...

    def ready(self, deadline: Deadline, /) -> bool | None:
        """Return whether Langfuse takes requests, None when it does not tell.

        Raises:
            UpstreamError: When it does not answer.
        """
        ...

    def poll(self, deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now.

        Raises:
            UpstreamError: When that can't be had.
        """
        ...
