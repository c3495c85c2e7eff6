"""Control groups of version 2 (the kernel's admin-guide/cgroup-v2.rst)."""

from llm_monitor.base.errors import SourceMissingError
from llm_monitor.base.files import Garbled, read_text
from llm_monitor.container.cgroup.numbers import number, one_number, one_number_if_any, table
from llm_monitor.container.facts import Cpu, Memory, Throttling

_MICRO = 1e6
_NO_LIMIT = "max"

# All functions raise SourceMissingError when the group has gone or has no such controller, and
# SourceError for what can't be understood.


def cpu(folder: str, *, limited: bool) -> Cpu:
    """Return the CPU time of the group at `folder` (cpu.stat)."""
    path = f"{folder}/cpu.stat"
    stat = table(path)
    with Garbled(path):
        throttling = None
        if limited:
            throttling = Throttling(
                number(stat["nr_periods"]),
                number(stat["nr_throttled"]),
                number(stat["throttled_usec"]) / _MICRO,
            )
        return Cpu(
            number(stat["usage_usec"]) / _MICRO,
            number(stat["user_usec"]) / _MICRO,
            number(stat["system_usec"]) / _MICRO,
            throttling,
        )


def memory(folder: str) -> Memory:
    """Return the memory of the group at `folder` (memory.current, memory.stat and others)."""
    usage = one_number(f"{folder}/memory.current")
    swap = one_number_if_any(f"{folder}/memory.swap.current")
    path = f"{folder}/memory.stat"
    stat = table(path)
    with Garbled(path):
        return Memory(
            usage,
            number(stat["inactive_file"]),
            number(stat["anon"]),
            number(stat["file"]),
            swap,
        )


def oom_kills(folder: str) -> int | None:
    """Return how many processes were killed for memory (memory.events), None before Linux 4.13."""
    path = f"{folder}/memory.events"
    events = table(path)
    with Garbled(path):
        return number(events["oom_kill"]) if "oom_kill" in events else None


def transfers(folder: str) -> dict[str, tuple[int, int]]:
    """Return the bytes read and written (io.stat) by the device's `major:minor`."""
    path = f"{folder}/io.stat"
    text = read_text(path)
    found = {}
    with Garbled(path):
        for line in text.splitlines():
            # Some kernels name devices that have never been used, without any number and even
            # without an end of the line: 7:0 7:1 8:0 rbytes=…
            words = line.split()
            devices = [word for word in words if "=" not in word]
            if values := dict(word.split("=") for word in words if "=" in word):
                found[devices[-1]] = number(values["rbytes"]), number(values["wbytes"])
            elif not all(":" in word for word in devices):
                message = "no devices"
                raise ValueError(message)
    return found


def cpu_limit(folder: str) -> tuple[int | None, int | None]:
    """Return the quota and the period of the group at `folder` in microseconds (cpu.max)."""
    path = f"{folder}/cpu.max"
    try:
        text = read_text(path)
    except SourceMissingError:
        return None, None
    with Garbled(path):
        quota, period = text.split()
        return None if quota == _NO_LIMIT else number(quota), number(period)


def memory_limit(folder: str) -> int | None:
    """Return the memory limit of the group at `folder` in bytes (memory.max)."""
    path = f"{folder}/memory.max"
    text = read_text(path)
    with Garbled(path):
        return None if text.strip() == _NO_LIMIT else number(text)
