"""Asks one vLLM server all there is to ask, and remembers what changes seldom."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.files import printable
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.exposition import TEXT_FORMAT, Points, read
from llm_monitor.base.upstream.fetch import Answer, Fetcher
from llm_monitor.base.upstream.room import Share
from llm_monitor.vllm.facts import Model
from llm_monitor.vllm.server import names
from llm_monitor.vllm.server.discovery import Server

METRICS = "/metrics"
_HEALTH = "/health"
_VERSION = "/version"
_MODELS = "/v1/models"
_LARGEST_TELLING = 1 << 20
# A server with many adapters and engines exposes some thousand of those wanted.
_MOST_SERIES = 20_000
_MOST_MODELS = 200
# Engines added up. One server has a model and some ten reasons; many more would leave no room for
# the series of others.
_MOST_OF_A_NAME = 50
_LABELS = (names.MODEL, *(label for source in names.SOURCES for label in source.labels))
_LONGEST_TEXT = 256
_REFUSALS = frozenset({401, 403, 404, 405})
_NO_WAY = frozenset({Reason.DNS, Reason.REFUSED, Reason.CONNECTION, Reason.TLS, Reason.TIMEOUT})


@dataclass(slots=True)
class Known:
    """What is remembered of a server.

    Attributes:
        incarnation: The start of its container since when it is.
        address: The address that answered last, empty when none does.
        version: Its version.
        models: What it serves.
        told_at: When it told the last two, on the clock of `time.monotonic`.
        process: When its process started.
        metered: The models under whose names it counts.
    """

    incarnation: tuple[str, float | None]
    address: str = ""
    version: str = ""
    models: tuple[Model, ...] = ()
    told_at: float = float("-inf")
    process: float | None = None
    metered: tuple[str, ...] = ()


Replies = Mapping[str, Answer | UpstreamError]


class Asker:
    """Asks servers, on the fetcher's event loop."""

    def __init__(
        self, fetcher: Fetcher, complaints: Complaints, api_key: str, refresh: float
    ) -> None:
        """Show `api_key` unless empty; ask for version and models every `refresh` seconds."""
        self._fetcher = fetcher
        self._complaints = complaints
        self._api_key = api_key or None
        self._refresh = refresh

    async def ask(self, server: Server, known: Known, deadline: Deadline, share: Share) -> Replies:
        """Return what `server` answers by `deadline` and within `share`, by path, or why not."""
        try:
            address = await self.address(server, known, deadline, share)
        except UpstreamError as error:
            return {METRICS: error}
        old = time.monotonic() - known.told_at >= self._refresh
        paths = (METRICS, _HEALTH, *((_VERSION, _MODELS) if old else ()))
        answers = await asyncio.gather(
            *(self._get(server, address, path, deadline, share) for path in paths)
        )
        replies = dict(zip(paths, answers, strict=True))
        metrics = replies[METRICS]
        if isinstance(metrics, Answer):
            known.address = address
        elif metrics.reason in _NO_WAY:
            known.address = ""
        return replies

    async def address(self, server: Server, known: Known, deadline: Deadline, share: Share) -> str:
        """Return the address that answered last, else the first one that answers at all.

        Raises:
            UpstreamError: When there is none.
        """
        if known.address in server.addresses:
            return known.address
        if not server.addresses:
            raise UpstreamError(Reason.CONNECTION, server.unreachable)
        *others, last = server.addresses
        for number, address in enumerate(others):
            soon = Deadline.after(deadline.remaining() / (len(server.addresses) - number))
            reply = await self._get(server, address, _HEALTH, soon, share)
            if isinstance(reply, Answer) or reply.reason not in _NO_WAY:
                return address
        return last

    async def metrics(
        self, server: Server, address: str, accept: str, deadline: Deadline, share: Share
    ) -> Answer:
        """Return the metrics of `server` at `address` in the format that `accept` asks for.

        Raises:
            UpstreamError: When they can't be had.
        """
        headers = {"accept": accept or TEXT_FORMAT}
        return await self._fetcher.get(
            f"{address}{METRICS}",
            deadline=deadline,
            headers=headers,
            auth=self._auth(server, METRICS),
            share=share,
        )

    async def _get(
        self, server: Server, address: str, path: str, deadline: Deadline, share: Share
    ) -> Answer | UpstreamError:
        try:
            if path == METRICS:
                return await self.metrics(server, address, "", deadline, share)
            return await self._fetcher.get(
                f"{address}{path}",
                deadline=deadline,
                auth=self._auth(server, path),
                limit=_LARGEST_TELLING,
                share=share,
            )
        except UpstreamError as error:
            # Its traceback would keep what has been received.
            return error.with_traceback(None)

    def _auth(self, server: Server, path: str) -> str | None:
        """Return the key where it is wanted.

        vLLM itself wants it below /v1 only. What stands in front of an endpoint that the operator
        has named may want it everywhere.
        """
        wanted = server.container is None or path == _MODELS
        return self._api_key if wanted else None

    def healthy(self, server: Server, replies: Replies) -> bool:
        """Return False when the server says that it is not well.

        Where there is no such question, or no answer although the metrics came, nobody says so.
        """
        reply = replies[_HEALTH]
        if isinstance(reply, Answer) or reply.status == HTTPStatus.NOT_FOUND:
            self._complaints.recovered(server.name, _HEALTH)
            return True
        self._complaints.failed(server.name, reply, _HEALTH)
        return reply.reason is not Reason.STATUS

    def learn(self, server: Server, known: Known, replies: Replies) -> None:
        """Let `known` take version and models if they were asked for.

        What it knew before serves until they are told anew. A server that has no such answer, or
        wants another key, is not asked again before its time either.
        """
        learnt = [
            self._take(server, known, path, replies[path])
            for path in (_VERSION, _MODELS)
            if path in replies
        ]
        if learnt and all(learnt):
            known.told_at = time.monotonic()

    def _take(self, server: Server, known: Known, path: str, reply: Answer | UpstreamError) -> bool:
        try:
            if isinstance(reply, UpstreamError):
                raise reply
            if path == _VERSION:
                known.version = _version(reply)
            else:
                known.models = _models(reply)
        except UpstreamError as error:
            self._complaints.failed(server.name, error, path)
            return error.status in _REFUSALS
        self._complaints.recovered(server.name, path)
        return True


