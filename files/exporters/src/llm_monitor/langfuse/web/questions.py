"""Langfuse's HTTP API: one question at a time, never earlier than Langfuse allows."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Answer, Fetcher
from llm_monitor.langfuse.facts import LARGEST_ANSWER, Row, calendar_time, rows_of

T = TypeVar("T")
Span = tuple[float, float]

# What a Langfuse answers that does not have a generation of its API, or not for these keys.
ABSENT = frozenset({400, 403, 404, 405, 410, 501})

_DEFAULT_PAUSE = 60.0
_LONGEST_PAUSE = 86400.0
_ATTEMPTS = 3


class Api:
    """Asks one Langfuse with one pair of keys.

    Attributes:
        complaints: What went wrong so far.
    """

    def __init__(
        self, url: str, keys: tuple[str, str], timeout: float, complaints: Complaints, ca_file: str
    ) -> None:
        """Ask `url` with the public and the secret key; an answer may take `timeout` seconds."""
        self.complaints = complaints
        self._url = url.rstrip("/")
        self._keys = keys
        self._timeout = timeout
        self._fetcher = Fetcher("langfuse", ca_file or None)
        self._not_before = 0.0
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T], deadline: Deadline) -> T:
        """Run a coroutine that asks, from another thread, and return its result."""
        return self._fetcher.run(work, deadline)

    async def ask(
        self,
        endpoint: str,
        path: str,
        told: Callable[[Answer], T],
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
        *,
        open_to_all: bool = False,
        alone: bool = True,
    ) -> T:
        """Return what `told` makes of the answer to GET `path`.

        When Langfuse says that it is asked too often, the question is put again once Langfuse
        allows, if that is before the deadline; until then nothing is asked at all.

        Args:
            endpoint: What failures are counted under.
            path: The path, with a slash first.
            told: Reads the answer; raises UpstreamError when it can't be used.
            deadline: When it is given up.
            params: The query.
            expected: Statuses that are no failure worth counting.
            open_to_all: Whether the path needs no keys; then none are sent.
            alone: Whether this is all that is asked of `endpoint`. Of several questions one that is
                answered does not yet mean that it has recovered: that is for the caller to say.

        Raises:
            UpstreamError: When there is no answer with a status of success that can be used.
        """
        try:
            value = told(await self._patiently(path, deadline, params, open_to_all))
        except UpstreamError as error:
            if error.status not in expected:
                self.complaints.failed(endpoint, error)
            raise
        if alone:
            self.complaints.recovered(endpoint)
        return value

    async def _patiently(
        self, path: str, deadline: Deadline, params: Mapping[str, str] | None, open_to_all: bool
    ) -> Answer:
        for attempt in range(1, _ATTEMPTS + 1):
            # The probes are not rate limited, and must be seen while the rest is.
            if not open_to_all:
                await self._wait(deadline)
            try:
                return await self._fetcher.get(
                    self._url + path,
                    deadline=Deadline.after(min(self._timeout, deadline.remaining())),
                    params=params,
                    auth=None if open_to_all else self._keys,
                    limit=LARGEST_ANSWER,
                )
            except UpstreamError as error:
                if error.reason != Reason.RATE_LIMITED:
                    raise
                self._rest(error.retry_after)
                if open_to_all or attempt == _ATTEMPTS:
                    raise
        raise AssertionError

    async def _wait(self, deadline: Deadline) -> None:
        """Wait until Langfuse may be asked again.

        Raises:
            UpstreamError: When that is after the deadline.
        """
        with self._lock:
            pause = self._not_before - time.monotonic()
        if pause <= 0:
            return
        if pause >= deadline.remaining():
            # No time in it: what is told would be another thing, and news, with each poll.
            message = f"{self._url}: it wants to be left alone for longer than there is time for"
            raise UpstreamError(Reason.RATE_LIMITED, message, retry_after=pause)
        await asyncio.sleep(pause)

    def _rest(self, seconds: float | None) -> None:
        pause = min(_DEFAULT_PAUSE if seconds is None else seconds, _LONGEST_PAUSE)
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + pause)


async def newest_trace(api: Api, since: str, deadline: Deadline) -> float | None:
    """Return the Unix time of the newest trace since then, None when there is none."""
    params = {"limit": "1", "orderBy": "timestamp.desc", "fields": "core", "fromTimestamp": since}

    def told(answer: Answer) -> float | None:
        return latest(rows_of(answer.json(), answer.where), "timestamp")

    return await api.ask("traces", "/api/public/traces", told, deadline, params)


def moment(seconds: float) -> str:
    """Return a Unix time as the API writes it."""
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def latest(found: Sequence[Row], key: str) -> float | None:
    """Return the newest of the Unix times of `key`, None when there is none."""
    moments = [_unix(row.get(key)) for row in found]
    return max((one for one in moments if one is not None), default=None)


def _unix(written: object) -> float | None:
    try:
        found = datetime.fromisoformat(str(written))
    except ValueError:
        return None
    return calendar_time((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
