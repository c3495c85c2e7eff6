"""A stand-in for Langfuse: answers from a project in memory, and refuses what is not documented."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from exporter_testing.langfuse.data import Observation, Project, Score, Trace, quantiles
from exporter_testing.process import TESTS
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse.facts import Poll
from llm_monitor.langfuse.web.questions import Api
from llm_monitor.langfuse.web.repository import ApiRepository

PUBLIC_KEY = "pk-lf-planted-public-key"
SECRET_KEY = "sk-lf-planted-secret-key"  # noqa: S105 - planted
GENERATIONS = ("/api/public/v2/metrics", "/api/public/metrics", "/api/public/metrics/daily")

# As `python -m exporter_testing.langfuse.extract` takes it out of Langfuse's OpenAPI document.
DOCUMENTED = json.loads((TESTS / "langfuse" / "documented.json").read_text(encoding="utf-8"))
_OLDER = yaml.safe_load((TESTS / "langfuse" / "undocumented.yaml").read_text(encoding="utf-8"))
_PATHS = {
    **{path: one["parameters"] for path, one in DOCUMENTED["paths"].items()},
    **_OLDER["paths"],
}
_OPEN = frozenset({"/api/public/health", "/api/public/ready"})

Item = Trace | Observation | Score
Answer = tuple[int, Mapping[str, str], bytes]
Row = dict[str, Any]


class RefusedError(Exception):
    """A question that Langfuse answers with 400."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    at: float

    @property
    def query(self) -> Row:
        found: Row = json.loads(self.params["query"])
        return found


@dataclass
class Langfuse:
    """What the stand-in is told to be.

    Attributes:
        project: What it holds.
        says: What it answers to a path instead of what it knows, for as long as it is set.
        once: What it answers next, whatever is asked, one for each request with keys.
        documented_only: Whether it refuses what its OpenAPI document does not have.
        page: Most items on a page of days.
        asked: All requests so far.
        url: Where it answers.
    """

    project: Project
    says: dict[str, Answer] = field(default_factory=dict)
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

    def answer(self, one: Asked) -> Answer:
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


class Asking:
    """A repository over the stand-in, and what it complained about."""

    def __init__(self, url: str, secret_key: str = SECRET_KEY) -> None:
        self.complaints = Complaints("test")
        keys = PUBLIC_KEY, secret_key
        self.repository = ApiRepository(Api(url, keys, 5.0, self.complaints, ""))

    def poll(self, seconds: float = 20) -> Poll:
        return self.repository.poll(Deadline.after(seconds))

    def version(self, seconds: float = 5) -> str:
        return self.repository.version(Deadline.after(seconds))

    def ready(self) -> bool | None:
        return self.repository.ready(Deadline.after(5))


