"""The only code of the node exporter that touches the host: `/proc`, `/sys` and statvfs."""

import os
import re
from typing import Protocol

from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.base.files import Garbled, list_folder, read_text, source_error
from llm_monitor.node import clock
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
from llm_monitor.node.mounts import parse_mounts
from llm_monitor.node.sensors import Sensors

_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
# The kernel takes a little time back from these (see proc(5)), which Prometheus would take for a
# new start. A CPU that begins anew falls by more.
_TAKEN_BACK = ("idle", "iowait")
_MOST_TAKEN_BACK_SECONDS = 3.0
_SECTOR_BYTES = 512
_MEGABIT_BYTES = 125_000
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "uninterruptible",
    "T": "stopped",
    "t": "stopped",
    "Z": "zombie",
    "I": "idle",
}
_PRESSURE_RESOURCES = ("cpu", "io", "memory", "irq")
# What every kernel since 3.14 gives, and lxcfs too; without it nobody can say how full memory is.
_MEMORY_ALWAYS = ("MemTotal", "MemFree", "MemAvailable")
_NETWORK_HEADER = re.compile(r"Inter-\|.*\n *face \|bytes ")
_RELEASE = re.compile(r"\d+\.\d+[!-~]*")


class NodeSource(Protocol):
    """What the collectors ask of a host; a simulated host answers the same.

    Every method raises SourceMissingError for what the host does not have or show, and SourceError
    for an answer that can't be understood.
    """

    def stat(self) -> Stat:
        """Return what the kernel counts since boot."""
        ...

    def load(self) -> tuple[float, float, float]:
        """Return the load averages over one, five and fifteen minutes."""
        ...

    def memory(self) -> dict[str, int]:
        """Return the host's memory in bytes, by the names of `/proc/meminfo`."""
        ...

    def oom_kills(self) -> int:
        """Return how many processes were killed for memory since boot."""
        ...

    def numa(self) -> list[NumaNode]:
        """Return the memory of each NUMA node."""
        ...

    def mounts(self) -> list[Mount]:
        """Return all mounts of the host, in the order in which they were made."""
        ...

    def usage(self, mountpoint: str) -> Usage:
        """Return how full the file system at `mountpoint` is; this may hang."""
        ...

    def disks(self) -> list[Disk]:
        """Return all block devices, partitions among them."""
        ...

    def networks(self, exclude: re.Pattern[str]) -> list[Network]:
        """Return the network devices but bridges and those whose name matches `exclude`."""
        ...

    def pressure(self) -> dict[str, Pressure]:
        """Return the seconds of pressure by resource."""
        ...

    def processes(self) -> dict[str, int]:
        """Return the number of processes by state."""
        ...

    def open_files(self) -> int:
        """Return the number of open file handles."""
        ...

    def temperatures(self) -> list[Temperature]:
        """Return what the temperature sensors read."""
        ...

    def clock(self) -> Clock:
        """Return the time and how well it is kept."""
        ...

    def system(self) -> System:
        """Return what runs on the host."""
        ...


