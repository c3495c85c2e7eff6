"""What the exporter asks: one interface, over Langfuse's API or over its database."""

from typing import Protocol

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.langfuse.facts import Poll


class Repository(Protocol):
    """Where the numbers come from."""

    def version(self, deadline: Deadline, /) -> str:
        """Return Langfuse's version, empty when it works but does not tell.

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
