"""What the exporter asks: an interface over the event store."""

from typing import Protocol

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.llmops.facts import Poll, Session


class Repository(Protocol):
    """Where the numbers come from."""

    def version(self, deadline: Deadline, /) -> int:
        """Return the version of the event store's schema.

        Raises:
            UpstreamError: When it does not answer, or is no event store.
        """
        ...

    def poll(self, deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now.

        Raises:
            UpstreamError: When none of them can be had.
        """
        ...

    def session(self, session_id: str, seconds: float, deadline: Deadline, /) -> Session | None:
        """Return what a session did in the last `seconds`, None when there is nothing.

        Raises:
            UpstreamError: When that can't be had.
        """
        ...
