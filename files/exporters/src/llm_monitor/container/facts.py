"""What a container source returns: plain values in base units."""

from typing import NamedTuple


class Throttling(NamedTuple):
    """What the CPU limit did.

    Attributes:
        periods: Periods that have passed.
        throttled_periods: Periods in which the limit was reached.
        seconds: Time for which threads were held back.
    """

    periods: int
    throttled_periods: int
    seconds: float


class Cpu(NamedTuple):
    """A container's CPU time.

    Attributes:
        usage: CPU seconds.
        user: CPU seconds in user mode.
        system: CPU seconds in the kernel.
        throttling: What the limit did; None without a limit.
    """

    usage: float
    user: float
    system: float
    throttling: Throttling | None


class Memory(NamedTuple):
    """A container's memory in bytes.

    Attributes:
        usage: All that is charged to it, the page cache included.
        inactive_file: Page cache that has not been used for a while.
        rss: Anonymous memory.
        cache: Page cache.
        swap: Swap space; None where it isn't accounted for.
    """

    usage: int
    inactive_file: int
    rss: int
    cache: int
    swap: int | None


class Limits(NamedTuple):
    """What a container may use.

    Attributes:
        quota: Microseconds of CPU time in a period; None without a limit.
        period: Microseconds in a period; None where the kernel has no such limit.
        memory: Bytes of memory; None without a limit.
    """

    quota: int | None
    period: int | None
    memory: int | None


class Disk(NamedTuple):
    """What a container read from and wrote to a block device, in bytes.

    Attributes:
        device: Its file in `/dev`; `major:minor` when it has none.
        read: Bytes read.
        written: Bytes written.
    """

    device: str
    read: int
    written: int


class Traffic(NamedTuple):
    """What a network interface has moved, or moved not."""

    bytes: int
    packets: int
    errors: int
    dropped: int


class Interface(NamedTuple):
    """A container's network interface."""

    name: str
    received: Traffic
    transmitted: Traffic
