"""What collectors and the JSON API share: the newest reading, health checks, and rates of late."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.logs import Once
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.litellm.facts import Check, Deployment
from llm_monitor.litellm.models import Catalogue
from llm_monitor.litellm.source import LitellmSource
from llm_monitor.litellm.totals import Totals
from llm_monitor.litellm.traffic import WANTED, Traffic, tally

_RECENT_SECONDS = 5.0
_WINDOW_SECONDS = 300.0
# LiteLLM tells of an outage until the next request succeeds, which takes a night on a quiet model,
# though it would try again after seconds. The alert LitellmModelUnavailable looks as far back.
_OUTAGE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Rates:
    """How a deployment has been used of late.

    Attributes:
        per_minute: Requests a minute.
        failed: The share of them that failed; None when there was none.
    """

    per_minute: float
    failed: float | None


class Desk:
    """Reads LiteLLM's metrics for all who need them.

    Attributes:
        source: LiteLLM.
        catalogue: Its deployments.
    """

    def __init__(
        self,
        source: LitellmSource,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Let `source` take at most `patience` seconds for an answer.

        `clock` times readings, `now` tells the Unix time that health checks are held against.
        """
        self.source = source
        self.catalogue = Catalogue(source, clock)
        self._patience = patience
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._totals = Totals()
        self._newest: tuple[float, Traffic] | None = None
        self._past: deque[tuple[float, Traffic]] = deque()
        self._troubles: dict[str, tuple[float, float]] = {}
        self._checks: Mapping[str, Check] = {}
        self._checks_count = 0.0
        self._once = Once(__name__)

    def soon(self, deadline: Deadline) -> Deadline:
        """Return by when LiteLLM has to answer, at `deadline` at the latest."""
        return Deadline(min(deadline.at, Deadline.after(self._patience).at))

    def read(self, deadline: Deadline, at_most: float = 0.0) -> Traffic:
        """Return LiteLLM's counts as of now, or of the last `at_most` seconds.

        Raises:
            UpstreamError: When LiteLLM does not tell them.
        """
        if not self._lock.acquire(timeout=deadline.remaining()):
            raise UpstreamError(Reason.TIMEOUT, "the metrics have not come in time")
        try:
            now = self._clock()
            if self._newest is not None and now - self._newest[0] < at_most:
                return self._newest[1]
            points = self.source.points(WANTED, deadline)
            self.catalogue.so_far(deadline)
            traffic = tally(points, self.catalogue.names, self._totals)
            self._newest = now, traffic
            self._remember(now, traffic)
            self._watch(now, traffic)
            return traffic
        finally:
            self._lock.release()

    def recent(self, deadline: Deadline) -> Traffic:
        """Return LiteLLM's counts as of the last seconds.

        Raises:
            UpstreamError: When LiteLLM does not tell them.
        """
        return self.read(deadline, _RECENT_SECONDS)

    def rates(self, deployment: str) -> Rates | None:
        """Return a deployment's rates between the readings of the last five minutes, if any."""
        with self._lock:
            if len(self._past) < 2:
                return None
            (first, before), (last, after) = self._past[0], self._past[-1]
        if deployment not in after.calls:
            return Rates(0.0, None)
        requests, failures = (
            max(0.0, new - old)
            for new, old in zip(
                after.calls[deployment], before.calls.get(deployment, (0.0, 0.0)), strict=True
            )
        )
        return Rates(60 * requests / (last - first), failures / requests if requests else None)

    def keep(self, checks: Mapping[str, Check], seconds: float) -> None:
        """Remember the newest health checks, by deployment's id or model's name.

        Each tells of its deployment for so many seconds.
        """
        self._checks, self._checks_count = checks, seconds

    def check(self, one: Deployment) -> Check | None:
        """Return the newest health check of a deployment, if there is one."""
        return self._checks.get(one.id) or self._checks.get(one.model)

    def available(self, one: Deployment, traffic: Traffic) -> bool | None:
        """Return whether a deployment answers, None when nobody knows.

        A health check that is not too old is asked first, then what LiteLLM found when it last sent
        a request there; that it did not answer counts while failures are not long ago.
        """
        check = self.check(one)
        if check is not None and self._now() - check.at < self._checks_count:
            return check.healthy
        reached = traffic.available.get(one.id)
        _, troubled_at = self._troubles.get(one.id, (0.0, -math.inf))
        recent = self._clock() - troubled_at < _OUTAGE_SECONDS
        return None if reached is False and not recent else reached

    def _watch(self, now: float, traffic: Traffic) -> None:
        """Remember when a deployment's failures or cooldowns have last risen."""
        for id_, troubles in traffic.troubles.items():
            before, _ = self._troubles.get(id_, (0.0, 0.0))
            if troubles > before:
                self._troubles[id_] = troubles, now

    def _remember(self, now: float, traffic: Traffic) -> None:
        """Keep the readings of the last five minutes, since LiteLLM's last start."""
        past = self._past
        if past and past[-1][1].started != traffic.started:
            if (traffic.started or 0.0) < (past[-1][1].started or 0.0):
                self._once.info("several LiteLLMs answer, whose counts are mixed up", "url")
            past.clear()
        if past and now - past[-1][0] < _RECENT_SECONDS and len(past) > 1:
            past.pop()
        past.append((now, Traffic(started=traffic.started, calls=traffic.calls)))
        while now - past[0][0] > _WINDOW_SECONDS and len(past) > 2:
            past.popleft()
