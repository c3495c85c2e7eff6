"""The JSON API: the containers of this host."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.docker.gpus import Assignment
from llm_monitor.base.web.answers import UNAVAILABLE, Told, add_json
from llm_monitor.base.web.desk import Desk
from llm_monitor.container.collectors import identity
from llm_monitor.container.roster import Roster

_PATIENCE_SECONDS = 2.5


def create_router(roster: Roster) -> APIRouter:
    """Return the route that tells of the containers in `roster`."""
    router = APIRouter(prefix="/api/v1", tags=["container"])
    desk = Desk("container-api", "the engine")

    # A plain function, so that the framework calls it in a thread: what it asks takes its time.
    def containers() -> JSONResponse:
        return desk.answer("containers", lambda: _containers(roster))

    add_json(
        router,
        "/containers",
        containers,
        "Each container: what it is, how it is, its limits and its GPUs.",
        {UNAVAILABLE: "The engine can't be asked"},
    )
    return router


def _containers(roster: Roster) -> list[Told]:
    deadline = Deadline.after(_PATIENCE_SECONDS)
    known = roster.all(deadline)
    running = [container for container in known if container.pid]
    assigned = roster.source.assignments(running, deadline)
    return [
        _told(container, roster.now())
        | {"gpus": _gpus(roster, container, assigned.get(container.id))}
        for container in sorted(known, key=lambda one: one.name)
    ]


def _told(container: Container, now: float) -> Told:
    identifier, image, image_id, project, service = identity(container)
    uptime = None
    if container.pid and container.started is not None:
        uptime = max(0.0, now - container.started)
    return {
        "name": container.name,
        "id": identifier,
        "image": image,
        "image_id": image_id,
        "compose_project": project or None,
        "compose_service": service or None,
        "state": container.state,
        "health": container.health,
        "exit_code": container.exit_code,
        "oom_killed": container.oom_killed,
        "started_timestamp_seconds": container.started,
        "uptime_seconds": uptime,
        "restarts": container.restarts,
        "limits": {
            "memory_bytes": container.memory_limit or None,
            "cpu_cores": container.cpu_quota_cores,
        },
    }


def _gpus(roster: Roster, container: Container, assigned: Assignment | None) -> dict[str, Any]:
    """Return a container's GPUs and what told of them; none for one that does not run."""
    if assigned is None:
        assigned = Assignment("none")
    return {
        "method": assigned.method,
        "uuids": assigned.uuids,
        "indexes": assigned.indexes,
        "memory_used_bytes": dict(roster.source.gpu_memory(container)),
    }
