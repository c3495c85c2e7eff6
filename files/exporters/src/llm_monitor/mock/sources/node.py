"""The machine that a simulated server is."""

import re
from typing import Any

from numpy.typing import NDArray

from llm_monitor.base.errors import SourceMissingError
from llm_monitor.mock.view import View
from llm_monitor.mock.world.host import MODES, RESOURCES, Host
from llm_monitor.node.facts import (
    Clock,
    Disk,
    Mount,
    Network,
    NumaNode,
    Pressure,
    Stat,
    System,
    Temperature,
    Traffic,
    Usage,
)

_SYSTEM = System("6.8.0-79-generic", "Ubuntu 24.04.3 LTS", "x86_64")
_SHM = "/dev/shm"
_SHM_MOUNT = Mount("0:26", "/", _SHM, "tmpfs", readonly=False)
# Block devices whose numbers the kernel gives out as it likes (NVMe).
_MAJOR = 259
_PAGE = 4096
_SWAP = 8 << 30
_SLAB = 0.012
# Of the memory that is available, how much holds what was read from disks.
_FILES_CACHED, _BUFFERS = 0.55, 0.004
_SOCKETS = 2
_PACKET_BYTES = 1100
_BLOCK_BYTES = 64 << 10
_READ_SECONDS, _WRITE_SECONDS = 0.0002, 0.0006
_BITS = 8
# What the host runs besides its containers, and what each of these brings along.
_SLEEPING, _SLEEPING_A_CONTAINER = 610, 14
_KERNEL_THREADS, _KERNEL_THREADS_A_CPU = 180, 9
_FILES, _FILES_A_CONTAINER = 5200, 380
# Degrees Celsius above the air that comes in, at rest, and how many more under full load.
_PACKAGE, _PACKAGE_BUSY = 17.0, 42.0
_DRIVE = 14.0
_PARTITION = re.compile(r"((?:nvme\d+n|mmcblk)\d+)p\d+|((?:[hsv]|xv)d[a-z]+)\d+")


