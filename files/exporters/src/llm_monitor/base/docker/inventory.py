"""The containers of an engine, kept up to date by its events."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

import structlog

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.client import DockerApi, RefusedError
from llm_monitor.base.docker.containers import Container, parse
from llm_monitor.base.docker.stream import Stream
from llm_monitor.base.docker.transport import TooLateError
from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.base.files import printable

_REFRESH_SECONDS = 60.0
_REFRESH_PATIENCE_SECONDS = 30.0
_INSPECT_PATIENCE_SECONDS = 5.0
# The engine locks a container while it starts it: one that hangs must leave the others their time.
_INSPECT_SHARE = 4
# How soon the end of the process or the next refresh is noticed.
_TICK_SECONDS = 0.5
# What was asked for by one collector serves the others of the same scrape.
_SHARED_SECONDS = 1.0
_REMEMBERED_SECONDS = 3600.0
# Every health check makes three of these, and their actions quote a command.
_CHATTER = ("exec_", "top", "attach", "resize")
# How Podman calls what Docker calls otherwise.
_ACTIONS = {"died": "die", "remove": "destroy"}

_log = structlog.get_logger(__name__)

Known = dict[str, Container]


class Event(NamedTuple):
    """What has happened to a container.

    Attributes:
        id: The container's id.
        name: Its name.
        action: What happened, such as `start` or `health_status`.
        moment: When, as `/events` takes it in `since`; None when not told.
    """

    id: str
    name: str
    action: str
    moment: str | None


class Inventory:
    """Watches the containers of one engine.

    Attributes:
        name: The value of the label `collector` under which it reports.
    """

    name = "docker_events"

    def __init__(self, api: DockerApi) -> None:
        """Watch the engine behind `api`."""
        self._api = api
        self._known: Known = {}
        self._asked: Known = {}
        self._asked_at = float("-inf")
        self._asked_from = float("-inf")
        self._told_at = float("-inf")
        self._listed_at = float("-inf")
        self._following = False
        self._since: str | None = None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._seen: dict[str, float] = {}
        self._odd: set[str] = set()
        self._asking = threading.Lock()
        self._lock = threading.Lock()

    def watch(self, stop: threading.Event) -> None:
        """Follow the engine's events until `stop` is set.

        Raises:
            SourceError: When the engine ends the stream or can't be asked.
        """
        try:
            with self._api.events({"type": ["container"]}, self._since) as stream:
                # So that what happens while it is broken is told afterwards.
                self._since = self._since or f"{time.time():.9f}"
                self._follow(stream, stop)
        finally:
            self._following = False

    def containers(self, deadline: Deadline) -> list[Container]:
        """Return all containers, stopped ones too, as of the last event, else asked for now.

        Raises:
            SourceError: When the engine can't be asked by `deadline`.
        """
        with self._lock:
            age = time.monotonic() - self._listed_at
            if self._following and age < 2 * _REFRESH_SECONDS:
                return list(self._known.values())
        if not self._asking.acquire(timeout=deadline.remaining()):
            message = f"{self._api.address}: no complete answer in time"
            raise SourceError(message)
        try:
            age = time.monotonic() - self._asked_at
            # What was asked for before events came is older than what these have told.
            if age >= _SHARED_SECONDS or self._asked_from < self._told_at:
                self._asked_from = time.monotonic()
                self._asked = self._list(deadline)
                self._asked_at = time.monotonic()
            return list(self._asked.values())
        finally:
            self._asking.release()

    def events(self) -> Mapping[tuple[str, str], int]:
        """Return how often each action came since the start, by container's name and action.

        Containers that have been gone for an hour are forgotten.
        """
        with self._lock:
            return dict(self._counts)

    def _follow(self, stream: Stream, stop: threading.Event) -> None:
        """List everything once events flow, so that nothing is missed in between; keep it so."""
        self._refresh()
        while not stop.is_set():
            received = stream.next(Deadline.after(_TICK_SECONDS))
            if received is not None and (event := _event(received)) is not None:
                self._count(event)
                self._update(event)
            if time.monotonic() - self._listed_at >= _REFRESH_SECONDS:
                self._refresh()

    def _refresh(self) -> None:
        known = self._list(Deadline.after(_REFRESH_PATIENCE_SECONDS))
        with self._lock:
            self._known = known
            self._listed_at = self._told_at = time.monotonic()
            self._following = True
            self._forget({container.name for container in known.values()})

    def _list(self, deadline: Deadline) -> Known:
        listed = self._api.get("/containers/json?all=1", deadline)
        try:
            ids = [str(one["Id"]) for one in listed]
        except (TypeError, KeyError) as error:
            message = f"{self._api.address}: the list of containers is none: {error!r}"
            raise SourceError(message) from error
        self._odd.intersection_update(ids)
        patience = min(_INSPECT_PATIENCE_SECONDS, deadline.remaining() / _INSPECT_SHARE)
        found = {}
        for one in ids:
            soon = Deadline.after(patience)
            container = self._inspect(one, Deadline(min(soon.at, deadline.at)))
            if not deadline.remaining():
                message = f"{self._api.address}: no complete answer in time"
                raise SourceError(message)
            if container is not None:
                found[one] = container
        return found

    def _inspect(self, identifier: str, deadline: Deadline) -> Container | None:
        """Return a container, None when it is gone or the engine can't tell about it.

        One about which it does not answer by `deadline` is given as it was last known.
        """
        path = f"/containers/{quote(identifier, safe='')}/json"
        try:
            inspected = self._api.get(path, deadline)
        except SourceMissingError:
            return None
        except TooLateError as error:
            self._complain(identifier, error)
            return self._known.get(identifier) or self._asked.get(identifier)
        except RefusedError as error:
            if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            self._complain(identifier, error)
            return None
        try:
            container = parse(inspected)
        except SourceError as error:
            self._complain(identifier, error)
            return None
        self._odd.discard(identifier)
        return container

    def _complain(self, identifier: str, error: SourceError) -> None:
        """Log once, until it goes well again, that the engine can't tell about a container."""
        if identifier not in self._odd:
            self._odd.add(identifier)
            _log.warning("no news of a container", container_id=identifier, error=str(error))

    def _count(self, event: Event) -> None:
        self._since = event.moment or self._since
        with self._lock:
            self._counts[event.name, event.action] += 1
            self._seen[event.name] = time.monotonic()

    def _update(self, event: Event) -> None:
        container = None
        if event.action != "destroy":
            container = self._inspect(event.id, Deadline.after(_INSPECT_PATIENCE_SECONDS))
        with self._lock:
            if container is None:
                self._known.pop(event.id, None)
            else:
                self._known[event.id] = container
            self._told_at = time.monotonic()

    def _forget(self, present: Iterable[str]) -> None:
        """Forget the events of containers that have been gone for long."""
        now = time.monotonic()
        self._seen.update(dict.fromkeys(self._seen.keys() & set(present), now))
        old = {name for name, seen in self._seen.items() if now - seen > _REMEMBERED_SECONDS}
        for name, action in [key for key in self._counts if key[0] in old]:
            del self._counts[name, action]
        for name in old:
            del self._seen[name]


def _event(received: Mapping[str, Any]) -> Event | None:
    """Return what an event of a container tells, None for others and for mere chatter.

    Docker and Podman both write {"Type", "Action", "Actor": {"ID", "Attributes"}, "timeNano"};
    behind a colon an action carries details: a health, a command.
    """
    told = str(received.get("Action") or received.get("status") or "").partition(":")[0]
    action = _ACTIONS.get(told, told)
    actor = received.get("Actor")
    if received.get("Type") != "container" or not action or not isinstance(actor, Mapping):
        return None
    attributes = actor.get("Attributes")
    if action.startswith(_CHATTER) or not isinstance(attributes, Mapping):
        return None
    nanoseconds = received.get("timeNano")
    moment = None
    if isinstance(nanoseconds, int) and nanoseconds > 0:
        # The very next moment, so that this event does not come twice.
        moment = "{}.{:09}".format(*divmod(nanoseconds + 1, 1_000_000_000))
    name = printable(str(attributes.get("name") or "")).removeprefix("/")
    return Event(str(actor.get("ID") or ""), name, printable(action), moment)