class HostSource:
    """A real host, whose root is at `root`: `/`, or where a container has it mounted."""

    def __init__(self, root: str) -> None:
        """Read the host whose root file system is seen at `root`."""
        self._root = root.rstrip("/")
        self._proc = f"{self._root}/proc"
        self._sys = f"{self._root}/sys"
        self._sensors = Sensors(f"{self._sys}/class/hwmon")
        self._tick = 1 / os.sysconf("SC_CLK_TCK")
        self._last_modes: dict[str, dict[str, float]] = {}

    def stat(self) -> Stat:
        """Return what `/proc/stat` counts; what the kernel takes back of it is held."""
        path = f"{self._proc}/stat"
        cores = {}
        with Garbled(path):
            cpu, *lines = read_text(path).splitlines()
            rest: dict[str, int] = {}
            for line in lines:
                name, _, values = line.partition(" ")
                if name.startswith("cpu"):
                    cores[name[3:]] = self._modes(name, values)
                else:
                    rest[name] = int(values.partition(" ")[0])
            if not cpu.startswith("cpu "):
                message = "the first line is not that of all CPUs"
                raise ValueError(message)
            modes = self._modes("cpu", cpu[4:], len(cores))
            return Stat(modes, cores, rest["btime"], rest["ctxt"], rest["intr"])

    def load(self) -> tuple[float, float, float]:
        """Return the load averages of `/proc/loadavg`."""
        path = f"{self._proc}/loadavg"
        with Garbled(path):
            one, five, fifteen = read_text(path).split()[:3]
            return float(one), float(five), float(fifteen)

    def memory(self) -> dict[str, int]:
        """Return `/proc/meminfo` in bytes."""
        path = f"{self._proc}/meminfo"
        with Garbled(path):
            memory = _kilobytes(read_text(path))
            if missing := [name for name in _MEMORY_ALWAYS if name not in memory]:
                message = f"it has no {', '.join(missing)}"
                raise ValueError(message)
            return memory

    def oom_kills(self) -> int:
        """Return `oom_kill` of `/proc/vmstat`."""
        path = f"{self._proc}/vmstat"
        with Garbled(path):
            text = read_text(path)
            if not text.startswith("nr_"):
                message = "it does not begin with the numbers of pages"
                raise ValueError(message)
            _, found, rest = text.partition("\noom_kill ")
            if not found:
                message = f"{path} does not count OOM kills"
                raise SourceMissingError(message)
            return int(rest.partition("\n")[0])

    def numa(self) -> list[NumaNode]:
        """Return each node's `meminfo` under `/sys/devices/system/node`."""
        folder = f"{self._sys}/devices/system/node"
        nodes = []
        for name in sorted(list_folder(folder)):
            if re.fullmatch(r"node\d+", name):
                path = f"{folder}/{name}/meminfo"
                with Garbled(path):
                    prefix = f"Node {name[4:]} "
                    memory = _kilobytes(read_text(path).replace(prefix, ""))
                    nodes.append(NumaNode(name[4:], memory["MemTotal"], memory["MemFree"]))
        return nodes

    def mounts(self) -> list[Mount]:
        """Return the mounts of process 1, which are the host's.

        Where process 1 is hidden from this user, those of this process, as the host has them.
        """
        path = f"{self._proc}/1/mountinfo"
        prefix = ""
        try:
            text = read_text(path)
        except SourceMissingError:
            path = f"{self._proc}/self/mountinfo"
            text, prefix = read_text(path), self._root
        with Garbled(path):
            return parse_mounts(text, prefix)

    def usage(self, mountpoint: str) -> Usage:
        """Return what statvfs says of a mount point of the host."""
        try:
            stat = os.statvfs(f"{self._root}{mountpoint}")
        except OSError as error:
            raise source_error(mountpoint, error) from error
        block = stat.f_frsize or stat.f_bsize
        return Usage(
            size=stat.f_blocks * block,
            free=stat.f_bfree * block,
            available=stat.f_bavail * block,
            files=stat.f_files,
            files_free=stat.f_ffree,
        )

    def disks(self) -> list[Disk]:
        """Return the lines of `/proc/diskstats`."""
        path = f"{self._proc}/diskstats"
        with Garbled(path):
            # The kernel writes a line for each block device and no header, so the file is empty on
            # a host that has none, such as a virtual machine whose root is virtiofs or NFS. A line
            # that is no device, a blank one too, is never the kernel's.
            return [_disk(line.split()) for line in read_text(path).splitlines()]

    def networks(self, exclude: re.Pattern[str]) -> list[Network]:
        """Return the lines of process 1's `net/dev`, with state and speed from `/sys`."""
        path = f"{self._proc}/1/net/dev"
        found = []
        with Garbled(path):
            for line in _device_lines(read_text(path)):
                name, _, values = line.rpartition(":")
                device = name.strip()
                folder = f"{self._sys}/class/net/{device}"
                if not exclude.search(device) and not os.path.isdir(f"{folder}/bridge"):
                    counts = [int(value) for value in values.split()]
                    found.append(
                        Network(
                            device,
                            Traffic(*counts[0:4]),
                            Traffic(*counts[8:12]),
                            _is_up(folder),
                            _speed(folder),
                        )
                    )
        return found

    def pressure(self) -> dict[str, Pressure]:
        """Return the totals of `/proc/pressure`."""
        found = {}
        list_folder(f"{self._proc}/pressure")
        for resource in _PRESSURE_RESOURCES:
            path = f"{self._proc}/pressure/{resource}"
            try:
                text = read_text(path)
            except SourceMissingError:
                continue
            with Garbled(path):
                totals = {
                    line.partition(" ")[0]: int(line.rpartition("total=")[2]) / 1e6
                    for line in text.splitlines()
                }
                if not totals.keys() & {"some", "full"}:
                    message = "it has neither `some` nor `full`"
                    raise ValueError(message)
            found[resource] = Pressure(totals.get("some"), totals.get("full"))
        return found

    def processes(self) -> dict[str, int]:
        """Return how many of `/proc/*/stat` are in which state."""
        counts = dict.fromkeys(_STATES.values(), 0)
        proc = self._proc
        for name in list_folder(proc):
            if name.isdigit():
                state = _STATES.get(_process_state(f"{proc}/{name}/stat"))
                if state is not None:
                    counts[state] += 1
        if not any(counts.values()):
            # This process at least is there, unless the host's root is seen without its mounts.
            message = f"{proc}: not as expected: no process whose state can be read"
            raise SourceError(message)
        return counts

    def open_files(self) -> int:
        """Return the first number of `/proc/sys/fs/file-nr`."""
        path = f"{self._proc}/sys/fs/file-nr"
        with Garbled(path):
            return int(read_text(path).split()[0])

    def temperatures(self) -> list[Temperature]:
        """Return what the sensors under `/sys/class/hwmon` read."""
        return self._sensors.read()

    def clock(self) -> Clock:
        """Return the clock that this process shares with the host."""
        return clock.read()

    def system(self) -> System:
        """Return the kernel's release and the name in `os-release`."""
        path = f"{self._proc}/sys/kernel/osrelease"
        with Garbled(path):
            kernel = read_text(path).strip()
            if not _RELEASE.fullmatch(kernel):
                message = f"{kernel!r} is no kernel release"
                raise ValueError(message)
        return System(kernel, self._os_name(), os.uname().machine)

    def _os_name(self) -> str:
        for path in (f"{self._root}/etc/os-release", f"{self._root}/usr/lib/os-release"):
            try:
                lines = read_text(path).splitlines()
            except SourceMissingError:
                continue
            values = dict(line.split("=", 1) for line in lines if "=" in line)
            return values.get("PRETTY_NAME", values.get("ID", "")).strip("\"'")
        return ""

    def _modes(self, cpu: str, values: str, cpus: int = 1) -> dict[str, float]:
        """Return the seconds of a line of `/proc/stat` that counts for so many CPUs."""
        ticks = values.split()
        modes = {mode: int(ticks[place]) * self._tick for place, mode in enumerate(_MODES)}
        if last := self._last_modes.get(cpu):
            for mode in _TAKEN_BACK:
                if 0 < last[mode] - modes[mode] < cpus * _MOST_TAKEN_BACK_SECONDS:
                    modes[mode] = last[mode]
        self._last_modes[cpu] = modes
        return modes


