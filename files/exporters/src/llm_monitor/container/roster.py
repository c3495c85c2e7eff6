"""The containers of one collection, and what of them could not be read."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.container.source import ContainerSource

# An engine that hangs must leave the collectors of what the kernel knows their time.
_PATIENCE_SECONDS = 2.0
# The collectors of one scrape share what the first of them was told.
_SHARED_SECONDS = 0.2
# Some containers end before their control groups are found.
_GRACE_SECONDS = 10.0

_NO_GROUP = "no control group"

_log = structlog.get_logger(__name__)

Labels = tuple[str, str, str]


class Seat(NamedTuple):
    """A container that has a control group.

    Attributes:
        container: The container.
        labels: The path of its control group, its name and its image.
    """

    container: Container
    labels: Labels


class Roster:
    """What the engine knows of containers, and where the kernel does.

    Attributes:
        source: The source.
        now: Tells the Unix time.
    """

    def __init__(
        self,
        source: ContainerSource,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask `source`; `now` tells its Unix time, `ticks` seconds that never go back."""
        self.source = source
        self.now = now
        self._ticks = ticks
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._error: SourceError | None = None
        self._known: list[Container] | None = None
        self._paths: dict[str, str] = {}
        self._missing: dict[tuple[str, int], float] = {}
        self._lost: SourceError | None = None
        self._ever = False
        self._noting = threading.Lock()
        self._troubles: dict[str, dict[str, str]] = {}

    def all(self, deadline: Deadline) -> list[Container]:
        """Return all containers, stopped ones too.

        Raises:
            SourceError: When the engine can't be asked.
        """
        known, error = self._ask(deadline)
        if error is not None or known is None:
            raise error or SourceError("the engine was not asked in time")
        return known

    def seats(self, deadline: Deadline, *, ended: bool = False) -> list[Seat]:
        """Return the containers that run, as last known where the engine can't be asked.

        With `ended` those are given too that have ended since their control groups were found.

        Raises:
            SourceError: When the engine has not told any yet, or no control group is found.
        """
        known, error = self._ask(deadline)
        if known is None:
            raise error or SourceError("the engine was not asked in time")
        if self._lost is not None:
            raise self._lost
        paths = self._paths
        return [
            Seat(one, (paths[one.id], one.name, one.image))
            for one in known
            if one.id in paths and (one.pid or ended)
        ]

    def note(self, container: Container, question: str, problem: str) -> None:
        """Keep what could not be read of a container, with a log line when that changes."""
        known = self._troubles.get(container.id)
        if not problem and not (known and question in known):
            return
        about = {"container": container.name, "question": question}
        with self._noting:
            known = self._troubles.setdefault(container.id, {})
            if problem and question not in known:
                _log.warning("container could not be read", **about, error=problem)
            if problem:
                known[question] = problem
            elif known.pop(question, None):
                _log.info("container can be read again", **about)

    def troubled(self, container: Container) -> bool:
        """Return whether something of a container could not be read the last time."""
        return bool(self._troubles.get(container.id))

    def _ask(self, deadline: Deadline) -> tuple[list[Container] | None, SourceError | None]:
        """Return the containers last told of, and why these are not the present ones."""
        if not self._lock.acquire(timeout=deadline.remaining()):
            return self._known, SourceError("another collector still asks the engine")
        try:
            if self._ticks() - self._asked >= _SHARED_SECONDS:
                self._refresh(deadline)
                self._asked = self._ticks()
            return self._known, self._error
        finally:
            self._lock.release()

    def _refresh(self, deadline: Deadline) -> None:
        patience = Deadline(min(deadline.at, Deadline.after(_PATIENCE_SECONDS).at))
        try:
            self._known = self.source.containers(patience)
            self._error = None
        except SourceError as error:
            self._error = error
        if self._known is None:
            return
        try:
            self._locate(self._known)
        except SourceError as error:
            self._lost = error
        present = {container.id for container in self._known}
        with self._noting:
            self._troubles = {one: kept for one, kept in self._troubles.items() if one in present}

    def _locate(self, known: list[Container]) -> None:
        """Find the containers' control groups.

        Raises:
            SourceError: When there are none, or none of these containers'.
        """
        self._paths = paths = self.source.locate(known)
        self._lost = None
        self._ever = self._ever or bool(paths)
        now = self._ticks()
        missing = [container for container in known if container.pid and container.id not in paths]
        since = {(one.id, one.pid): self._missing.get((one.id, one.pid), now) for one in missing}
        self._missing = since
        long = {one for (one, _), moment in since.items() if now - moment >= _GRACE_SECONDS}
        for container in known:
            self.note(container, "locate", _NO_GROUP if container.id in long else "")
        if long and not self._ever:
            message = f"{_NO_GROUP} of any running container; is the host's /sys/fs/cgroup mounted?"
            raise SourceMissingError(message)