def points(answer: Answer, deadline: Deadline) -> Points:
    """Return the samples of `answer` that are wanted.

    Raises:
        UpstreamError: When it is no exposition of a vLLM server, or not read by `deadline`.
    """
    found = read(answer.body, names.WANTED, _MOST_SERIES, deadline)
    if not found.left_out and not any(one.name.startswith(names.PREFIX) for one in found):
        sentence = f"{answer.where}: no metrics of vLLM"
        raise UpstreamError(Reason.UNPARSABLE, sentence)
    told = {(one.name, *(one.labels.get(label) for label in _LABELS)) for one in found}
    if any(count > _MOST_OF_A_NAME for count in Counter(name for name, *_ in told).values()):
        sentence = f"{answer.where}: more models or reasons than a server has"
        raise UpstreamError(Reason.TOO_LARGE, sentence)
    return found


def _version(answer: Answer) -> str:
    told = answer.json()
    version = told.get("version") if isinstance(told, dict) else None
    return _text(answer, version)


def _models(answer: Answer) -> tuple[Model, ...]:
    told = answer.json()
    listed = told.get("data") if isinstance(told, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise UpstreamError(Reason.UNPARSABLE, f"{answer.where}: not the list of models")
    return tuple(
        Model(
            _text(answer, one.get("id")),
            _text(answer, one.get("parent") or ""),
            length if type(length := one.get("max_model_len")) is int and length > 0 else None,
            _text(answer, one.get("root") or ""),
        )
        for one in listed[:_MOST_MODELS]
    )


def _text(answer: Answer, value: object) -> str:
    if not isinstance(value, str):
        raise UpstreamError(Reason.UNPARSABLE, f"{answer.where}: not as expected")
    return printable(value[:_LONGEST_TEXT])
