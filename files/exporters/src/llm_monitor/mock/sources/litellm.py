"""A simulated LiteLLM: its deployments, its health checks, and what it says of itself."""

import hashlib
from collections.abc import Sequence

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints, Counts
from llm_monitor.base.upstream.errors import Reason
from llm_monitor.base.upstream.exposition import Point
from llm_monitor.litellm.facts import Check, Deployment, Readiness
from llm_monitor.litellm.source import CHECKS, DETAILS, METRICS, MODELS, PROBE, READINESS
from llm_monitor.mock.fleet.layout import Embedder, Model
from llm_monitor.mock.sources.litellm_page import Page
from llm_monitor.mock.sources.upstream import Upstream
from llm_monitor.mock.view import View
from llm_monitor.mock.world.state import Flags
from llm_monitor.mock.world.strains import answering

VERSION = "1.106.2"
_ERROR = 500


class SimulatedLitellm:
    """The LiteLLM of a simulated server: one process with a database, which checks by itself."""

    def __init__(self, view: View) -> None:
        """Answer for the server in `view`."""
        self._view = view
        self._upstream = Upstream(view, "litellm", Complaints(__name__))
        fleet = view.plan.fleet
        self._deployments = [_deployment(one, view.server) for one in fleet.models]
        self._deployments += [_embedding(one, view.server) for one in fleet.embedders]
        self._page = Page(self._deployments)

    def readiness(self, _deadline: Deadline) -> Readiness:
        """Return that it is fit for requests, which needs no database, and whether that answers."""
        state = self._upstream.asked(READINESS)
        return Readiness(proxy=True, db=self._upstream.works("litellm_database", state))

    def version(self, _deadline: Deadline) -> str:
        """Return its version."""
        self._upstream.asked(DETAILS)
        return VERSION

    def deployments(self, _deadline: Deadline) -> list[Deployment]:
        """Return the deployments, but for those that the scenario has not configured."""
        state = self._upstream.asked(MODELS)
        hidden = state.forces.flags("unrouted", self._view.plan.routes.names)
        listed = zip(self._deployments, hidden.tolist(), strict=True)
        return [one for one, unrouted in listed if not unrouted]

    def points(self, wanted: frozenset[str], _deadline: Deadline) -> Sequence[Point]:
        """Return those samples of its metrics whose names are `wanted`."""
        gateway = self._upstream.asked(METRICS).gateway
        points = self._page.points(gateway, self._view.row)
        return [point for point in points if point.name in wanted]

    def checks(self, _deadline: Deadline) -> dict[str, Check]:
        """Return the last health checks, which are kept in the database."""
        state = self._upstream.asked(CHECKS)
        if not self._upstream.works("litellm_database", state):
            raise self._upstream.failed(CHECKS, Reason.STATUS, f"status {_ERROR}", _ERROR)
        at = float(state.gateway.checked[self._view.row, 0])
        return self._checked(state.gateway.healthy, at)

    def probe(self, _deadline: Deadline) -> dict[str, Check]:
        """Return which deployments answer now."""
        state, plan = self._upstream.asked(PROBE), self._view.plan
        answers = answering(state.containers, plan, state.forces, state.time)
        return self._checked(answers, self._view.time())

    def errors(self) -> Counts:
        """Return how often a path failed for a reason since the start, by both."""
        return self._upstream.complaints.counts()

    def _checked(self, healthy: Flags, at: float) -> dict[str, Check]:
        answers = healthy[self._view.row].tolist()
        pairs = zip(self._deployments, answers, strict=True)
        return {one.id: Check(fine, at) for one, fine in pairs}


def _deployment(model: Model, server: int) -> Deployment:
    return Deployment(
        id=_id(model.name, server),
        model=model.name,
        provider="hosted_vllm",
        served=model.name,
        kind="chat",
        context=model.context,
        prices={"input": model.input_price / 1e6, "output": model.output_price / 1e6},
        endpoint=f"http://{model.container}:8000/v1",
    )


def _embedding(model: Embedder, server: int) -> Deployment:
    return Deployment(
        id=_id(model.name, server),
        model=model.name,
        provider="openai",
        served=model.path,
        kind="embedding",
        context=None,
        prices={"input": model.input_price / 1e6, "output": 0.0},
        endpoint=f"http://{model.container}:80/v1",
    )


def _id(name: str, server: int) -> str:
    """Return the id of a deployment: LiteLLM's are hashes of the same length."""
    return hashlib.sha256(f"{server}/deployment/{name}".encode()).hexdigest()