def _kilobytes(text: str) -> dict[str, int]:
    """Return the values of `Name:   12 kB` lines in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0]) * 1024
    return found


def _disk(fields: list[str]) -> Disk:
    """Return a line of diskstats; see Documentation/admin-guide/iostats.rst in the kernel."""
    reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, _, io_ms = (
        int(value) for value in fields[3:13]
    )
    return Disk(
        device=fields[2],
        reads=reads,
        read_bytes=sectors_read * _SECTOR_BYTES,
        read_time=read_ms / 1000,
        writes=writes,
        written_bytes=sectors_written * _SECTOR_BYTES,
        write_time=write_ms / 1000,
        io_time=io_ms / 1000,
    )


def _device_lines(text: str) -> list[str]:
    """Return the lines of `net/dev` below its header."""
    if not _NETWORK_HEADER.match(text):
        message = "it does not begin with the kernel's header"
        raise ValueError(message)
    lines = text.splitlines()[2:]
    if not lines:
        message = "it has no device, not even the loopback, which nobody can remove"
        raise ValueError(message)
    return lines


def _is_up(folder: str) -> bool | None:
    try:
        return read_text(f"{folder}/operstate").strip() in {"up", "unknown"}
    except SourceMissingError:
        return None


def _speed(folder: str) -> float | None:
    """Return a device's speed in bytes per second; None where it has none, as many have not."""
    try:
        handle = os.open(f"{folder}/speed", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        megabits = int(os.read(handle, 32))
    except (OSError, ValueError):
        return None
    finally:
        os.close(handle)
    return float(megabits * _MEGABIT_BYTES) if megabits > 0 else None


def _process_state(path: str) -> str:
    """Return the letter of a process' state; empty when it has ended meanwhile."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        text = os.read(handle, 256)
    except OSError:
        return ""
    finally:
        os.close(handle)
    after = text.rfind(b")") + 2
    return text[after : after + 1].decode("ascii", "replace")