class SimulatedHost:
    """A simulated machine."""

    def __init__(self, view: View) -> None:
        """Answer what `view` shows."""
        self._view = view
        self._plan = view.plan
        self._disks = view.plan.fleet.disks
        self._cpus = [str(cpu) for cpu in range(view.plan.frame.cpus)]

    def stat(self) -> Stat:
        """Return what the kernel counts since boot; the work is spread evenly over all CPUs."""
        host = self._host()
        seconds = self._row(host.modes)
        count = len(self._cpus)
        core = {mode: round(value / count, 2) for mode, value in zip(MODES, seconds, strict=True)}
        return Stat(
            modes={mode: round(value, 2) for mode, value in zip(MODES, seconds, strict=True)},
            cores=dict.fromkeys(self._cpus, core),
            boot_time=int(self._view.boot),
            context_switches=self._one(host.switches),
            interrupts=self._one(host.interrupts),
        )

    def load(self) -> tuple[float, float, float]:
        """Return the load averages over one, five and fifteen minutes."""
        one, five, fifteen = (round(value, 2) for value in self._row(self._host().load))
        return one, five, fifteen

    def memory(self) -> dict[str, int]:
        """Return the memory in bytes; what is available is free or holds what disks had."""
        host = self._host()
        total, shared = int(self._plan.frame.memory), int(self._one(host.shared))
        available = total - int(self._one(host.taken))
        cached, buffers = int(_FILES_CACHED * available), int(_BUFFERS * available)
        return {
            "MemTotal": total,
            "MemFree": available - cached - buffers,
            "MemAvailable": available,
            "Buffers": buffers,
            # The kernel counts shared memory as cached though it can't be freed.
            "Cached": cached + shared,
            "Slab": int(_SLAB * total),
            "SwapTotal": _SWAP,
            "SwapFree": _SWAP,
        }

    def oom_kills(self) -> int:
        """Return how many processes were killed for memory, those in containers among them."""
        state, row = self._view.asked("node"), self._view.row
        return int(self._one(state.host.kills)) + int(state.containers.kills[row].sum())

    def numa(self) -> list[NumaNode]:
        """Return the memory of each socket's node, of which each has the same."""
        memory = self.memory()
        total, free = memory["MemTotal"] // _SOCKETS, memory["MemFree"] // _SOCKETS
        return [NumaNode(str(node), total, free) for node in range(_SOCKETS)]

    def mounts(self) -> list[Mount]:
        """Return the mounts of the fleet's disks, and shared memory."""
        readonly = self._row(self._host().readonly)
        disks = zip(self._disks, readonly, strict=True)
        return [_SHM_MOUNT] + [
            Mount(f"{_MAJOR}:{number}", "/", disk.mountpoint, disk.fstype, bool(locked))
            for number, (disk, locked) in enumerate(disks)
        ]

    def usage(self, mountpoint: str) -> Usage:
        """Return how full the file system at `mountpoint` is."""
        host, frame = self._host(), self._plan.frame
        if mountpoint == _SHM:
            # It may take half of the memory, and as many files as half of the memory has pages.
            most = frame.memory / 2
            free, pages = _pages(max(0.0, most - self._one(host.shared))), int(most) // _PAGE
            return Usage(_pages(most), free, free, pages, pages)
        if mountpoint not in frame.mountpoints:
            message = f"{mountpoint} is not there"
            raise SourceMissingError(message)
        place = frame.mountpoints.index(mountpoint)
        size, files = float(frame.sizes[place]), int(frame.files[place])
        free = _pages(size - self._row(host.filled)[place])
        taken = int(files * self._row(host.inodes)[place])
        return Usage(_pages(size), free, free, files, files - taken)

    def disks(self) -> list[Disk]:
        """Return the block devices; what partitions did, their disks did as well."""
        host = self._host()
        counts = zip(
            self._row(host.read), self._row(host.written), self._row(host.io_seconds), strict=True
        )
        found: dict[str, tuple[int, int, float]] = {}
        for disk, (read, written, busy) in zip(self._disks, counts, strict=True):
            if disk.fstype == "tmpfs":
                continue
            # The order in which the kernel lists them.
            for device in dict.fromkeys((_whole(disk.device), disk.device)):
                before = found.get(device, (0, 0, 0.0))
                found[device] = before[0] + read, before[1] + written, max(before[2], busy)
        return [_disk(device, *counted) for device, counted in found.items()]

    def networks(self, exclude: re.Pattern[str]) -> list[Network]:
        """Return the network devices but those whose name matches `exclude`."""
        host, speed = self._host(), self._plan.fleet.host.network / _BITS
        received, sent = self._one(host.received), self._one(host.sent)
        outside = _traffic(received, self._one(host.broken)), _traffic(sent)
        # What containers exchange goes over bridges; the host talks to itself a little.
        inside = _traffic(sent // 50)
        devices = [
            Network("lo", inside, inside, up=True, speed=None),
            Network("eth0", *outside, up=True, speed=speed),
        ]
        return [one for one in devices if not exclude.search(one.device)]

    def pressure(self) -> dict[str, Pressure]:
        """Return the seconds of pressure by resource."""
        host = self._host()
        seconds = zip(self._row(host.waiting), self._row(host.stalled), strict=True)
        return {
            resource: Pressure(round(waiting, 6), round(stalled, 6))
            for resource, (waiting, stalled) in zip(RESOURCES, seconds, strict=True)
        }

    def processes(self) -> dict[str, int]:
        """Return the number of processes by state."""
        state, cpus = self._view.asked("node"), len(self._cpus)
        waiting = round(state.forces.most("io_wait") * cpus)
        return {
            "running": max(1, min(cpus, round(self._row(state.host.load)[0]))),
            "sleeping": _SLEEPING + _SLEEPING_A_CONTAINER * self._containers(),
            "uninterruptible": waiting,
            "stopped": 0,
            "zombie": 0,
            "idle": _KERNEL_THREADS + _KERNEL_THREADS_A_CPU * cpus,
        }

    def open_files(self) -> int:
        """Return the number of open file handles: each request is a socket on both sides."""
        state = self._view.asked("node")
        requests = int(state.serving.running[self._view.row].sum())
        return _FILES + _FILES_A_CONTAINER * self._containers() + 2 * requests

    def temperatures(self) -> list[Temperature]:
        """Return what the sensors of processors and drives read."""
        busy = min(1.0, self._row(self._host().load)[0] / len(self._cpus))
        inlet = self._plan.fleet.host.inlet
        package = round(inlet + _PACKAGE + _PACKAGE_BUSY * busy)
        sockets = [
            Temperature(f"coretemp coretemp.{one}", f"Package id {one}", package + one)
            for one in range(_SOCKETS)
        ]
        names = dict.fromkeys(_whole(one.device) for one in self._disks if one.fstype != "tmpfs")
        drives = [
            Temperature(f"nvme nvme{number}", "Composite", round(inlet + _DRIVE + number, 2))
            for number in range(len(names))
        ]
        return sockets + drives

    def clock(self) -> Clock:
        """Return the simulation's time, and by how much the machine's clock is off."""
        offset = float(self._one(self._host().offset))
        return Clock(self._view.time(), synchronized=True, offset=offset)

    def system(self) -> System:
        """Return what runs on it."""
        self._host()
        return _SYSTEM

    def _host(self) -> Host:
        return self._view.asked("node").host

    def _containers(self) -> int:
        """Return how many containers run."""
        return int(self._view.asked("node").containers.running[self._view.row].sum())

    def _row(self, values: NDArray[Any]) -> list[Any]:
        """Return this server's values in plain numbers."""
        row: list[Any] = values[self._view.row].tolist()
        return row

    def _one(self, values: NDArray[Any]) -> Any:
        """Return this server's value where there is one a server."""
        return self._row(values)[0]


def _pages(size: float) -> int:
    """Return a size in whole pages, as file systems count."""
    return int(size) // _PAGE * _PAGE


def _whole(device: str) -> str:
    """Return the disk that a partition is on; a disk itself is returned as it is."""
    match = _PARTITION.fullmatch(device)
    return (match[1] or match[2]) if match else device


def _disk(device: str, read: int, written: int, busy: float) -> Disk:
    """Return a device that read and wrote in blocks of one size."""
    reads, writes = read // _BLOCK_BYTES, written // _BLOCK_BYTES
    return Disk(
        device=device,
        reads=reads,
        read_bytes=read,
        read_time=round(reads * _READ_SECONDS, 3),
        writes=writes,
        written_bytes=written,
        write_time=round(writes * _WRITE_SECONDS, 3),
        io_time=round(busy, 3),
    )


def _traffic(size: int, errors: int = 0) -> Traffic:
    """Return the traffic of so many bytes; packets that came in broken are not among the others."""
    return Traffic(size, size // _PACKET_BYTES, errors, 0)
