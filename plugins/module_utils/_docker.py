# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small client of the Docker Engine API over its unix socket, with nothing but the standard library.

It exists because a host that is being set up has neither the docker command's plug-ins nor `requests`
yet, and because its errors are meant for the operator: each says what is wrong and what to do.
Facts: https://docs.docker.com/reference/api/engine/ (checked from API 1.41, engine 20.10, to 1.52, engine 29).

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_TIMEOUT = 30.0
RUN_NAME_PREFIX = "llm-monitor-run-"
RUN_LABELS = {"llm-monitor.run": "one-shot"}
_LOG_TAIL_LINES = 2000
# What a one-shot container may take of a host that has other work to do.
_RUN_MEMORY_BYTES = 512 * 1024**2
_RUN_PROCESSES = 256
_FRAME_HEADER = struct.Struct(">BxxxL")


class DockerError(Exception):
    """The engine could not be asked, or refused; the text says what an operator can do."""


class SocketMissing(DockerError):
    """There is no socket at the path: no engine is installed or running."""


class PermissionDenied(DockerError):
    """The socket is there, but this user may not open it."""


class EngineUnreachable(DockerError):
    """The socket is there, but nobody answers as an engine does, or not in time."""


class EngineStopped(EngineUnreachable):
    """The socket is there, but no process listens on it."""


class EngineTimeout(EngineUnreachable):
    """The engine took the request, but did not answer in time."""


class ApiError(DockerError):
    """The engine answered and refused.

    `status` is the HTTP status, `reason` the engine's own words.
    """

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"The Docker engine refuses to {what} (status {status}): {reason}")
        self.status = status
        self.reason = reason


class NotFound(ApiError):
    """The container or image does not exist (status 404)."""


