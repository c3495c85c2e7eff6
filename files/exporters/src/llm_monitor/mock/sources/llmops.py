"""A simulated event store: what applications report that ask LiteLLM."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.errors import SourceError
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.llmops.facts import (
    QUANTILES,
    WINDOWS,
    Pair,
    Poll,
    Quantiles,
    Session,
    Use,
    Window,
)
from llm_monitor.mock.view import View
from llm_monitor.mock.world.audience import behind
from llm_monitor.mock.world.gateway import LATENCY_BUCKETS, REASONS
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.state import Counts
from llm_monitor.mock.world.traces import Traces

_SCHEMA_VERSION = 2
_ENDPOINT = "database"
# What applications use models for, one after the other.
_OPERATIONS = ("answer_question", "summarize", "extract_facts", "plan_step")
_EMBEDDING = "embed_documents"

K = TypeVar("K", bound=Hashable)


class SimulatedEvents:
    """The event store of the applications that a simulated server serves."""

    def __init__(self, view: View, complaints: Complaints) -> None:
        """Answer for the server in `view`; count failures in `complaints`."""
        self._view = view
        self._complaints = complaints

    def version(self, _deadline: Deadline, /) -> int:
        """Return the version of the event store's schema."""
        self._ask()
        return _SCHEMA_VERSION

    def poll(self, _deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now."""
        self._ask()
        at = float(self._view.time())
        newest = float(self._view.state().events.newest[self._view.row]) or None
        windows = {
            name: self._window(self._view.told("events", seconds), at, newest)
            for name, seconds in WINDOWS.items()
        }
        return Poll(at, newest, windows)

    def session(self, _session_id: str, _seconds: float, _deadline: Deadline, /) -> Session | None:
        """Return nothing: requests are simulated by their number, and none belongs to anybody."""
        self._ask()
        return None

    def _ask(self) -> None:
        try:
            self._view.asked("llmops")
        except SourceError as error:
            problem = UpstreamError(Reason.CONNECTION, f"postgresql://event-store: {error}")
            self._complaints.failed(_ENDPOINT, problem)
            raise problem from error
        self._complaints.recovered(_ENDPOINT)

    def _window(self, told: Traces, at: float, newest: float | None) -> Window:
        row, plan = self._view.row, self._view.plan
        routes = [place for place in range(len(plan.routes.names)) if told.observations[row, place]]
        names = plan.routes.names

        def by(key: Callable[[int], K]) -> dict[K, Use]:
            grouped: dict[K, list[int]] = {}
            for place in routes:
                grouped.setdefault(key(place), []).append(place)
            uses = {one: _use(told, row, places) for one, places in grouped.items()}
            return dict(sorted(uses.items(), key=lambda item: -item[1].requests))

        def operation(place: int) -> str:
            return _operation(plan, place)

        began = newest if newest is not None and routes else None
        return Window(
            at=at,
            newest=began,
            sessions=behind(told, row).sessions,
            total=_use(told, row, routes),
            operations=by(operation),
            models=by(lambda place: names[place]),
            pairs=by(lambda place: (operation(place), names[place])),
            failures=_failures(told, row, ((place, operation(place)) for place in routes)),
        )


def _operation(plan: Plan, place: int) -> str:
    """Return what applications use a route for."""
    return _EMBEDDING if place >= plan.routes.vllm else _OPERATIONS[place % len(_OPERATIONS)]


def _use(told: Traces, row: int, places: list[int]) -> Use:
    if not places:
        return Use()
    return Use(
        requests=int(told.observations[row, places].sum()),
        errors=int(told.errors[row, places].sum()),
        input_tokens=int(told.input_tokens[row, places].sum()),
        output_tokens=int(told.output_tokens[row, places].sum()),
        cost=float(told.cost[row, places].sum()),
        latency=_quantiles(told.latency[row, places].sum(axis=0)),
        first_token=_quantiles(told.first_token[row, places].sum(axis=0)),
    )


def _failures(told: Traces, row: int, operations: Iterable[tuple[int, str]]) -> dict[Pair, float]:
    found: dict[Pair, float] = {}
    for place, operation in operations:
        for reason, count in zip(REASONS, told.errors[row, place], strict=True):
            if count:
                found[operation, reason] = found.get((operation, reason), 0) + int(count)
    return found


def _quantiles(counts: Counts) -> Quantiles:
    found = {one: LATENCY_BUCKETS.quantile(counts, float(one)) for one in QUANTILES}
    return {quantile: seconds for quantile, seconds in found.items() if seconds is not None}