def said(status: int, body: str, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode()


@contextmanager
def serving(langfuse: Langfuse) -> Iterator[Langfuse]:
    """Let `langfuse` answer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            one = Asked(parts.path, dict(parse_qsl(parts.query)), headers, time.monotonic())
            langfuse.asked.append(one)
            status, extra, body = langfuse.answer(one)
            self.send_response(status)
            for name, value in {**extra, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        langfuse.url = f"http://127.0.0.1:{server.server_port}"
        yield langfuse
        server.shutdown()


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{PUBLIC_KEY}:{SECRET_KEY}".encode()).decode()


def _unix(text: str) -> float:
    if not text.endswith("Z"):
        raise RefusedError(text)
    return datetime.fromisoformat(text).timestamp()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _metrics(langfuse: Langfuse, one: Asked) -> Row:
    query = one.query
    newest = one.path == GENERATIONS[0]
    _check(query, newest=newest, documented_only=langfuse.documented_only)
    since, until = _unix(query["fromTimestamp"]), _unix(query["toTimestamp"])
    if since >= until:
        message = "fromTimestamp must be before toTimestamp"
        raise RefusedError(message)
    found = [it for it in _items(langfuse.project, query["view"]) if since <= _start(it) < until]
    for condition in query.get("filters", ()):
        found = [it for it in found if _matches(it, condition)]
    fields = [dimension["field"] for dimension in query.get("dimensions", ())]
    groups: dict[tuple[Any, ...], list[Item]] = {}
    for it in found:
        groups.setdefault(tuple(_FIELDS[name](it) for name in fields), []).append(it)
    rows = [
        {
            **dict(zip(fields, key, strict=True)),
            **{
                f"{m['aggregation']}_{m['measure']}": _measure(m, group, langfuse)
                for m in query["metrics"]
            },
        }
        for key, group in groups.items()
    ]
    for order in query.get("orderBy") or ():
        rows.sort(key=lambda row: float(row[order["field"]]), reverse=order["direction"] == "desc")
    return {"data": rows[: query.get("config", {}).get("row_limit", DOCUMENTED["default_rows"])]}


def _check(query: Row, *, newest: bool, documented_only: bool) -> None:
    """Refuse what the OpenAPI document, or without it Langfuse's data model, does not have."""
    views = DOCUMENTED["views"] if newest else {**DOCUMENTED["views"], **_OLDER["views"]}
    extra = newest and not documented_only
    aggregations = DOCUMENTED["aggregations"] + (_OLDER["aggregations"] if extra else [])
    _among("key", query, DOCUMENTED["query"])
    _among("view", [query["view"]], views)
    view = views[query["view"]]
    measures = view["measures"] + (_OLDER["measures"] if extra else [])
    _among("measure", [m["measure"] for m in query["metrics"]], measures)
    _among("aggregation", [m["aggregation"] for m in query["metrics"]], aggregations)
    dimensions = [d["field"] for d in query.get("dimensions", ())]
    _among("dimension", dimensions, view["dimensions"])
    _among("filter", [f["column"] for f in query.get("filters", ())], view["dimensions"])
    for condition in query.get("filters", ()):
        _among("filter", condition, ["column", "operator", "value", "type", "key"])
    aliases = [f"{m['aggregation']}_{m['measure']}" for m in query["metrics"]]
    for order in query.get("orderBy") or ():
        _among("order", [order["field"]], [*aliases, *dimensions])
    limit = query.get("config", {}).get("row_limit", 1)
    _among("row_limit", [limit], range(1, DOCUMENTED["most_rows"] + 1))


def _among(what: str, given: Any, allowed: Any) -> None:
    if unknown := [one for one in given if one not in allowed]:
        message = f"Invalid {what} {unknown}"
        raise RefusedError(message)


def _items(project: Project, view: str) -> Sequence[Item]:
    match view:
        case "traces":
            return project.traces
        case "observations":
            return project.observations
        case "scores-numeric":
            return [one for one in project.scores if one.kind in {"NUMERIC", "BOOLEAN"}]
        case _:
            return [one for one in project.scores if one.kind == "CATEGORICAL"]


def _start(it: Item) -> float:
    return it.start if isinstance(it, Observation) else it.at


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "providedModelName": lambda it: it.model,
    "level": lambda it: it.level,
    "isRootObservation": lambda it: it.root,
    "name": lambda it: it.name,
    "userId": lambda it: it.user,
    "sessionId": lambda it: it.session,
}
_MEASURES: dict[str, Callable[[Any], Any]] = {
    "inputTokens": lambda it: it.input,
    "outputTokens": lambda it: it.output,
    "totalCost": lambda it: it.cost,
    "latency": lambda it: None if it.end is None else round((it.end - it.start) * 1000),
    "timeToFirstToken": lambda it: (
        None if it.first is None else round((it.first - it.start) * 1000)
    ),
    "value": lambda it: it.value,
    "traceId": lambda it: it.trace,
}


def _matches(it: Item, condition: Row) -> bool:
    assert condition["operator"] == "=", condition
    return bool(_FIELDS[condition["column"]](it) == condition["value"])


def _measure(metric: Row, group: Sequence[Item], langfuse: Langfuse) -> Any:
    """Return one number as ClickHouse's JSON has it: 64 bit integers are text, no value is null."""
    name, how = metric["measure"], metric["aggregation"]
    if how == "count":
        return str(len(group))
    if name in {"uniqueSessionIds", "uniqueUserIds"}:
        traces = {one.id: one for one in langfuse.project.traces}
        of = "session" if name == "uniqueSessionIds" else "user"
        return str(len({getattr(traces[it.trace], of) for it in group} - {None}))  # type: ignore[union-attr]
    values = [value for value in map(_MEASURES[name], group) if value is not None]
    match how:
        case "uniq":
            return str(len(set(values)))
        case "sum":
            total = sum(values)
            return None if not values else str(total) if isinstance(total, int) else total
        case "avg":
            return sum(values) / len(values) if values else None
        case _:
            found = quantiles(values)
            return found.get(f"0.{how[1:].rstrip('0')}")


def _daily(langfuse: Langfuse, one: Asked) -> Row:
    since, until = _unix(one.params["fromTimestamp"]), _unix(one.params["toTimestamp"])
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
    since = _unix(one.params["fromStartTime"])
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
    found = [it for it in langfuse.project.traces if it.at >= _unix(one.params["fromTimestamp"])]
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
