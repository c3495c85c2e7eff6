"""The simulated server's vLLM servers, as they would answer."""

from typing import Any

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.metrics.exposition import TEXT_TYPE
from llm_monitor.base.upstream.complaints import Counts
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Answer
from llm_monitor.mock.sources.docker import PORT, SimulatedEngine
from llm_monitor.mock.sources.vllm_page import VERSION, Figures, page
from llm_monitor.mock.view import View
from llm_monitor.mock.world.step import State
from llm_monitor.vllm.facts import UNREACHABLE, UP, Model, Reading
from llm_monitor.vllm.server.command import read
from llm_monitor.vllm.server.discovery import Server
from llm_monitor.vllm.server.normal import Exposed

NAME = "vllm"
_OK = 200
# From the start of a container to that of its process.
_STARTING_SECONDS = 2.0
_LATENCIES = ("first_token", "between_tokens", "whole", "queued", "prefill", "decode")
_COUNTS = (
    *("waiting", "running", "completed", "aborted", "prompt_tokens", "answer_tokens"),
    *("cache_queries", "cache_hits", "preemptions", "cache_use"),
)


class SimulatedServers:
    """Answers as the vLLM servers of one simulated server."""

    def __init__(self, view: View, engine: SimulatedEngine) -> None:
        """Tell of the models of the server that `view` shows, whose containers `engine` knows."""
        self._view = view
        self._engine = engine
        plan = view.plan
        models = plan.fleet.models
        self._models = [Model(one.name, "", one.context, one.path) for one in models]
        sizes = plan.traits.capacity.tolist()
        self._pages = [page(*one) for one in zip(models, sizes, strict=True)]
        self._loading = plan.traits.loading.tolist()
        self._servers: dict[int, Server] = {}
        self._surveyed: tuple[State, list[Reading]] | None = None

    def survey(self, _: Deadline, /) -> list[Reading]:
        """Return what every server says, those that do not run or answer among them."""
        state = self._view.asked(NAME)
        known = self._surveyed
        if known is None or known[0] is not state:
            servers = enumerate(self._found(state))
            readings = [self._reading(place, server, state) for place, server in servers]
            known = self._surveyed = state, readings
        return known[1]

    def errors(self) -> Counts:
        """Return how often each server would have failed for one who asks at every step."""
        crew, row = self._view.state().containers, self._view.row
        names = self._view.plan.crew.names[: len(self._models)]
        return {
            (name, reason): count
            for reason, counts in ((Reason.REFUSED, crew.refusals), (Reason.TIMEOUT, crew.silences))
            for name, count in zip(names, counts[row].tolist(), strict=False)
            if count
        }

    def servers(self, _: Deadline, /) -> list[tuple[Server, tuple[str, ...]]]:
        """Return every server with the model that it counts under."""
        found = self._found(self._view.asked(NAME))
        return [(server, (model.name,)) for server, model in zip(found, self._models, strict=True)]

    async def exposition(self, server: Server, _accept: str, _deadline: Deadline, /) -> Answer:
        """Return a server's own metrics, in the text format whatever is asked for.

        Raises:
            UpstreamError: When it does not answer.
        """
        state = self._view.state()
        place = self._view.plan.crew.names.index(server.name)
        if (reason := self._refuses(place, state)) is not None:
            message = f"{server.name}: the scenario lets it not answer"
            raise UpstreamError(reason, message)
        body = self._pages[place].text(self._figures(place, state)).encode()
        return Answer(f"{server.addresses[0]}/metrics", _OK, {"content-type": TEXT_TYPE}, body)

    def _found(self, state: State) -> list[Server]:
        containers = self._engine.containers(state)[: len(self._models)]
        return [self._server(*one) for one in enumerate(containers)]

    def _server(self, place: int, container: Container) -> Server:
        known = self._servers.get(place)
        if known is None or known.container is not container:
            addresses = tuple(f"http://{one}:{PORT}" for one in container.networks.values())
            known = Server(container.name, addresses, container, read(container.command))
            self._servers[place] = known
        return known

    def _refuses(self, place: int, state: State) -> Reason | None:
        """Return why a server does not answer, None when it does."""
        crew, row = state.containers, self._view.row
        if not crew.running[row, place]:
            return Reason.REFUSED
        if state.time - crew.started[row, place] < self._loading[place]:
            return Reason.REFUSED
        down = state.forces.befall("model_down", self._models[place].name)
        return Reason.TIMEOUT if down else None

    def _reading(self, place: int, server: Server, state: State) -> Reading:
        model = self._models[place]
        metered = (model.name,)
        if server.container and not server.running:
            return Reading(server, server.container.state, metered=metered)
        reason = self._refuses(place, state)
        if reason is not None:
            # One that loads has not told its models yet.
            version, models = ("", ()) if reason is Reason.REFUSED else (VERSION, (model,))
            return Reading(server, UNREACHABLE, None, version, models, metered)
        figures = self._figures(place, state)
        samples = tuple(Exposed(self._pages[place].points(figures)).samples(server.name))
        return Reading(server, UP, samples, VERSION, (model,), metered, figures.started)

    def _figures(self, place: int, state: State) -> Figures:
        here = self._view.row, place
        crew, serving = state.containers, state.serving
        counts: dict[str, Any] = {name: getattr(serving, name)[here].item() for name in _COUNTS}
        return Figures(
            started=float(crew.started[here]) + _STARTING_SECONDS,
            cpu=float(crew.user[here] + crew.system[here]),
            memory=float(crew.memory[here]),
            latencies={name: getattr(serving, name)[here] for name in _LATENCIES},
            **counts,
        )
