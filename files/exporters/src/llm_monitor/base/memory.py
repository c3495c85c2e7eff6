"""Gives back what only the start needed; an exporter runs for months in a few dozen MiB."""

import ctypes
import gc

_M_ARENA_MAX = -8


def keep_one_arena() -> None:
    """Let all threads share one heap (glibc's mallopt); elsewhere do nothing.

    Its default, a heap for each thread, costs a few hundred KiB a thread and wins nothing here.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)


def release() -> None:
    """Collect what the start left behind, and give it back (glibc's malloc_trim).

    What is alive now stays for good, so the garbage collector need not look at it ever again:
    without that its full runs take longer than a scrape.
    """
    gc.collect()
    gc.freeze()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
