"""The FastAPI application of one exporter."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine
from llm_monitor.base.collection.together import Together
from llm_monitor.base.metrics.exposition import OPENMETRICS_TYPE, TEXT_TYPE
from llm_monitor.base.version import VERSION
from llm_monitor.base.web.auth import App, Credentials, Guarded
from llm_monitor.base.web.negotiation import patience, wants_gzip, wants_openmetrics
from llm_monitor.base.web.page import render

_SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"


def create_app(engine: Engine | Together, credentials: Credentials) -> App:
    """Return the ASGI application that serves what `engine` collects, guarded by `credentials`."""
    exporter = engine.exporter
    app = FastAPI(
        title=f"llm-monitor {exporter.name} exporter",
        version=VERSION,
        description=exporter.note,
        docs_url=None,
        redoc_url=None,
        openapi_tags=[{"name": "exporter", "description": "What every exporter answers."}],
    )

    # The image runs without docstrings, so what a route answers is said here.
    for path, route, summary in (
        ("/metrics", _metrics(engine), "The metrics, in Prometheus' text format or OpenMetrics."),
        ("/health", _health, "200 while the process lives, whatever its source does."),
        ("/ready", _ready(engine), "200 once a first collection has ended, 503 before."),
    ):
        app.add_api_route(
            path,
            route,
            response_class=PlainTextResponse,
            tags=["exporter"],
            summary=summary,
            operation_id=path[1:],
            responses={503: {"description": "Not yet"}} if path == "/ready" else None,
        )
        app.add_api_route(path, route, methods=["HEAD"], include_in_schema=False)
    for path in ("/", "/docs"):
        app.add_api_route(path, _page(app), response_class=HTMLResponse, include_in_schema=False)
    if exporter.router is not None:
        app.include_router(exporter.router)
    for part in exporter.parts:
        # Several have the same paths, such as /api/v1/models.
        if not part.port and part.exporter.router is not None:
            app.include_router(part.exporter.router, prefix=f"/{part.exporter.name}")
    return Guarded(app, credentials) if credentials else app


# Routes return responses, not models: the first response model that FastAPI meets loads all of
# pydantic.v1, three MiB that nothing here needs.
Route = Callable[[Request], Awaitable[Response]]


def _metrics(engine: Engine | Together) -> Route:
    async def metrics(request: Request) -> Response:
        """Answer with the metrics in Prometheus' text format or in OpenMetrics."""
        return await scraped(engine, request)

    return metrics


async def scraped(engine: Engine | Together, request: Request) -> Response:
    """Return what answers a scrape of `engine`, as its headers ask for it."""
    if not engine.exporter.answers():
        return PlainTextResponse("it does not answer now\n", status_code=503)
    headers = request.headers
    deadline = Deadline.after(patience(headers.get(_SCRAPE_TIMEOUT, "")))
    openmetrics = wants_openmetrics(headers.get("accept", ""))
    gzipped = wants_gzip(headers.get("accept-encoding", ""))
    snapshot = await engine.snapshot(deadline)
    answer = {"vary": "Accept, Accept-Encoding"}
    if gzipped:
        answer["content-encoding"] = "gzip"
    return Response(
        snapshot.body(openmetrics=openmetrics, gzipped=gzipped),
        media_type=OPENMETRICS_TYPE if openmetrics else TEXT_TYPE,
        headers=answer,
    )


def _page(app: FastAPI) -> Route:
    async def page(_: Request) -> Response:
        """Tell a person what there is."""
        return HTMLResponse(render(app.openapi()))

    return page


def _ready(engine: Engine | Together) -> Route:
    async def ready(_: Request) -> Response:
        """Say whether a first collection has ended, with whatever success."""
        if engine.ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("the first collection has not ended yet\n", status_code=503)

    return ready


async def _health(_: Request) -> Response:
    """Say that the process lives, whatever its source does."""
    return PlainTextResponse("ok\n")