class RunTimeout(DockerError):
    """A one-shot container did not end in time and has been removed; `output` is what it had written."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DockerClient:
    """Asks one engine; every call opens its own connection, so that a restarted engine needs no care.

    The API version is the newest that the engine itself names in the answer to `/_ping`: an engine
    always speaks that one, whereas a fixed older one is refused by later engines (29 wants 1.44 or later).
    """

    def __init__(self, socket_path: str = DEFAULT_SOCKET, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.socket_path = socket_path.removeprefix("unix://")
        self.timeout = timeout
        self._api_version: str | None = None

    # ------------------------------------------------------------ engine

    def ping(self) -> str:
        """Return the newest API version that the engine speaks, such as `1.41`."""
        _status, headers, _body = self._exchange("GET", "/_ping", "answer a ping")
        version = headers.get("Api-Version")
        if not version:
            raise EngineUnreachable(
                f"What answers at {self.socket_path} does not name an API version, so it is no Docker engine. "
                "Point at the engine's own socket."
            )
        self._api_version = version
        return version

    def version(self) -> dict[str, Any]:
        """Return the engine's version report (`Version`, `ApiVersion`, `Os`, `Arch`, …)."""
        return dict(self._json("GET", "/version", "tell its version"))

    def info(self) -> dict[str, Any]:
        """Return the engine's state (`DockerRootDir`, `DefaultRuntime`, `LiveRestoreEnabled`, …)."""
        return dict(self._json("GET", "/info", "tell its state"))

    def networks(self) -> list[dict[str, Any]]:
        """Return the engine's networks (`Name`, `Id`, `Driver`, `Scope`, …)."""
        return list(self._json("GET", "/networks", "list its networks"))

    # ------------------------------------------------------------ containers and images

    def containers(
        self, include_stopped: bool = False, filters: Mapping[str, Sequence[str]] | None = None
    ) -> list[dict[str, Any]]:
        """Return the engine's list of containers, by default the running ones (summaries, not inspections)."""
        query = {"all": "1" if include_stopped else "0"}
        if filters:
            query["filters"] = json.dumps({name: list(values) for name, values in filters.items()})
        return list(self._json("GET", f"/containers/json?{urlencode(query)}", "list its containers"))

    def inspect_container(self, container: str) -> dict[str, Any]:
        """Return the inspection of a container, by name or id; NotFound when there is none."""
        return dict(self._json("GET", f"/containers/{_part(container)}/json", f"inspect the container {container}"))

    def inspect_containers(
        self, include_stopped: bool = False, filters: Mapping[str, Sequence[str]] | None = None
    ) -> list[dict[str, Any]]:
        """Return the inspections of the listed containers; one that goes away meanwhile is left out."""
        found = []
        for summary in self.containers(include_stopped, filters):
            try:
                found.append(self.inspect_container(summary["Id"]))
            except NotFound:
                continue
        return found

    def inspect_image(self, image: str) -> dict[str, Any]:
        """Return the inspection of an image, by name, digest or id; NotFound when the host doesn't hold it."""
        return dict(self._json("GET", f"/images/{_part(image)}/json", f"inspect the image {image}"))

    def create_container(self, name: str, config: Mapping[str, Any]) -> str:
        """Create a container from an Engine API body and return its id."""
        what = f"create a container from the image {config.get('Image')}"
        answer = self._json("POST", f"/containers/create?{urlencode({'name': name})}", what, config)
        return str(answer["Id"])

    def start_container(self, container: str) -> None:
        """Start a container; one that runs already stays as it is."""
        self._exchange("POST", self._versioned(f"/containers/{_part(container)}/start"), f"start {container}")

    def wait_container(self, container: str, timeout: float) -> int:
        """Return the exit code of a container once it has ended; EngineTimeout after `timeout` seconds."""
        path = f"/containers/{_part(container)}/wait"
        answer = self._json("POST", path, f"wait for {container}", timeout=timeout)
        return int(answer["StatusCode"])

    def container_output(self, container: str, lines: int = _LOG_TAIL_LINES) -> str:
        """Return the last lines that a container wrote; a terminal's ends of lines are made plain ones."""
        query = urlencode({"stdout": "1", "stderr": "1", "tail": str(lines)})
        path = self._versioned(f"/containers/{_part(container)}/logs?{query}")
        _status, _headers, body = self._exchange("GET", path, f"give the output of {container}")
        return b"".join(_frames(body)).decode("utf-8", errors="replace").replace("\r\n", "\n")

    def kill_container(self, container: str, signal: str = "SIGKILL") -> None:
        """Send a signal to the main process of a running container, such as SIGHUP for a reload."""
        path = self._versioned(f"/containers/{_part(container)}/kill?{urlencode({'signal': signal})}")
        self._exchange("POST", path, f"send {signal} to {container}")

    def remove_container(self, container: str) -> None:
        """Remove a container, running or not, with its anonymous volumes; one that is gone is no error."""
        path = self._versioned(f"/containers/{_part(container)}?force=1&v=1")
        try:
            self._exchange("DELETE", path, f"remove {container}")
        except NotFound:
            return

    # ------------------------------------------------------------ one-shot containers

    def run(
        self,
        image: str,
        command: Sequence[str] = (),
        entrypoint: Sequence[str] | None = None,
        binds: Sequence[str] = (),
        user: str | None = None,
        network_disabled: bool = True,
        read_only: bool = True,
        environment: Sequence[str] = (),
        host_config: Mapping[str, Any] | None = None,
        timeout: float = 60.0,
        output_lines: int = _LOG_TAIL_LINES,
    ) -> tuple[int, str]:
        """Run a command in a container of its own and return its exit code and the last lines of its output.

        `binds` are `/host/path:/container/path` with `:ro` or `:rw` (the default) behind; a host path that does
        not exist is refused. `environment` are `NAME=value`; `host_config` adds to the Engine API's HostConfig, such
        as the container's devices. The container has no capabilities, no new privileges, a /tmp of its own, at most
        512 MiB of memory and 256 processes, and by default no network and a read-only root. It is removed in
        every case.
        Raises NotFound when the image is not on the host (nothing is pulled), RunTimeout when it does not
        end in time, ApiError when the engine refuses, such as a command that the image doesn't have.
        """
        name = RUN_NAME_PREFIX + uuid.uuid4().hex[:12]
        config = _run_config(image, command, binds, network_disabled, read_only)
        config["Env"] = list(environment)
        config["HostConfig"].update(host_config or {})
        if entrypoint is not None:
            config["Entrypoint"] = list(entrypoint)
        if user is not None:
            config["User"] = user
        try:
            self.create_container(name, config)
            self.start_container(name)
            try:
                exit_code = self.wait_container(name, timeout)
            except EngineTimeout as error:
                raise RunTimeout(
                    f"The one-shot container of {image} did not end within {timeout:g} s and is removed. "
                    f"Command: {' '.join([*(entrypoint or ()), *command])}",
                    self.container_output(name, output_lines),
                ) from error
            return exit_code, self.container_output(name, output_lines)
        finally:
            # By name, not id: so it goes even if the engine's answer to the creation was lost.
            self.remove_container(name)

    # ------------------------------------------------------------ HTTP

    def _versioned(self, path: str) -> str:
        return f"/v{self._api_version or self.ping()}{path}"

    def _json(
        self, method: str, path: str, what: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Any:
        _status, _headers, content = self._exchange(method, self._versioned(path), what, body, timeout)
        try:
            return json.loads(content)
        except ValueError as error:
            raise EngineUnreachable(
                f"What answers at {self.socket_path} sends no JSON when asked to {what}, so it is no Docker engine. "
                "Point at the engine's own socket."
            ) from error

    def _exchange(
        self, method: str, path: str, what: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        limit = self.timeout if timeout is None else timeout
        connection = _UnixConnection(self.socket_path, limit)
        content = None if body is None else json.dumps(body).encode("utf-8")
        try:
            connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
            response = connection.getresponse()
            answer = response.read()
        except socket.timeout as error:
            raise EngineTimeout(
                f"The Docker engine at {self.socket_path} did not {what} within {limit:g} s. "
                "See whether it hangs: `docker info`, its log, the load and the disk of the host."
            ) from error
        except OSError as error:
            raise self._socket_error(error) from error
        except http.client.HTTPException as error:
            raise EngineUnreachable(
                f"What answers at {self.socket_path} does not speak HTTP as a Docker engine does "
                f"({type(error).__name__}). Point at the engine's own socket."
            ) from error
        finally:
            connection.close()
        if response.status >= 400:
            kind = NotFound if response.status == 404 else ApiError
            raise kind(what, response.status, _reason(answer))
        return response.status, response.headers, answer

    def _socket_error(self, error: OSError) -> DockerError:
        path = self.socket_path
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return SocketMissing(
                f"There is no Docker engine's socket at {path}. Install and start the engine, "
                "or name the socket that it listens on."
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return PermissionDenied(
                f"The user with id {os.geteuid()} may not open the Docker engine's socket {path}. "
                "Run the task with become, or add the user to the group that owns the socket."
            )
        kind = EngineStopped if error.errno == errno.ECONNREFUSED else EngineUnreachable
        return kind(
            f"No Docker engine answers at {path} ({error.strerror or error}). The engine has stopped, is starting or "
            "has crashed: see its log (`journalctl -u docker`, or the file that it was started with) and start it."
        )


def _run_config(
    image: str, command: Sequence[str], binds: Sequence[str], network_disabled: bool, read_only: bool
) -> dict[str, Any]:
    """Return the Engine API's body of a one-shot container with the least privilege."""
    return {
        "Image": image,
        "Cmd": list(command),
        "Labels": RUN_LABELS,
        # Both outputs are one stream then, in the order of writing: two pipes are read in any order.
        "Tty": True,
        "NetworkDisabled": network_disabled,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "Mounts": [_bind_mount(bind) for bind in binds],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": read_only,
            "Memory": _RUN_MEMORY_BYTES,
            "PidsLimit": _RUN_PROCESSES,
            "Tmpfs": {"/tmp": "size=64m,mode=1777"},
            # The engine's own default may be a driver whose logs can't be read back.
            "LogConfig": {"Type": "json-file", "Config": {}},
            "NetworkMode": "none" if network_disabled else "default",
        },
    }


def _bind_mount(bind: str) -> dict[str, Any]:
    """Return the mount of `source:target[:ro|:rw]`; unlike a bind, the engine never creates a mount's source."""
    source, target, *options = bind.split(":")
    if options not in ([], ["ro"], ["rw"]):
        raise ValueError(f"The bind {bind!r} is not of the form /host/path:/container/path[:ro|:rw]")
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": options == ["ro"]}


def _part(name: str) -> str:
    return quote(name, safe="/:@")


def _reason(answer: bytes) -> str:
    text = answer.decode("utf-8", errors="replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text or "no reason given"


def _frames(body: bytes) -> Iterator[bytes]:
    """Yield the payloads of a multiplexed stream; a container with a terminal sends a raw one instead."""
    position = 0
    while position < len(body):
        header = body[position : position + _FRAME_HEADER.size]
        if len(header) < _FRAME_HEADER.size or header[0] > 2 or header[1:4] != b"\0\0\0":
            yield body[position:]
            return
        _stream, length = _FRAME_HEADER.unpack(header)
        position += _FRAME_HEADER.size
        yield body[position : position + length]
        position += length
