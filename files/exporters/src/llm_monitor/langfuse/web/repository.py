"""Langfuse's API as a repository: the newest generation that a Langfuse has, and its probes."""

import time
from collections.abc import Iterator

import structlog

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Answer
from llm_monitor.langfuse.facts import WINDOWS, Poll, label_text
from llm_monitor.langfuse.web.generations import GENERATIONS, Generation
from llm_monitor.langfuse.web.questions import ABSENT, Api

_NEWEST_AGAIN_SECONDS = 3600.0
_NOT_READY = frozenset({500, 503})
_VALUES = "values"

_log = structlog.get_logger(__name__)


class ApiRepository:
    """Asks the API; each generation that is not there gives way to the one before it."""

    def __init__(self, api: Api) -> None:
        """Ask `api`."""
        self._api = api
        self._found: int | None = None
        self._looked = 0.0

    def version(self, deadline: Deadline, /) -> str:
        """Return Langfuse's version; the probe fails when Langfuse can't reach its database."""
        asking = self._api.ask("health", "/api/public/health", _version, deadline, open_to_all=True)
        return self._api.run(asking, deadline)

    def ready(self, deadline: Deadline, /) -> bool | None:
        """Return whether Langfuse takes requests; old ones have no such probe."""
        expected = _NOT_READY | {404}
        asking = self._api.ask(
            "ready", "/api/public/ready", _yes, deadline, expected=expected, open_to_all=True
        )
        try:
            return self._api.run(asking, deadline)
        except UpstreamError as error:
            if error.status in _NOT_READY:
                return False
            if error.status in expected:
                return None
            raise

    def poll(self, deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now."""
        return self._api.run(self._poll(deadline), deadline)

    async def _poll(self, deadline: Deadline) -> Poll:
        absent: dict[str, UpstreamError] = {}
        for place, generation in self._candidates():
            try:
                poll = await self._ask(generation, deadline)
            except UpstreamError as error:
                if error.status not in ABSENT:
                    raise
                absent[generation.name] = error
                continue
            self._tell_of_values(generation.name, poll)
            for one in GENERATIONS:
                self._api.complaints.recovered(one.name)
            if place != self._found:
                _log.info("langfuse's metrics API found", generation=generation.name)
                self._found = place
            return poll
        self._found = None
        # That these keys may not see a generation says more than that another is not there.
        name, told = max(absent.items(), key=lambda one: one[1].reason == Reason.UNAUTHORIZED)
        self._api.complaints.failed(name, told)
        raise told

    def _candidates(self) -> Iterator[tuple[int, Generation]]:
        """Give the generation found last and those before it; once an hour all, newest first."""
        now = time.monotonic()
        if self._found is None or now - self._looked >= _NEWEST_AGAIN_SECONDS:
            self._looked = now
            first = 0
        else:
            first = self._found
        yield from list(enumerate(GENERATIONS))[first:]

    def _tell_of_values(self, endpoint: str, poll: Poll) -> None:
        left_out = sum(usage.left_out for usage in poll.windows.values())
        if left_out:
            error = UpstreamError(Reason.NOT_FINITE, "there are values that are no finite numbers")
            self._api.complaints.failed(endpoint, error, _VALUES)
        else:
            self._api.complaints.recovered(endpoint, _VALUES)

    async def _ask(self, generation: Generation, deadline: Deadline) -> Poll:
        now = time.time()
        windows = {
            window: await generation.usage(self._api, (now - seconds, now), deadline)
            for window, seconds in WINDOWS.items()
        }
        try:
            newest = await generation.newest(self._api, now, deadline)
        except UpstreamError:
            # It has been counted and logged; all else is worth having without it.
            newest = None
        return Poll(generation.name, now, newest, windows)


def _version(answer: Answer) -> str:
    told = answer.json()
    return label_text(told.get("version")) if isinstance(told, dict) else ""


def _yes(_: Answer) -> bool:
    return True
