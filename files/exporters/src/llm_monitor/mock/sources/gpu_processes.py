"""The processes on simulated GPUs, and the containers that they run in."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llm_monitor.gpu.containers import Container
from llm_monitor.gpu.facts import Process
from llm_monitor.mock.identity import container_id, pid
from llm_monitor.mock.view import View
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.step import State

# As the kernel cuts them, after 15 bytes. A model on several GPUs has a worker on each.
_ENGINE, _WORKER, _OTHER = "VLLM::EngineCor", "VLLM::Worker_TP", "python3"


class Tenant(NamedTuple):
    """A process that may run on a GPU.

    Attributes:
        pid: Its number.
        container: The place of its container among all.
        program: Its program.
        weight: What it takes of the memory that models have on that GPU, relative to others.
    """

    pid: int
    container: int
    program: str
    weight: float = 0.0


class Tenants:
    """The processes that may run on the GPUs of a server."""

    def __init__(self, plan: Plan, server: int) -> None:
        """Work out which process of which model runs on which GPU."""
        self._models = [list(_of_models(plan, server, gpu)) for gpu in range(len(plan.gpus))]
        self._other = _other(plan, server)

    def on(self, gpu: int, state: State, memory: float, leaked: float) -> tuple[Process, ...]:
        """Return the processes on a GPU on which models hold `memory`, and another `leaked` bytes.

        Models whose container does not run have none.
        """
        running = state.containers.running[View.row]
        busy = state.serving.busy[View.row]
        here = [one for one in self._models[gpu] if running[one.container]]
        whole = sum(one.weight for one in here)
        found = [
            Process(
                one.pid, round(memory * one.weight / whole), round(float(busy[one.container]), 2)
            )
            for one in here
        ]
        if leaked >= 1:
            found.append(Process(self._other.pid, round(leaked), 0.0))
        return tuple(found)

    def all(self) -> Iterator[Tenant]:
        """Give every process that may run on a GPU."""
        for tenants in self._models:
            yield from tenants
        yield self._other


class SimulatedOwners:
    """Tells the containers of the processes on simulated GPUs."""

    def __init__(self, plan: Plan, server: int) -> None:
        """Know the processes of a server."""
        self._tenants = {one.pid: one for one in Tenants(plan, server).all()}
        self._containers = [Container(name, container_id(server, name)) for name in plan.crew.names]

    def of(self, pids: Iterable[int]) -> dict[int, Container]:
        """Return the container of each process."""
        known = self._tenants
        return {one: self._containers[known[one].container] for one in pids if one in known}

    def program(self, pid: int) -> str:
        """Return the name of a process' program; empty where there is no such process."""
        return self._tenants[pid].program if pid in self._tenants else ""


def _of_models(plan: Plan, server: int, gpu: int) -> Iterator[Tenant]:
    """Give a process of each model that runs on a GPU; a model's container has the model's place.

    The first process of a container, that of its API, is on no GPU.
    """
    for place, model in enumerate(plan.fleet.models):
        if gpu in model.gpus:
            program = _WORKER if len(model.gpus) > 1 else _ENGINE
            number = pid(server, place, 1 + model.gpus.index(gpu))
            yield Tenant(number, place, program, float(plan.seats.weights[place, gpu]))


def _other(plan: Plan, server: int) -> Tenant:
    """Return the process that fills memory which it should not: of a container without model."""
    place = min(plan.crew.models, len(plan.crew.names) - 1)
    return Tenant(pid(server, place, 1), place, _OTHER)
