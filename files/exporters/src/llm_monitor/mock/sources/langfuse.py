"""A simulated Langfuse: what LiteLLM's requests leave there."""

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse.facts import (
    QUANTILES,
    WINDOWS,
    ModelUse,
    Poll,
    Quantiles,
    ScoreUse,
    Usage,
)
from llm_monitor.mock.sources.upstream import Upstream
from llm_monitor.mock.view import View
from llm_monitor.mock.world.audience import behind
from llm_monitor.mock.world.gateway import LATENCY_BUCKETS
from llm_monitor.mock.world.state import Counts
from llm_monitor.mock.world.traces import Traces

VERSION = "4.16.0"
# What the API of such a Langfuse is called.
_GENERATION = "metrics_v2"


class SimulatedRepository:
    """The Langfuse of a simulated server."""

    def __init__(self, view: View, complaints: Complaints) -> None:
        """Answer for the server in `view`; count failures in `complaints`."""
        self._view = view
        self._upstream = Upstream(view, "langfuse", complaints)

    def version(self, _deadline: Deadline, /) -> str:
        """Return Langfuse's version."""
        self._upstream.asked("health")
        return VERSION

    def ready(self, _deadline: Deadline, /) -> bool:
        """Return that Langfuse takes requests."""
        self._upstream.asked("ready")
        return True

    def poll(self, _deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now."""
        state = self._upstream.asked(_GENERATION)
        newest = float(state.traces.newest[self._view.row])
        windows = {
            window: self._usage(self._view.told("traces", seconds))
            for window, seconds in WINDOWS.items()
        }
        return Poll(_GENERATION, self._view.time(), newest or None, windows)

    def _usage(self, told: Traces) -> Usage:
        audience = behind(told, self._view.row)
        return Usage(
            audience.traces,
            audience.sessions,
            audience.users,
            self._models(told),
            [ScoreUse(name, count, mean) for name, (count, mean) in audience.scores.items()],
        )

    def _models(self, told: Traces) -> list[ModelUse]:
        row = self._view.row
        return [
            ModelUse(
                model=name,
                observations=int(told.observations[row, place]),
                errors=int(told.errors[row, place].sum()),
                input_tokens=int(told.input_tokens[row, place]),
                output_tokens=int(told.output_tokens[row, place]),
                cost=float(told.cost[row, place]),
                latency=_quantiles(told.latency[row, place]),
                first_token=_quantiles(told.first_token[row, place]),
            )
            for place, name in enumerate(self._view.plan.routes.names)
            if told.observations[row, place]
        ]


def _quantiles(counts: Counts) -> Quantiles:
    found = {one: LATENCY_BUCKETS.quantile(counts, float(one)) for one in QUANTILES}
    return {quantile: seconds for quantile, seconds in found.items() if seconds is not None}
