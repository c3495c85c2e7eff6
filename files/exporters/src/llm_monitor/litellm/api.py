"""The JSON API: the models that LiteLLM routes to, and how they do."""

from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import UpstreamError
from llm_monitor.base.web.answers import UNAVAILABLE, Told, add_json, problem
from llm_monitor.litellm.desk import Desk
from llm_monitor.litellm.facts import Deployment
from llm_monitor.litellm.traffic import Traffic

_TAG = "litellm"
# Less than what is left to a process that has to end.
_PATIENCE_SECONDS = 3.0
_HIDDEN = "***"

_STATUSES = {True: "available", False: "error", None: "unknown"}


def create_router(desk: Desk, show_hosts: bool) -> APIRouter:
    """Return the routes that tell what `desk` knows."""
    router = APIRouter(prefix="/api/v1", tags=[_TAG])

    # A plain function, so that the framework calls it in a thread: what it asks takes its time.
    def models() -> JSONResponse:
        deadline = desk.soon(Deadline.after(_PATIENCE_SECONDS))
        try:
            traffic = desk.recent(deadline)
            deployments = desk.catalogue.known(deadline)
        except UpstreamError as error:
            return problem(error.reason)
        return JSONResponse([_told(desk, one, traffic, show_hosts) for one in deployments])

    add_json(
        router,
        "/models",
        models,
        "Each deployment of each model: its state, and its requests of late.",
        {UNAVAILABLE: "LiteLLM can't be asked"},
    )
    return router


def _told(desk: Desk, one: Deployment, traffic: Traffic, show_hosts: bool) -> Told:
    rates = desk.rates(one.id)
    return {
        "model_id": one.id,
        "model_name": one.model,
        "model_type": one.type or "unknown",
        "status": _STATUSES[desk.available(one, traffic)],
        "endpoint": _endpoint(one.endpoint, show_hosts),
        "current_rpm": rates and rates.per_minute,
        "error_rate": rates and rates.failed,
    }


def _endpoint(address: str, show_host: bool) -> str | None:
    """Return an endpoint's address without user, password and query.

    Without its host, the path is left out as well: there are providers that have a key in it.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if not (parts.scheme and parts.netloc):
        return None
    place = parts.netloc.rpartition("@")[2] + parts.path if show_host else _HIDDEN
    return f"{parts.scheme}://{place}"
