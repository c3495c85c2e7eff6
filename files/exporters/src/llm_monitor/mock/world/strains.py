"""What a step does to each part: how the parts and the scenario's faults bear on one another."""

from collections.abc import Iterator

import numpy as np

from llm_monitor.mock.fleet.layout import Service
from llm_monitor.mock.scenario.faults import Fault
from llm_monitor.mock.world import containers, gateway, gpus, host
from llm_monitor.mock.world.chance import Chance
from llm_monitor.mock.world.containers import Containers
from llm_monitor.mock.world.demand import Demand
from llm_monitor.mock.world.forces import Forces
from llm_monitor.mock.world.gateway import Gateway
from llm_monitor.mock.world.gpus import Gpus, Xid
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.serving import Pressure, Serving
from llm_monitor.mock.world.state import Counts, Flags, Floats, Moment

_HOUR = 3600.0
_XID = "xid"
_XID_SECONDS = 60.0
# What the driver reports once when it begins.
_XIDS = {"gpu_lost": 79, "row_remap": 63, "row_remap_failure": 64}


def on_containers(
    servers: int, plan: Plan, forces: Forces, moment: Moment, chance: Chance
) -> containers.Strain:
    """Return what befalls the containers; a model that loses a GPU ends."""
    crew, names = plan.crew, plan.crew.names
    stopped = forces.flags("container_stop", names)
    lost = plan.seats.shares @ forces.flags("gpu_lost", plan.gpus) > 0
    stopped[: crew.models] |= lost | forces.flags("unserved", plan.traits.names)
    silent = np.zeros(len(names), np.bool_)
    silent[: crew.models] = forces.flags("model_down", plan.traits.names)
    codes = forces.values("container_stop", names)
    return containers.Strain(
        time=moment.time,
        stopped=stopped,
        exit_code=np.where(forces.flags("container_stop", names), codes, 1.0),
        run=forces.values("restart_loop", names),
        kills=forces.values("container_oom", names) * moment.seconds / _HOUR,
        sick=forces.flags("unhealthy", names) | silent,
        silent=silent,
        chance=chance.uniform(servers, len(names)),
    )


def answering(crew: Containers, plan: Plan, forces: Forces, time: float) -> Flags:
    """Return which models answer, by server and route: those whose container has come up."""
    served = len(plan.routes.names)
    up = crew.running & (time - crew.started >= plan.crew.loading)
    answers = up[:, :served].copy()
    answers[:, : plan.routes.vllm] &= ~forces.flags("model_down", plan.traits.names)
    return answers


def works(service: Service, crew: Containers, plan: Plan, forces: Forces, time: float) -> Flags:
    """Return whether a service answers, by server: its containers have come up, if it has any."""
    there = crew.running & (time - crew.started >= plan.crew.loading)
    up: Flags = np.logical_and.reduce(there, axis=1, keepdims=True, where=plan.services[service])
    return up & np.bool_(not forces.any(f"{service}_down"))


def requests(plan: Plan, forces: Forces, demand: Demand, moment: Moment) -> Floats:
    """Return how many requests a second clients make, by server and route, on average."""
    routes = plan.routes
    rate = routes.requests * demand.factor(moment.time) * forces.load
    if forces.gpu_utilization is not None:
        rate[:, : routes.vllm] = plan.traits.most() * forces.gpu_utilization
    factor = np.ones(len(routes.names))
    overload = forces.values("model_overload", routes.names)
    most = np.append(plan.traits.most(), routes.requests[routes.vllm :])
    rate = np.where(overload > 0, most * overload, rate)
    factor[forces.flags("model_idle", routes.names)] = 0.0
    factor[forces.flags("unrouted", routes.names)] = 0.0
    return rate * factor


def on_gateway(
    plan: Plan,
    forces: Forces,
    moment: Moment,
    asked: Counts,
    answers: Flags,
    saves: Flags,
    chance: Chance,
) -> gateway.Strain:
    """Return what clients ask of LiteLLM, which `saves` health checks if its database answers."""
    names = plan.routes.names
    return gateway.Strain(
        time=moment.time,
        saves=saves,
        requests=asked,
        refused=np.full(asked.shape, forces.error_rate),
        failing=np.broadcast_to(forces.values("provider_errors", names), asked.shape),
        answers=answers,
        price=np.maximum(1.0, forces.values("spend", names)),
        dither=chance.uniform(6, *asked.shape),
    )


def on_serving(
    before: Gpus, plan: Plan, forces: Forces, reached: Counts, answers: Flags
) -> Pressure:
    """Return what reaches the vLLM servers; a GPU that is held down slows its model down."""
    names, vllm = plan.traits.names, plan.routes.vllm
    # The slowest GPU of a model sets its pace.
    clocks = np.where(plan.seats.shares > 0, before.clock[:, None, :], np.inf).min(axis=-1)
    return Pressure(
        arrivals=reached[:, :vllm],
        answers=answers[:, :vllm],
        admits=~forces.flags("admission_stalled", names),
        moves=~forces.flags("no_progress", names),
        slowness=np.maximum(1.0, forces.values("slow", names)) / np.maximum(clocks, 0.05),
        length=np.maximum(1.0, forces.values("long_prompts", names)),
    )


