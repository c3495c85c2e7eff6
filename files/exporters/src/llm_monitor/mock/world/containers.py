"""The containers: which of them run, since when, how they ended, and what they use."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from llm_monitor.mock.fleet.layout import Embedder, Fleet, Model
from llm_monitor.mock.world.state import Counted, Counts, Flags, Floats, Grown, Smooth, anew

# Tokens and text are sent as JSON, with names around them.
_BYTES_A_TOKEN = 30.0
_KILLED = 137
# What the engine's and a user's signals let a container end with: SIGINT, SIGKILL and SIGTERM.
_SIGNALS = np.array([130, _KILLED, 143])
_EVENTS = ("restarts", "deaths", "kills", "stops", "turns", "refusals", "silences")
# What is read when a container starts, and written to the log for a request.
_PROGRAM = 300 << 20
_LOG_BYTES = 400


@dataclass(frozen=True, slots=True)
class Crew:
    """The containers: first those of vLLM's models, then the embedders', then all others.

    Attributes:
        names: Their names.
        images: Their images.
        models: How many serve vLLM's models.
        cores: CPU cores that each keeps busy at rest.
        busy: CPU seconds of a request through LiteLLM.
        memory: Bytes at rest.
        memory_limit: Bytes that it may use, 0 for no limit.
        cpu_limit: Cores that it may use, 0 for no limit.
        checked: Whether it has a health check.
        loading: Seconds until it is healthy after its start.
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    models: int
    cores: Floats
    busy: Floats
    memory: Floats
    memory_limit: Floats
    cpu_limit: Floats
    checked: Flags
    loading: Floats

    @classmethod
    def of(cls, fleet: Fleet, loading: Floats) -> "Crew":
        """Return the containers of `fleet`, whose models take so many seconds to load."""
        models, embedders, others = fleet.models, fleet.embedders, fleet.containers
        serving: list[Model | Embedder] = [*models, *embedders]
        limits = [(0.0, 0.0)] * len(models) + [(16e9, 32.0)] * len(embedders)
        limits += [(one.memory_limit * 1e9, one.cpu_limit) for one in others]
        rest = [1.05 * len(one.gpus) for one in models] + [0.05] * len(embedders)
        memory = [9e9 + 3e9 * len(one.gpus) for one in models] + [2.2e9] * len(embedders)
        return cls(
            names=tuple([one.container for one in serving] + [one.name for one in others]),
            images=tuple(one.image for one in (*serving, *others)),
            models=len(models),
            cores=np.array(rest + [one.cores for one in others]),
            busy=np.array([0.06] * len(models) + [0.4] * len(embedders) + [c.busy for c in others]),
            memory=np.array(memory + [one.memory * 1e9 for one in others]),
            memory_limit=np.array([memory for memory, _ in limits]),
            cpu_limit=np.array([cores for _, cores in limits]),
            checked=np.array([True] * len(serving) + [one.health for one in others]),
            loading=np.concatenate([loading, np.full(len(embedders) + len(others), 8.0)]),
        )


@dataclass(slots=True)
class Containers:
    """What the containers are and have used, by server and container.

    Attributes:
        running: Whether it runs.
        healthy: Whether it runs, has come up and its health check does not fail.
        failing: Whether it runs, has come up and its health check fails.
        started: When it was last started, Unix time.
        finished: When it last ended, Unix time; 0 for never.
        exit_code: Of its last run; -1 for never.
        killed: Whether its last run ended for want of memory.
        restarts: How often the engine has restarted it.
        deaths: How often it has ended.
        kills: How often it has been killed for memory.
        stops: How often someone has ended it by a signal.
        turns: How often its health check has come to another result.
        refusals: Steps at whose end it ran but had not come up.
        silences: Steps at whose end it had come up but did not answer.
        cores: Cores that it kept busy in the last step.
        user: CPU seconds in user mode.
        system: CPU seconds in the kernel.
        periods: Periods of its CPU limit.
        throttled: Periods in which the limit was reached.
        memory: Bytes in use, without page cache.
        cache: Bytes of page cache.
        received: Bytes received.
        sent: Bytes sent.
        read: Bytes read from disk.
        written: Bytes written to disk.
    """

    running: Flags
    healthy: Flags
    failing: Flags
    started: Floats
    finished: Floats
    exit_code: Counts
    killed: Flags
    restarts: Counts
    deaths: Counts
    kills: Counts
    stops: Counts
    turns: Counts
    refusals: Counts
    silences: Counts
    cores: Smooth
    user: Grown
    system: Grown
    periods: Counted
    throttled: Counted
    memory: Smooth
    cache: Smooth
    received: Counted
    sent: Counted
    read: Counted
    written: Counted

    @classmethod
    def start(cls, servers: int, crew: Crew, time: float) -> "Containers":
        """Return containers that were started a while before `time`, one after the other."""
        shape = servers, len(crew.names)
        made: dict[str, Any] = {name: np.zeros(shape) for name in cls.__slots__}
        for name in (*_EVENTS, "periods", "throttled", "received", "sent", "read", "written"):
            made[name] = np.zeros(shape, np.int64)
        made["running"] = made["healthy"] = np.ones(shape, np.bool_)
        made["killed"] = made["failing"] = np.zeros(shape, np.bool_)
        made["exit_code"] = np.full(shape, -1, np.int64)
        made["started"] = _first_starts(shape, time)
        made["memory"] = made["memory"] + crew.memory
        made["cache"] = made["cache"] + crew.memory * 0.2
        return cls(**made)

    def booted(self, time: float) -> "Containers":
        """Return the same, but started a while before `time`, with nothing done since."""
        return replace(anew(self), started=_first_starts(self.started.shape, time))


