"""The vLLM servers of this host and of the settings: finds them and asks them all at once."""

import asyncio
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.inventory import Inventory
from llm_monitor.base.errors import SourceError
from llm_monitor.base.upstream.complaints import Complaints, Counts
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import LARGEST_BODY, Answer, Fetcher
from llm_monitor.base.upstream.room import Room
from llm_monitor.vllm.facts import UNHEALTHY, UNREACHABLE, UP, Reading
from llm_monitor.vllm.server.asking import METRICS, Asker, Known, Replies, points
from llm_monitor.vllm.server.discovery import Discovery, Endpoint, Server
from llm_monitor.vllm.server.normal import Exposed

# What one collector has asked serves the others of the same scrape.
_SHARED_SECONDS = 1.0
_VALUES = "values"
# How long an engine holds up the servers that are named, and how long it is not waited for then.
_ENGINE_SECONDS = 1.0
_ENGINE_PAUSE_SECONDS = 30.0
# For what servers send at once, twice: once shared out evenly, so that there is room for the others
# whatever some of them send, and once for who needs more. One with an engine sends 60 KiB.
_ROOM = LARGEST_BODY
# What servers send at once that are asked for others.
_ROOM_OF_ONE = 1 << 20
# Reading 8 MiB takes a second or two; what a dozen honest servers send, a fraction of one.
_READING_SECONDS = 2.0
# What is left of a deadline to turn what was read into an answer.
_MARGIN_SECONDS = 0.5


