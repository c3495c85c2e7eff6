"""Control groups of version 1 (the kernel's admin-guide/cgroup-v1)."""

import os

from llm_monitor.base.errors import SourceMissingError
from llm_monitor.base.files import Garbled, read_text
from llm_monitor.container.cgroup.numbers import number, one_number, one_number_if_any, table
from llm_monitor.container.facts import Cpu, Memory, Throttling

_NANO = 1e9
_TICKS = os.sysconf("SC_CLK_TCK")
# No limit is written as the most pages that the kernel can count, which depends on their size.
_NO_LIMIT = 2**62

# All functions raise SourceMissingError when the group has gone or has no such controller, and
# SourceError for what can't be understood.


def cpu(cpuacct: str, limited: str | None) -> Cpu:
    """Return the CPU time of the group at `cpuacct`, and what its limit did if it is `limited`.

    The sources are cpuacct.usage and cpuacct.stat (in ticks), and cpu.stat below `limited`.
    """
    usage = one_number(f"{cpuacct}/cpuacct.usage") / _NANO
    path = f"{cpuacct}/cpuacct.stat"
    stat = table(path)
    with Garbled(path):
        user, system = number(stat["user"]) / _TICKS, number(stat["system"]) / _TICKS
    return Cpu(usage, user, system, _throttling(f"{limited}/cpu.stat") if limited else None)


def memory(folder: str) -> Memory:
    """Return the memory of the group at `folder` (memory.usage_in_bytes, memory.stat)."""
    usage = one_number(f"{folder}/memory.usage_in_bytes")
    path = f"{folder}/memory.stat"
    stat = table(path)
    with Garbled(path):
        return Memory(
            usage,
            number(stat["total_inactive_file"]),
            number(stat["total_rss"]),
            number(stat["total_cache"]),
            number(stat["total_swap"]) if "total_swap" in stat else None,
        )


def oom_kills(folder: str) -> int | None:
    """Return how many processes were killed for memory (memory.oom_control), None before 4.13."""
    path = f"{folder}/memory.oom_control"
    control = table(path)
    with Garbled(path):
        return number(control["oom_kill"]) if "oom_kill" in control else None


def transfers(folder: str) -> dict[str, tuple[int, int]]:
    """Return the bytes read and written by the device's `major:minor`.

    The source is blkio.throttle.io_service_bytes_recursive, which counts groups below this one too,
    or blkio.throttle.io_service_bytes before Linux 4.5.
    """
    path = f"{folder}/blkio.throttle.io_service_bytes_recursive"
    try:
        text = read_text(path)
    except SourceMissingError:
        path = f"{folder}/blkio.throttle.io_service_bytes"
        text = read_text(path)
    read: dict[str, int] = {}
    written: dict[str, int] = {}
    with Garbled(path):
        for line in text.splitlines():
            device, *rest = line.split()
            if device == "Total":
                continue
            operation, count = rest
            if operation == "Read":
                read[device] = number(count)
            elif operation == "Write":
                written[device] = number(count)
        return {device: (read[device], written[device]) for device in read}


def cpu_limit(folder: str) -> tuple[int | None, int | None]:
    """Return the quota and the period of the group at `folder` in microseconds.

    The sources are cpu.cfs_quota_us and cpu.cfs_period_us.
    """
    path = f"{folder}/cpu.cfs_quota_us"
    try:
        text = read_text(path)
    except SourceMissingError:
        # The kernel was built without this limit.
        return None, None
    with Garbled(path):
        quota = None if text.strip() == "-1" else number(text)
    return quota, one_number_if_any(f"{folder}/cpu.cfs_period_us")


def memory_limit(folder: str) -> int | None:
    """Return the memory limit of the group at `folder` in bytes (memory.limit_in_bytes)."""
    limit = one_number(f"{folder}/memory.limit_in_bytes")
    return limit if limit < _NO_LIMIT else None


def _throttling(path: str) -> Throttling:
    stat = table(path)
    with Garbled(path):
        return Throttling(
            number(stat["nr_periods"]),
            number(stat["nr_throttled"]),
            number(stat["throttled_time"]) / _NANO,
        )
