"""The JSON API: the servers, their models and GPUs, and what Prometheus scrapes them by."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew
from llm_monitor.base.docker.gpus import GpuUseSource
from llm_monitor.base.errors import SourceError
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.web.answers import BAD_REQUEST, UNAVAILABLE, add_json, add_text, problem
from llm_monitor.base.web.negotiation import is_address, patience
from llm_monitor.vllm.server.discovery import Server
from llm_monitor.vllm.source import VllmSource
from llm_monitor.vllm.telling import Told, containers, gpu_map, models

PREFIX = "/api/v1"
_NOT_FOUND = 404
_BAD_GATEWAY = 502
_GATEWAY_TIMEOUT = 504
_PATIENCE_SECONDS = 6.0
_SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
_LONGEST_ACCEPT = 1024
_EXPOSITIONS = ("text/plain", "application/openmetrics-text")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"

T = TypeVar("T")
Route = Callable[[Request], Awaitable[Response]]


def create_router(
    source: VllmSource, gpus: GpuUseSource, now: Callable[[], float] = time.time
) -> APIRouter:
    """Return the routes that tell of the servers of `source`; `now` tells the Unix time."""
    router = APIRouter(prefix=PREFIX, tags=["vllm"])
    desk = _Desk(source, gpus, now)
    nothing = "The Docker API can't be asked"
    for path, route, summary in (
        ("/containers", desk.containers, "Each server: what it is, how it is, and its GPUs."),
        ("/models", desk.models, "Each model, and the servers that serve it."),
        ("/gpu-map", desk.gpu_map, "Each GPU, the models on it, and what tells that."),
        ("/targets", desk.targets, "Every server for Prometheus' http_sd, through this exporter."),
    ):
        add_json(router, path, route, summary, {UNAVAILABLE: nothing})
    add_text(
        router,
        "/containers/{name}/metrics",
        desk.metrics,
        "container-metrics",
        "A server's own metrics, as it gives them now.",
        {
            _NOT_FOUND: "No such server",
            _BAD_GATEWAY: "It gives no metrics",
            UNAVAILABLE: nothing,
            _GATEWAY_TIMEOUT: "It does not give them in time",
        },
    )
    return router


class _Desk:
    """Answers requests; what blocks does so in threads that don't hold up the process' end."""

    def __init__(self, source: VllmSource, gpus: GpuUseSource, now: Callable[[], float]) -> None:
        """Tell of the servers of `source`, and of what `gpus` knows; `now` tells the Unix time."""
        self._source = source
        self._gpus = gpus
        self._now = now
        self._crew = Crew("vllm-api")

    async def containers(self, _: Request) -> Response:
        """Answer with each server."""
        tell = partial(containers, now=self._now())
        return await self._answer(lambda deadline: self._surveyed(tell, deadline))

    async def models(self, _: Request) -> Response:
        """Answer with each model."""
        return await self._answer(lambda deadline: models(self._source.survey(deadline)))

    async def gpu_map(self, _: Request) -> Response:
        """Answer with each GPU."""
        return await self._answer(lambda deadline: self._surveyed(gpu_map, deadline))

    async def targets(self, request: Request) -> Response:
        """Answer with what Prometheus asks, in its http_sd format."""
        host = request.headers.get("host", "")
        if not is_address(host):
            return problem("the header Host is no host name with a port", BAD_REQUEST)
        return await self._answer(
            lambda deadline: [
                _target(host, server, names)
                for server, names in self._source.servers(deadline)
                if server.running
            ]
        )

    async def metrics(self, request: Request) -> Response:
        """Pass a server's metrics through."""
        name = request.path_params["name"]
        deadline = Deadline.after(patience(request.headers.get(_SCRAPE_TIMEOUT, "")))
        try:
            found = await _in_thread(self._crew, lambda: self._source.servers(deadline))
        except SourceError as error:
            return _sentence(str(error), UNAVAILABLE)
        server = next((server for server, _ in found if server.name == name), None)
        if server is None:
            return _sentence("there is no vLLM server of that name", _NOT_FOUND)
        if server.container and not server.running:
            return _sentence(f"its container is {server.container.state}", _BAD_GATEWAY)
        accept = request.headers.get("accept", "")[:_LONGEST_ACCEPT]
        try:
            answer = await self._source.exposition(server, accept, deadline)
        except UpstreamError as error:
            late = error.reason is Reason.TIMEOUT
            return _sentence(str(error), _GATEWAY_TIMEOUT if late else _BAD_GATEWAY)
        kind = answer.headers.get("content-type", "")
        known = kind.partition(";")[0].strip().lower() in _EXPOSITIONS
        return Response(
            answer.body, media_type=None, headers={"content-type": kind if known else _TEXT}
        )

    def _surveyed(self, tell: Callable[..., list[Told]], deadline: Deadline) -> list[Told]:
        """Return what `tell` makes of a survey and of the GPUs that the containers use."""
        readings = self._source.survey(deadline)
        there = [one.server.container for one in readings if one.server.container]
        uses = self._gpus.of(there, deadline)
        memory = {one.id: dict(self._gpus.memory(one.id)) for one in there}
        return tell(readings, uses, memory)

    async def _answer(self, ask: Callable[[Deadline], list[Told]]) -> Response:
        deadline = Deadline.after(_PATIENCE_SECONDS)
        try:
            return JSONResponse(await _in_thread(self._crew, lambda: ask(deadline)))
        except SourceError as error:
            return problem(str(error), UNAVAILABLE)


async def _in_thread(crew: Crew, call: Callable[[], T]) -> T:
    """Return what `call` returns in a thread of `crew`, or raise what it raises."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, problem = None, None
        try:
            result = call()
        except Exception as error:
            problem = error
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, problem)

    crew.submit(run)
    return await ended


def _target(host: str, server: Server, names: tuple[str, ...]) -> Told:
    """Return what lets Prometheus scrape `server` by way of this exporter, seen at `host`."""
    labels: Mapping[str, str] = {
        "__metrics_path__": f"{PREFIX}/containers/{quote(server.name, safe='')}/metrics",
        "container": server.name,
        **({"model": ",".join(names)} if names else {}),
    }
    return {"targets": [host], "labels": labels}


def _sentence(sentence: str, status: int) -> PlainTextResponse:
    return PlainTextResponse(f"{sentence}\n", status_code=status)