@dataclass(slots=True)
class Strain:
    """What befalls the containers in a step, by server and container where not said otherwise.

    Attributes:
        time: The end of the step, Unix time.
        stopped: Whether it is to stay down.
        exit_code: With what it ends if it is.
        run: Seconds after which it crashes; 0 for never.
        kills: How often it is killed for memory in the step, as a mean.
        sick: Whether its health check fails.
        silent: Whether it does not answer although it runs.
        chance: Numbers from 0 to 1.
    """

    time: float
    stopped: Flags
    exit_code: Floats
    run: Floats
    kills: Floats
    sick: Flags
    silent: Flags
    chance: Floats


@dataclass(slots=True)
class Work:
    """What the containers do in a step, by server and container.

    Attributes:
        seconds: How long the step is.
        requests: Requests a second that it works on.
        tokens: Tokens a second that it moves.
        held: The share of the time in which its CPU limit holds it down.
    """

    seconds: float
    requests: Floats
    tokens: Floats
    held: Floats


def _first_starts(shape: tuple[int, ...], time: float) -> Floats:
    return np.zeros(shape) + time - 900.0 + 2.0 * np.arange(shape[1])


def live(before: Containers, crew: Crew, strain: Strain) -> Containers:
    """Return the containers after what befell them; what they use is as before."""
    crashed = before.running & (strain.run > 0) & (strain.time - before.started >= strain.run)
    killed = before.running & (strain.chance < strain.kills)
    stopped = before.running & strain.stopped
    ended = crashed | killed | stopped
    running = np.broadcast_to(~strain.stopped, ended.shape)
    again = running & ended
    begun = again | (running & ~before.running)
    started = np.where(begun, strain.time, before.started)
    loading = strain.time - started < crew.loading
    code = np.where(killed, _KILLED, np.where(stopped, strain.exit_code, 1)).astype(np.int64)
    up = running & ~loading
    healthy, failing = up & ~strain.sick, up & strain.sick
    turned = healthy & ~before.healthy | failing & ~before.failing
    return replace(
        before,
        running=running,
        healthy=healthy,
        failing=failing,
        started=started,
        finished=np.where(ended, strain.time, before.finished),
        exit_code=np.where(ended, code, before.exit_code),
        killed=np.where(ended, killed, before.killed),
        # Only the engine's own restarts count: one that was down has been started by someone.
        restarts=before.restarts + again,
        deaths=before.deaths + ended,
        kills=before.kills + killed,
        stops=before.stops + (stopped & ~killed & (code[..., None] == _SIGNALS).any(axis=-1)),
        turns=before.turns + (turned & crew.checked),
        refusals=before.refusals + (running & loading),
        silences=before.silences + (up & strain.silent),
    )


def use(after: Containers, crew: Crew, work: Work, begun: Flags) -> Containers:
    """Return the containers after their work of a step.

    What a control group counts begins anew where the container has `begun`.
    """
    seconds = work.seconds * after.running
    cores = crew.cores + crew.busy * work.requests
    limit = np.where(crew.cpu_limit > 0, crew.cpu_limit, np.inf)
    held = np.where(crew.cpu_limit > 0, work.held, 0.0)
    cores = np.where(held > 0, crew.cpu_limit * 0.98, np.minimum(cores, limit))
    moved = work.tokens * _BYTES_A_TOKEN * seconds
    periods = 10 * seconds * (crew.cpu_limit > 0)
    kept = ~begun
    return replace(
        after,
        cores=cores * after.running,
        user=after.user * kept + 0.82 * cores * seconds,
        system=after.system * kept + 0.18 * cores * seconds,
        periods=after.periods * kept + periods.astype(np.int64),
        throttled=after.throttled * kept + (periods * held).astype(np.int64),
        memory=crew.memory * after.running * (1 + 0.002 * np.sqrt(work.requests)),
        cache=crew.memory * 0.2 * after.running,
        received=after.received * kept + moved.astype(np.int64),
        sent=after.sent * kept + (moved * 0.8).astype(np.int64),
        read=after.read * kept + begun * _PROGRAM,
        written=after.written * kept + (work.requests * _LOG_BYTES * seconds).astype(np.int64),
    )
