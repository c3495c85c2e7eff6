"""How well the host's clock is kept: adjtimex, which the standard library does not have."""

import ctypes
import time
from functools import cache

from llm_monitor.node.facts import Clock

_TIME_ERROR = 5
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; the rest is room that the kernel fills."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


def read() -> Clock:
    """Return the time, whether the clock is synchronised, and its offset in seconds."""
    timex = _Timex()
    now = time.time()
    state = _libc().adjtimex(ctypes.byref(timex))
    if state < 0:
        return Clock(now, None, None)
    if state == _TIME_ERROR or timex.status & _STA_UNSYNC:
        return Clock(now, synchronized=False, offset=None)
    return Clock(now, synchronized=True, offset=timex.offset / _units(timex.status))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _units(status: int) -> float:
    """Return how many of the units that adjtimex counts in make a second."""
    return 1e9 if status & _STA_NANO else 1e6
