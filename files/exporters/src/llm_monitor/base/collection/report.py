"""What an exporter says about its collectors: its own metrics, and a log line on each change."""

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping

import structlog

from llm_monitor.base.collection.isolation import Outcome
from llm_monitor.base.metrics.exposition import Series
from llm_monitor.base.metrics.family import Family, Sample
from llm_monitor.base.metrics.guard import FamilyGuard
from llm_monitor.base.metrics.own import OwnFamilies
from llm_monitor.base.version import VERSION

Result = dict[Family, Series]
State = Outcome[Result] | None

_log = structlog.get_logger(__name__)


class Report:
    """Follows an exporter's collectors from collection to collection."""

    def __init__(self, exporter: str, own: OwnFamilies, vital: Collection[str]) -> None:
        """Report for the exporter of that name under the families `own`.

        It is up when one of the collectors `vital` succeeded, or any if there are none of those.
        """
        self._exporter = exporter
        self._own = own
        self._vital = vital
        self._last_success: dict[str, float] = {}
        self._failing: dict[str, str] = {}
        self._collections = 0

    def record(self, states: Mapping[str, State]) -> None:
        """Take the end of a collection into account: counts, times, and log lines on changes."""
        self._collections += 1
        for name, state in states.items():
            problem = _problem(state)
            if not problem and state is not None:
                self._last_success[name] = state.started + state.seconds
            if problem != self._failing.get(name, ""):
                self._tell(name, problem, state)

    def samples(
        self, states: Mapping[str, State], guards: Iterable[FamilyGuard]
    ) -> Iterator[Sample]:
        """Give the exporter's own metrics for a collection that ended with `states`."""
        own = self._own
        yield from self._up(states)
        for name, state in states.items():
            yield own.collector_success(int(not _problem(state)), name)
            if state is not None:
                yield own.collector_duration(state.seconds, name)
        for name, moment in self._last_success.items():
            yield own.last_success(moment, name)
        for guard in guards:
            if guard.dropped:
                yield own.series_dropped(guard.dropped, guard.family.name)
        yield own.collections(self._collections)
        yield own.build_info(1, VERSION, platform.python_version())

    def _up(self, states: Mapping[str, State]) -> Iterator[Sample]:
        """Give `up`, but not before one of the vital collectors has ended a first time."""
        vital = [state for name, state in states.items() if name in (self._vital or states)]
        if vital:
            yield self._own.up(int(any(one and one.value is not None for one in vital)))

    def _tell(self, name: str, problem: str, state: State) -> None:
        about = {"exporter": self._exporter, "collector": name}
        if problem:
            self._failing[name] = problem
            seconds = round(state.seconds, 3) if state else None
            _log.warning("collector failed", **about, error=problem, seconds=seconds)
        else:
            del self._failing[name]
            _log.info("collector recovered", **about)


def _problem(state: State) -> str:
    """Return why a collector's series are missing, or an empty string."""
    if state is None:
        return "it was not started before the deadline"
    if state.running:
        return "it has not returned yet"
    if state.error is not None:
        return f"{type(state.error).__name__}: {state.error}"
    return ""
