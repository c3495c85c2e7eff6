"""The ends of a process, and forks: what running transports do about them."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from types import FrameType
from typing import Protocol
from weakref import WeakSet


class Mortal(Protocol):
    """What has to be told of the process' fate."""

    def end(self) -> None:
        """Deliver what can be delivered within the configured time, and end."""

    def begin_anew(self) -> None:
        """Be as on the first day: this is a forked child, without its parent's threads."""


# Hooks of the process can't be unregistered, so there is one of each, for all transports.
_living: WeakSet[Mortal] = WeakSet()
_hooks = {"registered": False}


def attach(one: Mortal) -> None:
    """Tell `one` when the process ends or is forked.

    SIGTERM is only taken where nobody else handles it, and only when the main thread calls.
    """
    _living.add(one)
    if not _hooks["registered"]:
        _hooks["registered"] = True
        os.register_at_fork(after_in_child=_after_fork)
        atexit.register(_end_all)
    _take_sigterm()
    _take_end_of_pool_worker()


def detach(one: Mortal) -> None:
    """Tell `one` nothing more."""
    _living.discard(one)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not _living and in_main_thread and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _take_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _take_end_of_pool_worker() -> None:
    # Children of multiprocessing end without atexit, but with finalizers of its own.
    if "multiprocessing" in sys.modules and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, _end_all, exitpriority=0)
    # Celery's end by `os._exit`, and tell of it before.
    if "celery" in sys.modules:
        with contextlib.suppress(ImportError):
            from celery.signals import worker_process_shutdown

            worker_process_shutdown.connect(_end_all, weak=False)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    del frame
    # A second signal ends the process at once.
    signal.signal(number, signal.SIG_DFL)
    _end_all()
    os.kill(os.getpid(), number)


def _end_all(**_: object) -> None:
    for one in list(_living):
        one.end()


def _after_fork() -> None:
    for one in list(_living):
        one.begin_anew()
