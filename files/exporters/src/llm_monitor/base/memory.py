"""Keeps the memory of a process small that runs for months: 45 MiB at most for one exporter."""

import ctypes
import gc
import importlib
import importlib.util
import sys
from types import ModuleType
from typing import cast

_M_ARENA_MAX = -8


class _Nothing(ModuleType):
    """Stands in for a module of which nothing is used."""

    def __getattr__(self, name: str) -> None:
        """Be there, whatever is asked for."""


def import_uvicorn() -> None:
    """Import uvicorn without the command line that its package imports along.

    With it come click, multiprocessing and the reloaders: 1.4 MiB that a server which is started
    from Python never uses. Where uvicorn is loaded already, nothing happens.
    """
    command_line = "uvicorn.main"
    if "uvicorn" in sys.modules:
        return
    sys.modules[command_line] = _Nothing(command_line)
    try:
        importlib.import_module("uvicorn")
    finally:
        del sys.modules[command_line]


def skip_httpx_command_line() -> None:
    """Let what imports httpx leave out its command line, which nobody calls here.

    With it come click and, where they are, rich and pygments: 1 to 2 MiB. It imports nothing
    itself: not every exporter asks over HTTP.
    """
    command_line = _Nothing("httpx._main")
    vars(command_line)["main"] = lambda: None
    sys.modules.setdefault(command_line.__name__, command_line)


def remember_missing(module: str) -> None:
    """Let imports of `module`, if it is not installed, fail without looking for it again.

    httpcore looks for one on each request, several times: a tenth of what a request costs.
    """
    if importlib.util.find_spec(module) is None:
        # What Python's import system takes for a module that must not be imported.
        cast("dict[str, ModuleType | None]", sys.modules)[module] = None


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
