"""Where a JSON API finds what was collected in the background."""

import threading
import time
from typing import Generic, TypeVar

from llm_monitor.base.errors import SourceError

P = TypeVar("P")


class Ledger(Generic[P]):
    """Keeps the newest poll, until one fails or it is too old."""

    def __init__(self, longest: float) -> None:
        """Keep a poll for `longest` seconds."""
        self._longest = longest
        self._lock = threading.Lock()
        self._poll: P | None = None
        self._begun = float("-inf")
        self._problem = "the first poll has not ended yet"

    def keep(self, poll: P, begun: float) -> None:
        """Keep `poll`, which began at `begun` on the clock of `time.monotonic`."""
        with self._lock:
            self._poll, self._begun = poll, begun

    def drop(self, problem: str) -> None:
        """Forget what there is, because of `problem`."""
        with self._lock:
            self._poll, self._problem = None, problem

    def poll(self) -> P:
        """Return the newest poll.

        Raises:
            SourceError: When there is none, or none that is recent.
        """
        with self._lock:
            if self._poll is None:
                raise SourceError(self._problem)
            if time.monotonic() - self._begun > self._longest:
                message = "no recent result"
                raise SourceError(message)
            return self._poll
