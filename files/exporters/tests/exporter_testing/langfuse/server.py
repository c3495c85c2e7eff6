"""A stand-in for Langfuse: answers from a project in memory, and refuses what is not documented.

It needs PyYAML and else nothing but the standard library; `python -m` serves a project for good.
"""

import argparse
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from exporter_testing.langfuse.data import Observation, Project, project
from exporter_testing.langfuse.queries import DOCUMENTED, OLDER, RefusedError, Row, answer, unix
from exporter_testing.relay import relay

PUBLIC_KEY = "pk-lf-planted-public-key"
SECRET_KEY = "sk-lf-planted-secret-key"  # noqa: S105 - planted
GENERATIONS = ("/api/public/v2/metrics", "/api/public/metrics", "/api/public/metrics/daily")

_PATHS = {
    **{path: one["parameters"] for path, one in DOCUMENTED["paths"].items()},
    **OLDER["paths"],
}
_OPEN = frozenset({"/api/public/health", "/api/public/ready"})

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    at: float


@dataclass
class Langfuse:
    """What the stand-in is told to be.

    Attributes:
        project: What it holds.
        says: What it answers to a path instead of what it knows, for as long as it is set; the
            address of a server that answers in its place.
        once: What it answers next, whatever is asked, one for each request with keys.
        documented_only: Whether it refuses what its OpenAPI document does not have.
        page: Most items on a page of days.
        asked: All requests so far.
        url: Where it answers.
    """

    project: Project
    says: dict[str, Answer | str] = field(default_factory=dict)
    once: list[Answer] = field(default_factory=list)
    documented_only: bool = False
    page: int = 50
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def lacks(self, path: str, status: int = 404, body: str = "") -> None:
        self.says[path] = said(status, body or '{"message":"LangfuseNotFoundError"}')

    def paths(self) -> list[str]:
        """Return the paths of all requests but the probes, in their order."""
        return [one.path for one in self.asked if one.path not in _OPEN]

    def answer(self, one: Asked) -> Answer | str:
        if one.path not in _OPEN:
            if one.headers.get("authorization") != _basic():
                return said(401, '{"message":"Invalid credentials"}')
            if self.once:
                return self.once.pop(0)
        if one.path in self.says:
            return self.says[one.path]
        if one.path not in _PATHS:
            return said(
                404, "<!DOCTYPE html><html><body>This page could not be found.</body></html>"
            )
        if unknown := set(one.params) - set(_PATHS[one.path]):
            return said(400, json.dumps({"message": f"unknown parameters {sorted(unknown)}"}))
        try:
            return said(200, json.dumps(_ROUTES[one.path](self, one)))
        except RefusedError as error:
            return said(400, json.dumps({"message": str(error)}))


