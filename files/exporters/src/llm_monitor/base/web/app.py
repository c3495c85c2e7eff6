"""The FastAPI application of one exporter."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine
from llm_monitor.base.metrics.exposition import OPENMETRICS_TYPE, TEXT_TYPE
from llm_monitor.base.version import VERSION
from llm_monitor.base.web.auth import App, Credentials, Guarded
from llm_monitor.base.web.negotiation import patience, wants_gzip, wants_openmetrics

_SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"


def create_app(engine: Engine, credentials: Credentials) -> App:
    """Return the ASGI application that serves what `engine` collects, guarded by `credentials`."""
    exporter = engine.exporter
    app = FastAPI(
        title=f"llm-monitor {exporter.name} exporter",
        version=VERSION,
        redoc_url=None,
        openapi_tags=[{"name": "exporter", "description": "What every exporter answers."}],
    )

    add = app.add_api_route
    add("/metrics", _metrics(engine), response_class=PlainTextResponse, tags=["exporter"])
    add("/health", _health, response_class=PlainTextResponse, tags=["exporter"])
    add("/ready", _ready(engine), response_class=PlainTextResponse, tags=["exporter"])
    if exporter.router is not None:
        app.include_router(exporter.router)
    return Guarded(app, credentials) if credentials else app


# Routes return responses, not models: the first response model that FastAPI meets loads all of
# pydantic.v1, three MiB that nothing here needs.
Route = Callable[[Request], Awaitable[Response]]


def _metrics(engine: Engine) -> Route:
    async def metrics(request: Request) -> Response:
        """Answer with the metrics in Prometheus' text format or in OpenMetrics."""
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

    return metrics


def _ready(engine: Engine) -> Route:
    async def ready(_: Request) -> Response:
        """Say whether a first collection has ended, with whatever success."""
        if engine.ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("the first collection has not ended yet\n", status_code=503)

    return ready


async def _health(_: Request) -> Response:
    """Say that the process lives, whatever its source does."""
    return PlainTextResponse("ok\n")
