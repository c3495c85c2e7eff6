"""The simulated server's engine: its containers, their events, and the GPUs that they use."""

import hashlib
from collections.abc import Iterable, Mapping

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.containers import Container, GpuRequest
from llm_monitor.base.docker.gpus import Assignment, Method
from llm_monitor.base.errors import SourceError
from llm_monitor.mock.fleet.layout import Model
from llm_monitor.mock.identity import address, container_id, gpu_uuid, pid
from llm_monitor.mock.sources.gpu_processes import Tenants
from llm_monitor.mock.view import View
from llm_monitor.mock.world.step import State

PORT = 8000
_NETWORK = "llm_default"
_PROJECT = "llm"
_NONE = Assignment("none")

# What of a container changes: whether it runs, its health, start, end, exit code, kill, restarts.
Condition = tuple[bool, str | None, float, float, int, bool, int]


class SimulatedEngine:
    """Tells of the containers of one simulated server as an engine would."""

    def __init__(self, view: View) -> None:
        """Tell of the containers of the server that `view` shows."""
        self._view = view
        crew = view.plan.crew
        fleet = view.plan.fleet
        models = [*fleet.models, *[None] * (len(crew.names) - len(fleet.models))]
        self._places = list(zip(crew.names, crew.images, models, strict=True))
        self._known: dict[int, tuple[Condition, Container]] = {}
        self._told: tuple[State, list[Container]] | None = None

    def containers(self, state: State) -> list[Container]:
        """Return all containers, in the order of the plan; one that is as before is the same."""
        told = self._told
        if told is None or told[0] is not state:
            found = [self._container(*one) for one in enumerate(self._conditions(state))]
            told = self._told = state, found
        return told[1]

    def events(self, state: State) -> dict[tuple[str, str], int]:
        """Return how often each action came, by container's name and action."""
        crew, row = state.containers, self._view.row
        deaths, running = crew.deaths[row], crew.running[row]
        by_action = {
            "die": deaths,
            # Each of them ran at first, and has been started again after each death but the last.
            "start": deaths + running - 1,
            "oom": crew.kills[row],
            "kill": crew.stops[row],
            "health_status": crew.turns[row],
        }
        names = self._view.plan.crew.names
        return {
            (name, action): count
            for action, counts in by_action.items()
            for name, count in zip(names, counts.tolist(), strict=True)
        }

    def _conditions(self, state: State) -> Iterable[Condition]:
        crew, row, plan = state.containers, self._view.row, self._view.plan.crew
        health = [
            _health(*one) if checked else None
            for checked, *one in zip(
                plan.checked.tolist(),
                crew.running[row].tolist(),
                crew.healthy[row].tolist(),
                crew.failing[row].tolist(),
                strict=True,
            )
        ]
        parts = crew.started, crew.finished, crew.exit_code, crew.killed, crew.restarts
        rows = (part[row].tolist() for part in parts)
        return zip(crew.running[row].tolist(), health, *rows, strict=True)

    def _container(self, place: int, condition: Condition) -> Container:
        known = self._known.get(place)
        if known is None or known[0] != condition:
            known = self._known[place] = condition, self._made(place, condition)
        return known[1]

    def _made(self, place: int, condition: Condition) -> Container:
        name, image, model = self._places[place]
        running, health, started, finished, exit_code, killed, restarts = condition
        server, crew = self._view.server, self._view.plan.crew
        cores = float(crew.cpu_limit[place])
        gpus = tuple(str(one) for one in model.gpus) if model else ()
        return Container(
            id=container_id(server, name),
            name=name,
            image=image,
            image_id=f"sha256:{hashlib.sha256(image.encode()).hexdigest()}",
            labels={"com.docker.compose.project": _PROJECT, "com.docker.compose.service": name},
            command=_command(model) if model else (name,),
            created=None,
            started=started,
            finished=finished or None,
            state="running" if running else "exited",
            health=health,
            exit_code=None if running else exit_code,
            oom_killed=killed and not running,
            restarts=restarts,
            pid=pid(server, place, 0) if running else 0,
            networks={_NETWORK: address(place)} if running else {},
            ports={},
            exposed=(PORT,) if model else (),
            host_network=False,
            network_of="",
            memory_limit=int(crew.memory_limit[place]),
            cpu_quota_cores=cores or None,
            gpu_requests=(GpuRequest("nvidia", 0, gpus),) if gpus else (),
            visible_devices=None,
        )


class SimulatedGpuUse:
    """Tells which GPUs the simulated server's containers use, as the GPU exporter would."""

    def __init__(self, view: View) -> None:
        """Tell it of the server that `view` shows."""
        self._view = view
        server = view.server
        self._tenants = Tenants(view.plan, server)
        ids = [container_id(server, name) for name in view.plan.crew.names]
        self._owners = {one.pid: ids[one.container] for one in self._tenants.all()}
        self._uuids = [gpu_uuid(server, index) for index in range(len(view.plan.gpus))]
        self._memory: dict[str, dict[str, int]] = {}

    def of(self, containers: Iterable[Container], _: Deadline, /) -> dict[str, Assignment]:
        """Return by container's id which GPUs each uses.

        While the GPU exporter does not tell, what was asked for does.
        """
        state = self._told()
        self._memory = {} if state is None else self._used(state)
        return {one.id: self._assigned(one) for one in containers}

    def memory(self, container: str) -> Mapping[str, int]:
        """Return the bytes that a container used on each GPU, by UUID, at the last call of `of`."""
        return self._memory.get(container, {})

    def _assigned(self, container: Container) -> Assignment:
        method: Method = "processes"
        used = self._memory.get(container.id, {})
        indexes = [index for index, uuid in enumerate(self._uuids) if uuid in used]
        if not indexes:
            method = "device_requests"
            indexes = [int(one) for request in container.gpu_requests for one in request.devices]
        if not indexes:
            return _NONE
        uuids = {self._uuids[index] for index in indexes}
        return Assignment(method, tuple(sorted(uuids)), tuple(sorted(indexes)))

    def _told(self) -> State | None:
        """Return the state of which the GPU exporter tells, None when it does not."""
        try:
            state = self._view.asked("gpu")
        except SourceError:
            return None
        return None if state.forces.befall("exporter_down", "gpu") else state

    def _used(self, state: State) -> dict[str, dict[str, int]]:
        """Return the bytes that each container uses on each GPU, by its id and the GPU's UUID."""
        used: dict[str, dict[str, int]] = {}
        row = self._view.row
        amounts = state.gpus.memory[row].tolist(), state.gpus.leaked[row].tolist()
        for index, (memory, leaked) in enumerate(zip(*amounts, strict=True)):
            for process in self._tenants.on(index, state, memory, leaked):
                by_gpu = used.setdefault(self._owners[process.pid], {})
                by_gpu[self._uuids[index]] = process.memory or 0
        return used


def _health(running: bool, healthy: bool, failing: bool) -> str:
    """Return what the engine says of a health check; of one that has ended, that it fails."""
    if not running or failing:
        return "unhealthy"
    return "healthy" if healthy else "starting"


def _command(model: Model) -> tuple[str, ...]:
    """Return the command of a container that serves `model`."""
    words = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", model.path]
    words += ["--served-model-name", model.name, "--port", str(PORT), "--dtype", model.dtype]
    words += ["--tensor-parallel-size", str(len(model.gpus))]
    words += ["--max-model-len", str(model.context), "--max-num-seqs", str(model.batch)]
    return (*words, "--quantization", model.quantization) if model.quantization else (*words,)