def said(status: int, body: str, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode()


def listening(langfuse: Langfuse, address: str, port: int) -> ThreadingHTTPServer:
    """Return what lets `langfuse` answer; it listens already."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            one = Asked(parts.path, dict(parse_qsl(parts.query)), headers, time.monotonic())
            langfuse.asked.append(one)
            answer = langfuse.answer(one)
            if isinstance(answer, str):
                relay(answer, self.connection)
                self.close_connection = True
                return
            status, extra, body = answer
            self.send_response(status)
            for name, value in {**extra, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return ThreadingHTTPServer((address, port), Handler)


@contextmanager
def serving(langfuse: Langfuse) -> Iterator[Langfuse]:
    """Let `langfuse` answer on a port of its own."""
    with listening(langfuse, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        langfuse.url = f"http://127.0.0.1:{server.server_port}"
        yield langfuse
        server.shutdown()


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{PUBLIC_KEY}:{SECRET_KEY}".encode()).decode()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _metrics(langfuse: Langfuse, one: Asked) -> Row:
    return answer(
        langfuse.project,
        json.loads(one.params["query"]),
        newest=one.path == GENERATIONS[0],
        documented_only=langfuse.documented_only,
    )


def _daily(langfuse: Langfuse, one: Asked) -> Row:
    since, until = unix(one.params["fromTimestamp"]), unix(one.params["toTimestamp"])
    traces = {it.id: it for it in langfuse.project.traces if since <= it.at < until}
    seen = [it for it in langfuse.project.observations if it.trace in traces]
    days = sorted({_day(it.at) for it in traces.values()} | {_day(it.start) for it in seen})
    data = [
        {
            "date": day,
            "countTraces": sum(_day(it.at) == day for it in traces.values()),
            "countObservations": sum(_day(it.start) == day for it in seen),
            "totalCost": sum(it.cost or 0 for it in seen if _day(it.start) == day),
            "usage": [
                _use(name, [it for it in seen if _day(it.start) == day and it.model == name])
                for name in {it.model for it in seen if _day(it.start) == day}
            ],
        }
        for day in reversed(days)
    ]
    page, limit = int(one.params["page"]), min(int(one.params["limit"]), langfuse.page)
    pages = -(-len(data) // limit)
    meta = {"page": page, "limit": limit, "totalItems": len(data), "totalPages": pages}
    return {"data": data[(page - 1) * limit : page * limit], "meta": meta}


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _use(name: str | None, group: Sequence[Observation]) -> Row:
    return {
        "model": name,
        "inputUsage": sum(it.input for it in group),
        "outputUsage": sum(it.output for it in group),
        "totalUsage": sum(it.input + it.output for it in group),
        "totalCost": sum(it.cost or 0 for it in group),
        "countObservations": len(group),
        "countTraces": len({it.trace for it in group}),
    }


# What is always there, but no project here has.
_NOT_TOLD_OF_OBSERVATIONS: Row = {
    "projectId": "p",
    **dict.fromkeys(("parentObservationId", "modelId", "inputPrice", "outputPrice", "totalPrice")),
}
_NOT_TOLD_OF_TRACES: Row = {
    **dict.fromkeys(("name", "release", "version")),
    "tags": [],
    "public": False,
    "environment": "default",
}


def _observations(langfuse: Langfuse, one: Asked) -> Row:
    since = unix(one.params["fromStartTime"])
    found = [it for it in langfuse.project.observations if it.start >= since]
    found.sort(key=lambda it: -it.start)
    data = [
        {
            **_NOT_TOLD_OF_OBSERVATIONS,
            "id": it.id,
            "traceId": it.trace,
            "startTime": _iso(it.start),
            "endTime": None if it.end is None else _iso(it.end),
            "type": "GENERATION" if it.model else "SPAN",
        }
        for it in found[: int(one.params["limit"])]
    ]
    return {"data": data, "meta": {"cursor": "eyJsYXN0Ijp0cnVlfQ=="}}


def _traces(langfuse: Langfuse, one: Asked) -> Row:
    assert one.params["orderBy"] == "timestamp.desc"
    found = [it for it in langfuse.project.traces if it.at >= unix(one.params["fromTimestamp"])]
    found.sort(key=lambda it: -it.at)
    limit = int(one.params["limit"])
    data = [
        {
            **_NOT_TOLD_OF_TRACES,
            "id": it.id,
            "timestamp": _iso(it.at),
            "userId": it.user,
            "sessionId": it.session,
            "htmlPath": f"/project/p/traces/{it.id}",
        }
        for it in found[:limit]
    ]
    pages = -(-len(found) // limit)
    meta = {"page": 1, "limit": limit, "totalItems": len(found), "totalPages": pages}
    return {"data": data, "meta": meta}


_ROUTES: dict[str, Callable[[Langfuse, Asked], Row]] = {
    "/api/public/health": lambda *_: {"status": "OK", "version": "4.16.0"},
    "/api/public/ready": lambda *_: {"status": "OK", "version": "4.16.0"},
    "/api/public/v2/metrics": _metrics,
    "/api/public/metrics": _metrics,
    "/api/public/metrics/daily": _daily,
    "/api/public/v2/observations": _observations,
    "/api/public/traces": _traces,
}


def main() -> None:
    """Serve a small project for good."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=3000)
    # In a container of its own.
    address = "0.0.0.0"  # noqa: S104
    listening(Langfuse(project()), address, parser.parse_args().port).serve_forever()


if __name__ == "__main__":
    main()
