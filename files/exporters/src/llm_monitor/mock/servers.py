"""Many simulated servers: each exporter of each is scraped at a path of its own."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.collection.isolation import Crew
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.memory import release
from llm_monitor.base.web.answers import BAD_REQUEST, UNAVAILABLE, add_json, add_text, problem
from llm_monitor.base.web.app import scraped
from llm_monitor.base.web.negotiation import is_address
from llm_monitor.mock.api import PREFIX
from llm_monitor.mock.parts import play
from llm_monitor.mock.stage import Stage

_NOT_FOUND = 404
# By then Prometheus, at its usual interval of 30 s, has scraped what it has found.
_SETTLED_SECONDS = 60.0
_PATH = "/servers/{server}/{exporter}/metrics"


class Servers:
    """The servers of a stage, each of which is played from its first scrape on.

    Attributes:
        names: Their names, in the order of the simulation.
        exporters: The names of the exporters that each has.
    """

    def __init__(self, stage: Stage, exporters: Iterable[str], limits: Limits) -> None:
        """Play `exporters` of each server of `stage`, each within `limits`."""
        self.names = [f"mock-{number:03d}" for number in range(1, stage.servers + 1)]
        self.exporters = tuple(exporters)
        self._stage = stage
        self._limits = limits
        # Nothing that is simulated waits, so more threads would only get in each other's way.
        self._crew = Crew("mock-collect", most=1)
        self._readers = Crew("mock-read", most=1)
        self._engines: dict[str, dict[str, Engine]] = {}
        self._settling: asyncio.TimerHandle | None = None

    def engine(self, server: str, exporter: str) -> Engine:
        """Return what collects for an exporter of a server; to be called on the event loop.

        Raises:
            KeyError: When there is no such server or exporter.
        """
        if server not in self._engines:
            self._settle_later()
            view = self._stage.view(self.names.index(server))
            self._engines[server] = {
                one.name: Engine(_on_scrape(one), self._limits, self._crew)
                for one in play(view, self.exporters, self._readers)
            }
        return self._engines[server][exporter]

    def _settle_later(self) -> None:
        """Spare the garbage collector the new servers once they have been scraped.

        A full run over 200 of them holds everything up for a second.
        """
        if self._settling is None:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(_SETTLED_SECONDS, self._settle)

    def _settle(self) -> None:
        self._settling = None
        release()


def add_servers(router: APIRouter, servers: Servers) -> None:
    """Let `router`, the mock's, answer scrapes of `servers` and tell Prometheus of them."""
    desk = _Desk(servers)
    summary = "Every exporter of every server, for Prometheus' http_sd."
    nobody = "The header Host names nobody"
    add_json(router, "/targets", desk.targets, summary, {BAD_REQUEST: nobody})
    add_text(
        router,
        _PATH,
        desk.metrics,
        "server-metrics",
        "What an exporter of one of the servers gives.",
        {
            _NOT_FOUND: "No such server or exporter, and which there are",
            UNAVAILABLE: "The scenario lets it not answer",
        },
    )


class _Desk:
    """Answers requests about servers."""

    def __init__(self, servers: Servers) -> None:
        """Tell of `servers`."""
        self._servers = servers

    async def targets(self, request: Request) -> Response:
        """Answer with what Prometheus asks, in its http_sd format."""
        host = request.headers.get("host", "")
        if not is_address(host):
            return problem("the header Host is no host name with a port", BAD_REQUEST)
        return JSONResponse(
            [
                {
                    "targets": [host],
                    "labels": {
                        "__metrics_path__": PREFIX + _PATH.format(server=name, exporter=exporter),
                        "instance": name,
                        "job": exporter,
                    },
                }
                for name in self._servers.names
                for exporter in self._servers.exporters
            ]
        )

    async def metrics(self, request: Request) -> Response:
        """Answer a scrape."""
        server, exporter = (request.path_params[one] for one in ("server", "exporter"))
        names, exporters = self._servers.names, self._servers.exporters
        if server not in names:
            return _missing(f"server {server!r:.80}; there are {names[0]} to {names[-1]}")
        if exporter not in exporters:
            return _missing(f"exporter {exporter!r:.80}; there are {', '.join(exporters)}")
        engine = self._servers.engine(server, exporter)
        answer = await scraped(engine, request)
        # Of many servers the last samples would take more memory than all else.
        engine.forget()
        return answer


def _missing(what: str) -> Response:
    return PlainTextResponse(f"there is no {what}\n", status_code=_NOT_FOUND)


def _on_scrape(exporter: Exporter) -> Exporter:
    """Return `exporter` with nothing in the background: what is simulated is had at once."""
    slow = [one.collector for one in exporter.background]
    return replace(exporter, collectors=[*exporter.collectors, *slow], background=())
