# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""A server that answers as Grafana 12 does, for as much of its API as our modules ask.

It provisions dashboards from a folder, keeps service accounts, and lets a real Prometheus answer queries. Faults can be
laid in the way of requests.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.llmops.monitoring.tests.grafana_stand_in.accounts import Accounts
from ansible_collections.llmops.monitoring.tests.grafana_stand_in.queries import DataSources
from ansible_collections.llmops.monitoring.tests.serving import serving

PASSWORD = "right-pa55-w0rd"


class Refused(Exception):
    """An answer other than 200, in Grafana's form."""

    def __init__(self, status: int, message: str, message_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message}
        if message_id:
            self.body.update(messageId=message_id, statusCode=status, traceID="")


@dataclass
class Fault:
    """What happens to the next requests whose path fits, in place of an answer or before it."""

    path: str
    status: int = 200
    body: bytes | None = None
    delay: float = 0
    is_cut: bool = False
    location: str = ""
    times: int = 1_000_000


@dataclass(frozen=True)
class Request:
    """What the server was asked: the parts of the path below /api, unquoted."""

    method: str
    path: tuple[str, ...]
    query: dict[str, list[str]]
    body: Any
    role: str

    def needs(self, permission: str) -> None:
        """Refuse who is no administrator."""
        if self.role != "Admin":
            message = f"You'll need additional permissions to perform this action. Permissions needed: {permission}"
            raise Refused(403, message)


class GrafanaStandIn:
    """The state of one Grafana."""

    def __init__(self, prometheus: str = "") -> None:
        self.url = ""
        self.prefix = ""
        self.passwords = {"admin": PASSWORD}
        self.accounts = Accounts()
        self.sources = DataSources(prometheus)
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.provisioned: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.lock = threading.RLock()

    # ------------------------------------------------------------ dashboards

    def provision(self, folder: Path) -> None:
        """Take the dashboards of a folder as the file provider does, without `disableDeletion`."""
        with self.lock:
            there = {}
            for path in sorted(folder.glob("*/*.json")):
                dashboard = json.loads(path.read_text())
                there[dashboard["uid"]] = path.relative_to(folder).as_posix()
                before = self.dashboards.get(dashboard["uid"], {"version": 0, "id": len(self.dashboards) + 1})
                if {**before, "version": 0} != {**dashboard, "id": before["id"], "version": 0}:
                    self.dashboards[dashboard["uid"]] = {
                        **dashboard,
                        "id": before["id"],
                        "version": before["version"] + 1,
                    }
            for uid in set(self.provisioned) - set(there):
                del self.dashboards[uid]
            self.provisioned = there

    def save(self, dashboard: dict[str, Any]) -> None:
        """Take a dashboard that somebody made on Grafana's pages."""
        with self.lock:
            self.dashboards[dashboard["uid"]] = {**dashboard, "id": len(self.dashboards) + 1, "version": 1}

    def _dashboard(self, uid: str) -> dict[str, Any]:
        if uid not in self.dashboards:
            raise Refused(404, "Dashboard not found")
        external = self.provisioned.get(uid, "")
        folder = external.partition("/")[0]
        meta = {
            "type": "db",
            "slug": uid,
            "folderTitle": folder,
            "provisioned": bool(external),
            "provisionedExternalId": external.partition("/")[2],
        }
        return {"meta": meta, "dashboard": self.dashboards[uid]}

    # ------------------------------------------------------------ requests

    def answer(self, request: Request) -> tuple[int, Any]:
        with self.lock:
            self.requests.append(request)
        match request.path:
            case ("org",):
                return 200, {"id": 1, "name": "Main Org."}
            case ("search",):
                return 200, [{"uid": uid, "title": found["title"]} for uid, found in self.dashboards.items()]
            case ("dashboards", "uid", uid):
                with self.lock:
                    return 200, self._dashboard(uid)
            case ("serviceaccounts", *rest):
                request.needs("serviceaccounts:read")
                return self._of_accounts(request, rest)
            case ("datasources",):
                request.needs("datasources:read")
                return 200, self.sources.listed()
            case ("datasources", "uid", uid, "health"):
                return self.sources.health(uid)
            case ("datasources", "uid", uid, "resources", *rest):
                return self.sources.resource(uid, rest, request.query)
            case ("datasources", "proxy", "uid", uid, *rest):
                return self.sources.proxied(uid, rest)
            case ("ds", "query"):
                return self.sources.query(request.body)
        raise Refused(404, "Not found")

    def _of_accounts(self, request: Request, rest: list[str]) -> tuple[int, Any]:
        with self.lock:
            try:
                return self.accounts.answer(request.method, rest, request.query, request.body)
            except KeyError as error:
                raise Refused(404, "service account not found", "serviceaccounts.ErrNotFound") from error
            except ValueError as error:
                raise Refused(400, str(error), "serviceaccounts.ErrTokenAlreadyExists") from error

    def role_of(self, header: str) -> str:
        """Return the role of who asks, from an authorization header; who is nobody is refused."""
        kind, _space, value = header.partition(" ")
        if kind == "Bearer":
            role = self.accounts.role_of_token(value)
            if role is None:
                raise Refused(401, "Invalid API key", "api-key.invalid")
            return role
        if kind == "Basic":
            name, _colon, password = base64.b64decode(value).decode().partition(":")
            if self.passwords.get(name) == password:
                return "Admin"
            raise Refused(401, "Invalid username or password", "password-auth.failed")
        raise Refused(401, "Unauthorized", "auth.unauthorized")

    def fault(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def _serve(self) -> None:
        grafana = self.server.grafana
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = grafana.fault(self.path)
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and (fault.body is not None or fault.location or fault.status != 200):
            self._send(fault.status, fault.body or b"", fault)
            return
        try:
            status, body = self._answer(grafana, content)
        except Refused as refused:
            status, body = refused.status, refused.body
        self._send(status, json.dumps(body).encode(), fault)

    def _answer(self, grafana: GrafanaStandIn, content: bytes) -> tuple[int, Any]:
        url = urlsplit(self.path)
        if not url.path.startswith(f"{grafana.prefix}/api/"):
            raise Refused(404, "Not found")
        parts = tuple(unquote(part) for part in url.path.removeprefix(f"{grafana.prefix}/api/").split("/"))
        if parts == ("health",):
            return 200, {"database": "ok", "version": "12.4.11"}
        role = grafana.role_of(self.headers.get("Authorization") or "")
        body = json.loads(content) if content else None
        return grafana.answer(Request(self.command, parts, parse_qs(url.query), body, role))

    def _send(self, status: int, content: bytes, fault: Fault | None) -> None:
        self.send_response(status)
        if fault and fault.location:
            self.send_header("Location", fault.location)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content[: len(content) // 2] if fault and fault.is_cut else content)
        except OSError:
            self.close_connection = True
        if fault and fault.is_cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, grafana: GrafanaStandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.grafana = grafana


@contextmanager
def running(prometheus: str = "") -> Iterator[GrafanaStandIn]:
    """Run a stand-in whose data source Prometheus is the one at an address."""
    grafana = GrafanaStandIn(prometheus)
    server = _Server(grafana)
    grafana.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield grafana
