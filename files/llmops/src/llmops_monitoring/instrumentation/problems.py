"""What went wrong in this library: counted always, logged once for each place."""

import logging
from collections import Counter
from collections.abc import Mapping
from threading import RLock

from llmops_monitoring.instrumentation.values import type_name

logger = logging.getLogger("llmops_monitoring")


class Problems:
    """Counts what nobody but the log and `health_check` is told of."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: Counter[str] = Counter()
        # A signal handler or finalizer may interrupt who holds it, and have a problem itself.
        self._lock = RLock()
        self.last: str | None = None

    def note(self, place: str, error: BaseException) -> None:
        """Count an error at `place`; its message stays out, since it may hold content."""
        last = f"{place}: {type_name(type(error))}"
        with self._lock:
            self._counts[place] += 1
            first = self._counts[place] == 1
            self.last = last
        # Once, or a log handler that is itself decorated would never come to an end.
        if first:
            logger.warning(
                "%s; the call itself is not affected, and this is not logged again", last
            )

    def begin_anew(self) -> None:
        """Forget all, in a forked child, where another thread may have held the lock forever."""
        self._lock = RLock()
        self._counts.clear()
        self.last = None

    def counts(self) -> Mapping[str, int]:
        """Return how often something went wrong, by place."""
        with self._lock:
            return dict(self._counts)
