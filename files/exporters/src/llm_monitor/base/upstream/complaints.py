"""What is said about upstreams that fail: a log line when it changes, and a count of each time."""

import threading
from collections.abc import Collection

import structlog

from llm_monitor.base.upstream.errors import UpstreamError

Counts = dict[tuple[str, str], int]


class Complaints:
    """Logs each reason for which an upstream fails once until it has recovered, and counts all."""

    def __init__(self, name: str) -> None:
        """Log under `name`."""
        self._log = structlog.get_logger(name)
        self._told: dict[tuple[str, str], set[str]] = {}
        self._counts: Counts = {}
        self._lock = threading.Lock()

    def failed(self, upstream: str, error: UpstreamError, part: str = "", **about: object) -> None:
        """Count that `upstream` failed with `error`, and log it unless that was said before.

        Args:
            upstream: Its name, the value of a label.
            error: What went wrong.
            part: Which of several things that are asked of it, each of which fails and recovers by
                itself.
            about: Further fields of the log line.
        """
        with self._lock:
            counted = upstream, error.reason
            self._counts[counted] = self._counts.get(counted, 0) + 1
            told = self._told.setdefault((upstream, part), set())
            known = error.reason in told
            told.add(error.reason)
        if not known:
            about = {"part": part, **about} if part else about
            self._log.warning(
                "upstream failed", upstream=upstream, reason=error.reason, error=str(error), **about
            )

    def recovered(self, upstream: str, part: str = "") -> None:
        """Log that `upstream` answers again if it had failed."""
        with self._lock:
            told = self._told.pop((upstream, part), None)
        if told:
            about = {"part": part} if part else {}
            self._log.info("upstream recovered", upstream=upstream, **about)

    def counts(self) -> Counts:
        """Return how often each upstream failed for each reason since the start."""
        with self._lock:
            return dict(self._counts)

    def keep(self, upstreams: Collection[str]) -> None:
        """Forget all but `upstreams`: the others are gone."""
        with self._lock:
            self._told = {key: told for key, told in self._told.items() if key[0] in upstreams}
            self._counts = {key: n for key, n in self._counts.items() if key[0] in upstreams}
