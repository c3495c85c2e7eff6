"""The GPUs: activity comes from tokens, power from activity, energy from power, heat from both."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.world.state import Floats, Grown, Smooth

SLOWDOWN = 87.0
_DEGREES_A_WATT = 0.058
_WARMING_SECONDS = 40.0
# A GPU that is too warm gives up this much of its clock for each degree, and so much at most.
_SLOWER_A_DEGREE = 0.06
_SLOWEST = 0.35


@dataclass(frozen=True, slots=True)
class Seats:
    """Which model runs on which GPU, and what is the same for all GPUs.

    Attributes:
        shares: By model and GPU: 1 where it runs.
        weights: Bytes that each model takes of each of its GPUs when it is loaded.
        offsets: Degrees Celsius by which a GPU is warmer than others because of its place.
        idle: Watts at rest.
        limit: Watts at most.
        memory: Bytes of each GPU.
        inlet: Temperature of the air that comes in.
    """

    shares: Floats
    weights: Floats
    offsets: Floats
    idle: float
    limit: float
    memory: float
    inlet: float

    @classmethod
    def of(cls, fleet: Fleet) -> "Seats":
        """Return the seats of `fleet`."""
        shares = np.zeros((len(fleet.models), fleet.gpu.count))
        for row, model in zip(shares, fleet.models, strict=True):
            row[list(model.gpus)] = 1.0
        # Several models on one GPU share what vLLM may take of it.
        taken = 0.9 * fleet.gpu.memory * 1e9 * shares / np.maximum(shares.sum(axis=0), 1.0)
        return cls(
            shares=shares,
            weights=taken,
            offsets=np.linspace(0.0, 7.0, fleet.gpu.count),
            idle=fleet.gpu.idle,
            limit=fleet.gpu.limit,
            memory=fleet.gpu.memory * 1e9,
            inlet=fleet.host.inlet,
        )


@dataclass(slots=True)
class Gpus:
    """What the GPUs are and have done, by server and GPU.

    Attributes:
        activity: The share of the time in which their units computed.
        used: The share of the time in which any kernel ran.
        watts: What they drew in the last step, on average.
        joules: What they have drawn.
        celsius: Their temperature.
        clock: The share of their highest clock that they run at.
        throttled: The share of the last step in which heat held them down.
        throttled_seconds: How long heat has held them down.
        braked_seconds: How long the power supply has held them down.
        capped_seconds: How long their power limit has held them down.
        memory: Bytes that models hold.
        leaked: Bytes that another container holds.
        corrected: Memory errors that were corrected.
        uncorrected: Memory errors that were not.
        nvlink_bytes: Bytes sent over NVLink.
        nvlink_errors: What NVLink had to repeat.
        replays: What PCIe had to repeat.
    """

    activity: Smooth
    used: Smooth
    watts: Smooth
    joules: Grown
    celsius: Smooth
    clock: Smooth
    throttled: Smooth
    throttled_seconds: Grown
    braked_seconds: Grown
    capped_seconds: Grown
    memory: Smooth
    leaked: Smooth
    corrected: Grown
    uncorrected: Grown
    nvlink_bytes: Grown
    nvlink_errors: Grown
    replays: Grown

    @classmethod
    def start(cls, servers: int, seats: Seats) -> "Gpus":
        """Return GPUs that have just been switched on."""
        shape = servers, len(seats.offsets)
        made: dict[str, Any] = {name: np.zeros(shape) for name in cls.__slots__}
        made["watts"] += seats.idle
        made["celsius"] += seats.inlet + seats.idle * _DEGREES_A_WATT + seats.offsets
        made["clock"] += 1.0
        return cls(**made)


@dataclass(slots=True)
class Strain:
    """What a step does to the GPUs.

    Attributes:
        seconds: How long it is.
        present: By server and GPU: 1 where it is there, 0 where it is lost.
        activity: The share of the time in which units compute, as models ask for it.
        used: The share of the time in which kernels run.
        loaded: Bytes that models hold.
        leaked: Bytes that another container holds.
        tokens: Tokens a second of models on several GPUs, by server and GPU.
        heat: Degrees Celsius by which cooling is worse.
        brake: The share of the time in which the power supply slows it down.
        noise: Normal numbers.
        rates: Errors a second by field of Gpus.
    """

    seconds: float
    present: Floats
    activity: Floats
    used: Floats
    loaded: Floats
    leaked: Floats
    tokens: Floats
    heat: Floats
    brake: Floats
    noise: Floats
    rates: dict[str, Floats]


class Xid(NamedTuple):
    """An error that the driver reports.

    Attributes:
        gpu: The GPU's index.
        xid: Its number.
        time: When, Unix time.
    """

    gpu: int
    xid: int
    time: float


# By GPU and XID, how often it came and when it came last.
Xids = Mapping[tuple[int, int], tuple[int, float]]


def counted(before: Xids, new: Iterable[Xid]) -> Xids:
    """Return what has been reported after `new` has been as well."""
    after = dict(before)
    for gpu, xid, time in new:
        count, last = after.get((gpu, xid), (0, time))
        after[gpu, xid] = count + 1, max(last, time)
    return after


def step(before: Gpus, seats: Seats, strain: Strain) -> Gpus:
    """Return the GPUs after a step."""
    activity = strain.activity * strain.present
    wanted = seats.idle + (seats.limit * 1.04 - seats.idle) * activity * before.clock
    wanted = wanted * (1 + 0.01 * strain.noise)
    watts = np.minimum(wanted, seats.limit) * strain.present
    room = seats.inlet + seats.offsets + strain.heat
    target = room + watts * _DEGREES_A_WATT
    keep = math.exp(-strain.seconds / _WARMING_SECONDS)
    celsius = target + (before.celsius - target) * keep
    over = np.clip((celsius - SLOWDOWN) * _SLOWER_A_DEGREE, 0.0, 1.0 - _SLOWEST)
    clock = (1.0 - over) * (1.0 - 0.5 * strain.brake)
    throttled = np.clip(over * 4, 0.0, 1.0)
    seconds = strain.seconds * strain.present
    moved = {name: getattr(before, name) + rate * seconds for name, rate in strain.rates.items()}
    return Gpus(
        activity=activity,
        used=strain.used * strain.present,
        watts=watts,
        joules=before.joules + watts * strain.seconds,
        celsius=celsius,
        clock=clock,
        throttled=throttled,
        throttled_seconds=before.throttled_seconds + throttled * seconds,
        braked_seconds=before.braked_seconds + strain.brake * seconds,
        capped_seconds=before.capped_seconds + (wanted > seats.limit) * seconds,
        memory=strain.loaded * strain.present,
        leaked=strain.leaked * strain.present,
        nvlink_bytes=before.nvlink_bytes + strain.tokens * 1.3e6 * seconds,
        **moved,
    )
