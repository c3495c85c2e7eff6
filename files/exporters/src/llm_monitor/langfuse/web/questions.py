"""Langfuse's HTTP API: one question at a time, never earlier than Langfuse allows."""

import asyncio
import threading
import time
from collections.abc import Collection, Coroutine, Mapping
from typing import Any, TypeVar

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Answer, Fetcher

T = TypeVar("T")

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
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
        *,
        open_to_all: bool = False,
    ) -> Answer:
        """Return the answer to GET `path`.

        When Langfuse says that it is asked too often, the question is put again once Langfuse
        allows, if that is before the deadline; until then nothing is asked at all.

        Args:
            endpoint: What failures are counted under.
            path: The path, with a slash first.
            deadline: When it is given up.
            params: The query.
            expected: Statuses that are no failure worth counting.
            open_to_all: Whether the path needs no keys; then none are sent.

        Raises:
            UpstreamError: When there is no answer with a status of success.
        """
        try:
            answer = await self._patiently(path, deadline, params, open_to_all)
        except UpstreamError as error:
            if error.status not in expected:
                self.complaints.failed(endpoint, error)
            raise
        self.complaints.recovered(endpoint)
        return answer

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
            message = f"Langfuse wants to be left alone for another {pause:.0f} s"
            raise UpstreamError(Reason.RATE_LIMITED, message, retry_after=pause)
        await asyncio.sleep(pause)

    def _rest(self, seconds: float | None) -> None:
        pause = min(_DEFAULT_PAUSE if seconds is None else seconds, _LONGEST_PAUSE)
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + pause)
