"""The machine: CPUs, memory, disks, network and what the kernel counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.world.state import Counted, Flags, Floats, Grown, Smooth

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
RESOURCES = ("cpu", "io", "memory")
_USER, _NICE, _SYSTEM, _IDLE, _IOWAIT, _IRQ, _SOFTIRQ, _STEAL = range(len(MODES))
_CPU, _IO, _MEMORY = range(len(RESOURCES))
_PACKET = 1100.0


@dataclass(frozen=True, slots=True)
class Frame:
    """What the machine has.

    Attributes:
        cpus: Its logical CPUs.
        memory: Its memory in bytes.
        mountpoints: Where its file systems are mounted.
        sizes: Their sizes in bytes.
        files: How many files each can hold.
        growth: Bytes a second that are added to each.
    """

    cpus: int
    memory: float
    mountpoints: tuple[str, ...]
    sizes: Floats
    files: Floats
    growth: Floats
    used: Floats

    @classmethod
    def of(cls, fleet: Fleet) -> "Frame":
        """Return the frame of `fleet`."""
        return cls(
            cpus=fleet.host.cpus,
            memory=fleet.host.memory * 1e9,
            mountpoints=tuple(one.mountpoint for one in fleet.disks),
            sizes=np.array([one.size * 1e9 for one in fleet.disks]),
            files=np.array([float(one.files) for one in fleet.disks]),
            growth=np.array([one.growth for one in fleet.disks]),
            used=np.array([one.used for one in fleet.disks]),
        )


@dataclass(slots=True)
class Host:
    """What the machine is and has done, by server (and mode, resource or file system).

    Attributes:
        modes: CPU seconds by mode.
        load: Load averages over 1, 5 and 15 minutes.
        taken: Bytes of memory that are not available.
        shared: Bytes of shared memory (`/dev/shm`) in use.
        kills: Processes that the kernel killed for memory.
        filled: Bytes in use of each file system.
        read: Bytes read from each device.
        written: Bytes written to each device.
        io_seconds: Time in which each device worked.
        received: Bytes that came in.
        sent: Bytes that went out.
        broken: Packets that came in broken.
        waiting: Seconds in which some work waited for a resource.
        stalled: Seconds in which all work waited for it.
        switches: Context switches.
        interrupts: Interrupts.
        readonly: Whether a file system can't be written to.
        inodes: The share of its files that are taken.
        offset: Seconds that the clock is off by.
    """

    modes: Grown
    load: Smooth
    taken: Smooth
    shared: Smooth
    kills: Grown
    filled: Smooth
    read: Counted
    written: Counted
    io_seconds: Grown
    received: Counted
    sent: Counted
    broken: Counted
    waiting: Grown
    stalled: Grown
    switches: Counted
    interrupts: Counted
    readonly: Flags
    inodes: Smooth
    offset: Smooth

    @classmethod
    def start(cls, servers: int, frame: Frame) -> "Host":
        """Return a machine that has just booted."""
        one, disks = (servers, 1), (servers, len(frame.mountpoints))
        made: dict[str, Any] = {name: np.zeros(one) for name in cls.__slots__}
        for name in ("received", "sent", "broken", "switches", "interrupts"):
            made[name] = np.zeros(one, np.int64)
        for name in ("read", "written"):
            made[name] = np.zeros(disks, np.int64)
        made["modes"] = np.zeros((servers, len(MODES)))
        made["load"] = np.full((servers, 3), 2.0)
        made["waiting"] = np.zeros((servers, len(RESOURCES)))
        made["stalled"] = np.zeros((servers, len(RESOURCES)))
        made["filled"] = np.zeros(disks) + frame.used * frame.sizes
        made["io_seconds"] = np.zeros(disks)
        made["readonly"] = np.zeros(disks, np.bool_)
        made["inodes"] = np.zeros(disks) + 0.03
        return cls(**made)


@dataclass(slots=True)
class Strain:
    """What a step does to the machine, by server (and file system).

    Attributes:
        seconds: How long it is.
        cores: Cores that its containers keep busy.
        others: The share of its CPUs that something else keeps busy.
        iowait: The share of its CPUs that waits for disks.
        memory: Bytes that its containers take.
        others_memory: The share of its memory that something else takes.
        memory_stalled: The share of the time in which all work waits for memory.
        shared: The share of its shared memory in use.
        kills: Processes killed for memory in a second.
        fill: Bytes a second that something else adds to each file system, on all servers alike.
        used: The share of each file system that is in use at least, likewise.
        inodes: The share of its files that are taken at least, likewise.
        readonly: Whether it can't be written to, likewise.
        offset: Seconds that the clock is off by.
        traffic: Bytes a second in and out.
        broken: The share of packets that come in broken.
        noise: Normal numbers: two for each server.
    """

    seconds: float
    cores: Floats
    others: float
    iowait: float
    memory: Floats
    others_memory: float
    memory_stalled: float
    shared: float
    kills: float
    fill: Floats
    used: Floats
    inodes: Floats
    readonly: Flags
    offset: float
    traffic: Floats
    broken: float
    noise: Floats


def step(before: Host, frame: Frame, strain: Strain) -> Host:
    """Return the machine after a step."""
    seconds = strain.seconds
    shares = _shares(frame, strain)
    busy = 1 - shares[:, _IDLE : _IDLE + 1]
    written = strain.traffic * 0.02 + frame.growth + strain.fill
    # /dev/shm may take half of the memory.
    shared = np.full_like(strain.memory, 6e9 + strain.shared * frame.memory / 2)
    tasks = busy * frame.cpus
    keep = np.exp(-seconds / np.array([60.0, 300.0, 900.0]))
    packets = strain.traffic * seconds / _PACKET
    moved = (strain.traffic * seconds).astype(np.int64)
    waits = np.concatenate([busy**4, shares[:, _IOWAIT : _IOWAIT + 1] * 1.5, busy * 0], axis=1)
    stalls = np.zeros_like(waits)
    waits[:, _MEMORY] += min(1.0, strain.memory_stalled * 1.5)
    stalls[:, _MEMORY] += strain.memory_stalled
    stalls[:, _IO] += waits[:, _IO] * 0.6
    least = np.maximum(strain.used * frame.sizes, 0.0)
    return Host(
        modes=before.modes + shares * frame.cpus * seconds,
        load=tasks + (before.load - tasks) * keep,
        taken=np.minimum(
            0.99 * frame.memory,
            strain.memory + 14e9 + shared + strain.others_memory * frame.memory,
        ),
        shared=shared,
        kills=before.kills + strain.kills * seconds,
        filled=np.minimum(
            frame.sizes * 0.999, np.maximum(before.filled + _added(frame, strain), least)
        ),
        read=before.read + (written * 0.3 * seconds).astype(np.int64),
        written=before.written + (written * seconds).astype(np.int64),
        io_seconds=before.io_seconds
        + np.minimum(1.0, 0.004 + written / 2e9 + strain.iowait * 2) * seconds,
        received=before.received + moved,
        sent=before.sent + moved,
        broken=before.broken + np.rint(packets * strain.broken).astype(np.int64),
        waiting=before.waiting + np.minimum(waits, 1.0) * seconds,
        stalled=before.stalled + np.minimum(stalls, 1.0) * seconds,
        switches=before.switches + ((9e3 + 2.2e3 * tasks) * seconds).astype(np.int64),
        interrupts=before.interrupts + ((6e3 + 1.5e3 * tasks) * seconds).astype(np.int64),
        readonly=np.broadcast_to(strain.readonly, before.readonly.shape),
        inodes=np.broadcast_to(np.maximum(0.03, strain.inodes), before.inodes.shape),
        offset=strain.offset + 2e-4 * strain.noise[1],
    )


def _shares(frame: Frame, strain: Strain) -> Floats:
    """Return the share of all CPU time by server and mode."""
    containers = strain.cores / frame.cpus
    base = 0.006 * np.exp(0.2 * strain.noise[0])
    wait = min(0.99, 0.0008 + strain.iowait)
    work = np.minimum(containers + strain.others + base, 0.995 - wait)
    shares = np.zeros((len(work), len(MODES)))
    for mode, share in (
        (_USER, 0.83 * work),
        (_SYSTEM, 0.15 * work),
        (_SOFTIRQ, 0.02 * work),
        (_IOWAIT, np.full_like(work, wait)),
        (_IDLE, 1 - work - wait),
    ):
        shares[:, mode] = share[:, 0]
    return shares


def _added(frame: Frame, strain: Strain) -> Floats:
    """Return the bytes that a step adds to each file system."""
    return (frame.growth + strain.fill) * strain.seconds * ~strain.readonly