def on_work(
    plan: Plan, forces: Forces, before: Gateway, after: Gateway, seconds: float
) -> containers.Work:
    """Return what the containers work on: those that serve their model, all others everything."""
    tokens = after.input_tokens - before.input_tokens + after.output_tokens - before.output_tokens
    ended = after.succeeded - before.succeeded
    others = len(plan.crew.names) - len(plan.routes.names)

    def spread(counts: Counts) -> Floats:
        whole = np.repeat(counts.sum(axis=1, keepdims=True), others, axis=1)
        return np.concatenate([counts, whole], axis=1) / seconds

    held = forces.values("cpu_throttled", plan.crew.names)
    return containers.Work(seconds, spread(ended), spread(tokens), held)


def on_gpus(
    done: tuple[Serving, Serving],
    crew: Containers,
    plan: Plan,
    forces: Forces,
    moment: Moment,
    chance: Chance,
) -> gpus.Strain:
    """Return what the models, before and after their step, and the scenario do to the GPUs."""
    before, after = done
    seats, models = plan.seats, plan.crew.models
    running = crew.running[:, :models]
    loaded = np.clip((moment.time - crew.started[:, :models]) / plan.traits.loading, 0.05, 1.0)
    tokens = (after.answer_tokens - before.answer_tokens).clip(0) / moment.seconds
    reading = plan.traits.reading(before, after, moment.seconds)
    # Reading prompts keeps all units busy, making answers waits for memory.
    active = after.busy * np.minimum(0.97, 0.22 + 0.5 * after.batch_use + 0.6 * reading)
    faults = {
        "corrected": forces.values("ecc_corrected", plan.gpus) / _HOUR,
        "uncorrected": forces.values("ecc", plan.gpus) / _HOUR,
        "nvlink_errors": forces.values("nvlink_errors", plan.gpus),
        "replays": forces.values("pcie_replays", plan.gpus),
    }
    shape = len(active), len(plan.gpus)
    taken = (running * loaded) @ seats.weights
    room = seats.memory * 0.995 - taken
    return gpus.Strain(
        seconds=moment.seconds,
        present=np.where(forces.flags("gpu_lost", plan.gpus), 0.0, 1.0),
        activity=np.minimum(0.99, (active * running) @ seats.shares),
        used=np.minimum(1.0, (after.busy * running) @ seats.shares),
        loaded=taken,
        leaked=np.clip(_leaks(plan, forces, moment.time), 0.0, room),
        tokens=(tokens * running) @ (seats.shares * (seats.shares.sum(axis=1, keepdims=True) > 1)),
        heat=np.broadcast_to(forces.values("overheat", plan.gpus), shape),
        brake=forces.values("power_brake", plan.gpus),
        noise=chance.normal(*shape),
        rates=faults,
    )


def _leaks(plan: Plan, forces: Forces, time: float) -> Floats:
    """Return the bytes that leaks would have taken of each GPU by now."""
    leaks = np.zeros(len(plan.gpus))
    for fault in forces.of("gpu_memory_leak"):
        grown = (time - fault.since) * fault.value * 1e9 / _HOUR
        leaks += grown * np.array([fault.befalls(gpu) for gpu in plan.gpus])
    return leaks


def on_driver(
    plan: Plan, before: Forces, forces: Forces, span: tuple[float, float]
) -> Iterator[Xid]:
    """Give the errors that the driver reports between two moments, and of which GPU.

    Args:
        plan: What the servers have.
        before: What the scenario did at the first moment.
        forces: What it does at the second one.
        span: Both moments, Unix time.
    """
    begin, end = span
    known = {_begun(fault) for fault in before.faults}
    for fault in forces.faults:
        xid = round(fault.value) if fault.fault == _XID else _XIDS.get(fault.fault)
        if xid is None:
            continue
        _, _, since = begun = _begun(fault)
        last = since + (end - since) // _XID_SECONDS * _XID_SECONDS
        if begun not in known:
            time = min(max(since, begin), end)
        elif fault.fault == _XID and last > begin:
            time = last
        else:
            continue
        for index, gpu in enumerate(plan.gpus):
            if fault.befalls(gpu):
                yield Xid(index, xid, time)


def _begun(fault: Fault) -> tuple[str, str, float]:
    """Return what tells a fault from others, at every moment of it the same.

    When it began is worked out anew for each moment, to a fraction of a microsecond.
    """
    return fault.fault, fault.target, round(fault.since, 1)


def on_host(
    crew: Containers, tokens: Floats, plan: Plan, forces: Forces, moment: Moment, chance: Chance
) -> host.Strain:
    """Return what the containers and the scenario do to the machine."""
    disks = plan.frame.mountpoints

    def of_disks(kind: str) -> Floats:
        return forces.values(kind, disks)

    servers = len(crew.cores)
    return host.Strain(
        seconds=moment.seconds,
        cores=crew.cores.sum(axis=1, keepdims=True),
        others=max(forces.cpu_load, forces.most("cpu_busy")),
        iowait=forces.most("io_wait"),
        memory=crew.memory.sum(axis=1, keepdims=True),
        others_memory=forces.most("memory_busy"),
        memory_stalled=forces.most("memory_stalled"),
        shared=forces.most("shm_busy"),
        kills=forces.most("oom_kill") / _HOUR,
        fill=of_disks("disk_fill") * 1e9 / _HOUR,
        used=of_disks("disk_used"),
        inodes=of_disks("inodes_used"),
        readonly=forces.flags("disk_readonly", disks),
        offset=sum(fault.value for fault in forces.of("clock_skew")),
        traffic=2e4 + tokens.sum(axis=1, keepdims=True) * 60.0,
        broken=forces.most("network_errors"),
        noise=chance.normal(2, servers, 1),
    )
