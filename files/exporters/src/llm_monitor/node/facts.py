"""What a node source returns: plain values in base units."""

from typing import NamedTuple


class Stat(NamedTuple):
    """What the kernel counts since boot.

    Attributes:
        modes: CPU seconds by mode, summed over all CPUs.
        cores: The same of each online CPU, by its number.
        boot_time: Unix time of the boot.
        context_switches: Switches of all CPUs.
        interrupts: Interrupts served.
    """

    modes: dict[str, float]
    cores: dict[str, dict[str, float]]
    boot_time: int
    context_switches: int
    interrupts: int


class Mount(NamedTuple):
    """One mount of the host.

    Attributes:
        device: The device's number as `major:minor`, the same for all mounts of one device.
        root: What of the file system is mounted; `/` unless it is a part of it.
        mountpoint: Where, as the host sees it.
        fstype: The file system's type.
        readonly: Whether it is mounted read-only.
    """

    device: str
    root: str
    mountpoint: str
    fstype: str
    readonly: bool


class Usage(NamedTuple):
    """How full a file system is: bytes, and numbers of files (inodes)."""

    size: int
    free: int
    available: int
    files: int
    files_free: int


class Disk(NamedTuple):
    """What a block device did since boot: numbers, bytes and seconds."""

    device: str
    reads: int
    read_bytes: int
    read_time: float
    writes: int
    written_bytes: int
    write_time: float
    io_time: float


class Traffic(NamedTuple):
    """What a network device carried since it exists."""

    bytes: int
    packets: int
    errors: int
    drops: int


class Network(NamedTuple):
    """A network device.

    Attributes:
        device: Its name.
        received: What came in.
        transmitted: What went out.
        up: Whether it is up; None where the kernel doesn't say.
        speed: Bytes per second; None where it has none.
    """

    device: str
    received: Traffic
    transmitted: Traffic
    up: bool | None
    speed: float | None


class Pressure(NamedTuple):
    """Seconds since boot in which work waited for a resource.

    Attributes:
        waiting: Some of it waited.
        stalled: All of it waited; None where the kernel doesn't count that.
    """

    waiting: float | None
    stalled: float | None


class Clock(NamedTuple):
    """The host's clock.

    Attributes:
        time: Unix time in seconds.
        synchronized: Whether something keeps it synchronised; None where the kernel doesn't say.
        offset: Seconds that it is off by; None while it is not synchronised.
    """

    time: float
    synchronized: bool | None
    offset: float | None


class Temperature(NamedTuple):
    """A temperature sensor and what it reads, in degrees Celsius."""

    chip: str
    sensor: str
    celsius: float


class NumaNode(NamedTuple):
    """Memory of one NUMA node, in bytes."""

    node: str
    total: int
    free: int


class System(NamedTuple):
    """What runs on the host."""

    kernel: str
    os: str
    architecture: str
