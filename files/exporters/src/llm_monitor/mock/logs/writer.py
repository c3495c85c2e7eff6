"""Writes the logs of a simulated server while its time passes.

A log shipper that reads files, such as Alloy's `loki.source.file`, knows nothing of a container
but what the path says, and in Docker's own folder that is an id. So each container has a folder
of its name here: `FOLDER/NAME/ID-json.log`, from which one rule makes the label `container`. In
the file everything is as Docker's logging driver `json-file` has it. `FOLDER/kernel.log` is the
kernel's.
"""

import math
import threading
from pathlib import Path

import structlog

from llm_monitor.mock.identity import container_id
from llm_monitor.mock.logs.files import LogFile, docker_json, plain
from llm_monitor.mock.logs.span import Span
from llm_monitor.mock.logs.told import KERNEL, tell
from llm_monitor.mock.logs.vllm import INTERVAL
from llm_monitor.mock.view import View

_log = structlog.get_logger(__name__)
_POLL_SECONDS = 1.0
# What is further back the world would have to work out from its start.
_REACH_SECONDS = 3 * INTERVAL
WRITTEN, LEFT_OUT, FAILED = "written", "left_out", "failed"


class LogWriter:
    """Writes what happens on a simulated server to files in a folder.

    Attributes:
        counts: How many lines were written, left out, or could not be written; what could not even
            be told counts as one.
    """

    name = "logs"

    def __init__(self, view: View, folder: Path, seed: int) -> None:
        """Write to `folder` what happens on the server in `view` from now on."""
        self.counts = dict.fromkeys((WRITTEN, LEFT_OUT, FAILED), 0)
        self._view = view
        self._seed = seed
        names, server = view.plan.crew.names, view.server
        self._files = {
            name: LogFile(folder / name / f"{container_id(server, name)}-json.log")
            for name in names
        }
        self._files[KERNEL] = LogFile(folder / "kernel.log")
        # Those that could not be written to at last, and those that could once not be told.
        self._broken: dict[str, OSError] = {}
        self._untold: set[str] = set()
        self._last = view.at(_whole(view.time()))

    def watch(self, stop: threading.Event) -> None:
        """Write what happens until `stop` is set."""
        while not stop.wait(_POLL_SECONDS):
            self.catch_up()

    def catch_up(self) -> None:
        """Write what has happened up to now, every ten seconds of it by itself.

        A clock that runs much faster than that, or that jumps, leaves one long span: no more is
        written of it than of a short one.
        """
        now = _whole(self._view.time())
        while self._last.time < now:
            following = self._last.time + INTERVAL
            if now - following > _REACH_SECONDS:
                following = now
            state = self._view.at(following)
            span = Span(self._view.plan, self._view.server, self._last, state)
            # Before it is written: what fails is not tried again for good.
            self._last = state
            self._write(span)

    def _write(self, span: Span) -> None:
        told = tell(span, self._seed)
        self.counts[LEFT_OUT] += told.left_out
        for name, problem in told.failed.items():
            self._misses(name, problem)
        broken: dict[str, OSError] = {}
        # What was broken is tried even if it has nothing to say: else its end would go unnoticed.
        for name in dict.fromkeys((*self._broken, *told.lines)):
            lines = told.lines.get(name, [])
            data = plain(lines) if name == KERNEL else docker_json(lines)
            try:
                self._files[name].append(data)
            except OSError as error:
                self.counts[FAILED] += len(lines)
                broken[name] = error
                continue
            self.counts[WRITTEN] += len(lines)
        self._compares(broken)

    def _misses(self, name: str, error: Exception) -> None:
        """Count that a log could not be told, and log that once."""
        self.counts[FAILED] += 1
        if name not in self._untold:
            self._untold.add(name)
            _log.error("a log can't be told", log=name or "kernel", exc_info=error)

    def _compares(self, broken: dict[str, OSError]) -> None:
        """Log when an outage begins and when it has ended; these files are `broken` now."""
        if broken and not self._broken:
            _log.warning("logs can't be written", error=str(next(iter(broken.values()))))
        elif self._broken and not broken:
            _log.info("logs can be written again")
        self._broken = broken


def _whole(time: float) -> float:
    """Return the last moment at which vLLM tells how it fares."""
    return math.floor(time / INTERVAL) * INTERVAL