class VllmSource(Protocol):
    """What the collectors and the JSON API ask."""

    def survey(self, deadline: Deadline, /) -> list[Reading]:
        """Return what every server says, those that do not run or answer among them.

        Raises:
            SourceError: When it can't be found out which servers there are.
        """
        ...

    def errors(self) -> Counts:
        """Return how often each server failed for each reason since the start."""
        ...

    def servers(self, deadline: Deadline, /) -> list[tuple[Server, tuple[str, ...]]]:
        """Return every server with the models that it is known to count under; asks none.

        Raises:
            SourceError: When it can't be found out which servers there are.
        """
        ...

    async def exposition(self, server: Server, accept: str, deadline: Deadline, /) -> Answer:
        """Return a server's own metrics, as they are.

        Raises:
            UpstreamError: When they can't be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """How servers are found and asked.

    Attributes:
        endpoints: Servers that are named.
        image: What the image's name of a server matches.
        gateway: The name of the host as a container sees it.
        patience: Seconds that one server may take.
        refresh: Seconds after which version and models are asked for again.
        api_key: Shown to every server unless empty.
        ca_file: CAs that are trusted instead of the public ones, unless empty.
    """

    endpoints: Sequence[Endpoint]
    image: re.Pattern[str]
    gateway: str
    patience: float
    refresh: float
    api_key: str
    ca_file: str


class HttpSource:
    """Asks real servers."""

    def __init__(self, inventory: Inventory | None, options: Options) -> None:
        """Find servers in `inventory`, if there is one, and as `options` say."""
        self._inventory = inventory
        self._options = options
        self._discovery = Discovery(options.endpoints, options.image, options.gateway)
        self._fetcher = Fetcher("vllm", options.ca_file or None)
        self._complaints = Complaints(__name__)
        self._asker = Asker(self._fetcher, self._complaints, options.api_key, options.refresh)
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()
        self._readings: list[Reading] = []
        self._read_at = float("-inf")
        self._engine_until = float("-inf")
        self._passing = Room(_ROOM_OF_ONE, _ROOM)

    def survey(self, deadline: Deadline, /) -> list[Reading]:
        """Return what every server says, from at most a second ago.

        Raises:
            SourceError: When the Docker API can't be asked, or others hold it up.
        """
        if not self._lock.acquire(timeout=deadline.remaining()):
            message = "the servers are still being asked"
            raise SourceError(message)
        try:
            if time.monotonic() - self._read_at >= _SHARED_SECONDS:
                # The old ones and the new ones together would take twice the memory.
                self._readings = []
                self._readings = self._survey(deadline)
                self._read_at = time.monotonic()
            return self._readings
        finally:
            self._lock.release()

    def errors(self) -> Counts:
        """Return how often each server failed for each reason since the start."""
        return self._complaints.counts()

    def servers(self, deadline: Deadline, /) -> list[tuple[Server, tuple[str, ...]]]:
        """Return every server with the models that it is known to count under.

        Raises:
            SourceError: When the Docker API can't be asked.
        """
        found = self._find(deadline)
        return [(server, _metered(server, self._known.get(server.name))) for server in found]

    async def exposition(self, server: Server, accept: str, deadline: Deadline, /) -> Answer:
        """Return a server's own metrics, as they are.

        Raises:
            UpstreamError: When they can't be had.
        """
        # Only a survey, of which there is one at a time, changes what is remembered.
        known = self._current(server) or Known(server.incarnation)

        async def ask() -> Answer:
            with self._passing.share() as share:
                address = await self._asker.address(server, known, deadline, share)
                return await self._asker.metrics(server, address, accept, deadline, share)

        return await asyncio.wrap_future(self._fetcher.submit(ask()))

    def _find(self, deadline: Deadline) -> list[Server]:
        if self._inventory is None:
            return self._discovery.servers(())
        if not self._options.endpoints:
            return self._discovery.servers(self._inventory.containers(deadline))
        # While it is not waited for, what its events have told is there at once.
        seconds = _ENGINE_SECONDS if time.monotonic() >= self._engine_until else 0.0
        try:
            containers = self._inventory.containers(_soon(deadline, seconds))
        except SourceError:
            # That the engine is gone is for its watcher to say; those that are named go on.
            containers = []
            if seconds:
                self._engine_until = time.monotonic() + _ENGINE_PAUSE_SECONDS
        return self._discovery.servers(containers)

    def _survey(self, deadline: Deadline) -> list[Reading]:
        servers = self._find(deadline)
        present = {server.name for server in servers}
        self._complaints.keep(present)
        self._known = {name: known for name, known in self._known.items() if name in present}
        asked = [(one, self._remembered(one)) for one in servers if one.running]
        patient = _soon(deadline, self._options.patience)
        replies = self._fetcher.run(self._ask_all(asked, patient), deadline)
        soon = _soon(Deadline(deadline.at - _MARGIN_SECONDS), _READING_SECONDS)
        readings = {}
        # The small ones first: what servers send that mean ill costs those time that do too.
        for server, known in sorted(asked, key=lambda one: _size(replies[one[0].name])):
            reply = replies.pop(server.name)
            readings[server.name] = self._reading(server, known, reply, soon)
        return [readings.get(server.name) or self._stopped(server) for server in servers]

    async def _ask_all(
        self, asked: Sequence[tuple[Server, Known]], deadline: Deadline
    ) -> dict[str, Replies]:
        """Return what all servers answer, by their names."""
        room = Room(_ROOM // max(1, len(asked)), _ROOM)
        replies = await asyncio.gather(
            *(self._asker.ask(*one, deadline, room.share()) for one in asked)
        )
        return {server.name: reply for (server, _), reply in zip(asked, replies, strict=True)}

    def _remembered(self, server: Server) -> Known:
        """Return what is remembered of `server` since it was started, from now on if nothing is."""
        known = self._current(server)
        if known is None:
            known = self._known[server.name] = Known(server.incarnation)
        return known

    def _current(self, server: Server) -> Known | None:
        """Return what is remembered of `server` since it was started, if anything is."""
        known = self._known.get(server.name)
        return known if known and known.incarnation == server.incarnation else None

    def _stopped(self, server: Server) -> Reading:
        """Return what is known of a server that was not asked."""
        known = self._current(server) or Known(server.incarnation)
        state = server.container.state if server.container else UNREACHABLE
        return Reading(server, state, None, known.version, (), _metered(server, known))

    def _reading(
        self, server: Server, known: Known, replies: Replies, deadline: Deadline
    ) -> Reading:
        metrics = replies[METRICS]
        try:
            if isinstance(metrics, UpstreamError):
                raise metrics
            found = points(metrics, deadline)
        except UpstreamError as error:
            self._complaints.failed(server.name, error, METRICS)
            metered = _metered(server, known)
            return Reading(server, UNREACHABLE, None, known.version, known.models, metered)
        self._complaints.recovered(server.name, METRICS)
        self._complain_of_values(server, found.left_out)
        self._asker.learn(server, known, replies)
        exposed = Exposed(found)
        process = exposed.started()
        if known.process not in (None, process):
            # Another process in the same container: it may be another version with other models.
            known.told_at = float("-inf")
        known.process = process
        known.metered = exposed.models() or known.metered
        return Reading(
            server,
            UP if self._asker.healthy(server, replies) else UNHEALTHY,
            tuple(exposed.samples(server.name)),
            known.version,
            known.models,
            _metered(server, known),
            process or (server.container.started if server.container else None),
        )

    def _complain_of_values(self, server: Server, left_out: int) -> None:
        if left_out:
            sentence = f"{left_out} values are no finite numbers"
            error = UpstreamError(Reason.NOT_FINITE, sentence)
            self._complaints.failed(server.name, error, _VALUES)
        else:
            self._complaints.recovered(server.name, _VALUES)


def _soon(deadline: Deadline, seconds: float) -> Deadline:
    """Return the deadline in `seconds`, or `deadline` if that is earlier."""
    return Deadline(min(deadline.at, Deadline.after(seconds).at))


def _size(replies: Replies) -> int:
    """Return how long a server's metrics are, in bytes."""
    metrics = replies[METRICS]
    return len(metrics.body) if isinstance(metrics, Answer) else 0


def _metered(server: Server, known: Known | None) -> tuple[str, ...]:
    """Return the models under whose names a server counts: as seen, else as its command says."""
    if known and known.metered:
        return known.metered
    if known and (own := [model.name for model in known.models if not model.parent]):
        return (own[0],)
    return (server.command.model,) if server.command.model else ()
