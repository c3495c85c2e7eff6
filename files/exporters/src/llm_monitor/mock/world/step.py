"""One step of the simulated servers: each part after what the others do to it."""

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from llm_monitor.mock.fleet.layout import Service
from llm_monitor.mock.world import containers, engine, gateway, gpus, host, strains
from llm_monitor.mock.world.chance import Chance
from llm_monitor.mock.world.containers import Containers
from llm_monitor.mock.world.demand import Demand
from llm_monitor.mock.world.forces import Forces
from llm_monitor.mock.world.gateway import Gateway
from llm_monitor.mock.world.gpus import Gpus, Xids
from llm_monitor.mock.world.host import Host
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.serving import Serving
from llm_monitor.mock.world.state import Moment, SmoothNumber, anew
from llm_monitor.mock.world.traces import Traces


@dataclass(slots=True)
class State:
    """Everything about the simulated servers at one moment.

    Attributes:
        time: The moment, Unix time.
        forces: What the scenario does.
        demand: How many requests come.
        serving: What vLLM does.
        gateway: What LiteLLM does.
        gpus: What the GPUs do.
        xids: What the driver has reported of them; a fault befalls all servers alike.
        containers: How the containers are.
        host: How the machine is.
        traces: What Langfuse knows.
        events: What the event store knows, to which applications report.
    """

    time: SmoothNumber
    forces: Forces
    demand: Demand
    serving: Serving
    gateway: Gateway
    gpus: Gpus
    xids: Xids
    containers: Containers
    host: Host
    traces: Traces
    events: Traces

    @classmethod
    def start(cls, plan: Plan, servers: int, time: float, forces: Forces) -> "State":
        """Return servers that boot at `time`."""
        routes = len(plan.routes.names)
        return cls(
            time=time,
            forces=forces,
            demand=Demand.start(servers, routes),
            serving=Serving.start(servers, len(plan.traits.names)),
            gateway=Gateway.start(servers, plan.routes, time),
            gpus=Gpus.start(servers, plan.seats),
            xids=gpus.counted({}, strains.on_driver(plan, Forces(), forces, (time, time))),
            containers=Containers.start(servers, plan.crew, time),
            host=Host.start(servers, plan.frame),
            traces=Traces.start(servers, routes),
            events=Traces.start(servers, routes),
        )

    def booted(self, time: float) -> "State":
        """Return the same servers, booted at `time`: busy already, but nothing is counted yet.

        What others know of them stays, and what LiteLLM counts: its exporter begins anew itself.
        """
        return replace(
            self,
            serving=self.serving.booted(),
            gateway=replace(self.gateway, started=np.full_like(self.gateway.started, time)),
            gpus=anew(self.gpus),
            containers=self.containers.booted(time),
            host=anew(self.host),
        )


def step(before: State, plan: Plan, forces: Forces, moment: Moment, chance: Chance) -> State:
    """Return the servers after a step."""
    servers, routes = before.demand.drift.shape
    seconds = moment.seconds
    noise, surges = chance.normal(servers, routes), chance.uniform(servers, 1)
    demand = before.demand.step(moment, noise, surges, forces.anomalies)
    befalls = strains.on_containers(servers, plan, forces, moment, chance)
    crew = containers.live(before.containers, plan.crew, befalls)
    begun = crew.started != before.containers.started
    answers = strains.answering(crew, plan, forces, moment.time)
    routing, saving, hearing = (
        strains.works(one, crew, plan, forces, moment.time) for one in get_args(Service)
    )
    asked = chance.poisson(strains.requests(plan, forces, demand, moment) * routing * seconds)
    ask = strains.on_gateway(plan, forces, moment, asked, answers, routing & saving, chance)
    flow = gateway.route(plan.routes, ask)
    pressure = strains.on_serving(before.gpus, plan, forces, flow.reached, answers)
    dither = chance.uniform(6, servers, len(plan.traits.names))
    serving = engine.step(before.serving, plan.traits, pressure, seconds, dither)
    done = before.serving, serving
    through = gateway.step(before.gateway, plan.routes, ask, flow, done)
    work = strains.on_work(plan, forces, before.gateway, through, seconds)
    crew = containers.use(crew, plan.crew, work, begun)
    heat = strains.on_gpus(done, crew, plan, forces, moment, chance)
    load = strains.on_host(crew, work.tokens, plan, forces, moment, chance)
    new = strains.on_driver(plan, before.forces, forces, (before.time, moment.time))
    hearing &= not forces.any("langfuse_stale")
    reborn = (begun & plan.services["litellm"]).any(axis=1)
    return State(
        time=moment.time,
        forces=forces,
        demand=demand,
        serving=serving.restarted(begun[:, : plan.crew.models]),
        gateway=through.restarted(reborn, moment.time),
        gpus=gpus.step(before.gpus, plan.seats, heat),
        xids=gpus.counted(before.xids, new),
        containers=crew,
        host=host.step(before.host, plan.frame, load),
        traces=before.traces.step(moment.time, before.gateway, through, hearing),
        events=before.events.step(moment.time, before.gateway, through, np.ones_like(hearing)),
    )
