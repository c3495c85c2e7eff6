"""Forks happen only where a worker's thread waits, not in the middle of what it does."""

import os
import selectors
import threading
from weakref import WeakSet

# A thread that holds on for longer than this is no reason not to fork.
_PATIENCE_SECONDS = 1.0


class Gate:
    """What a thread closes while it works, and who forks closes while it forks.

    A child has copies of all locks, but none of the threads that would release them: of those of
    SQLite, Arrow and libpq, too, which nothing repairs after a fork.
    """

    def __init__(self) -> None:
        """Return an open gate."""
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._forker: int | None = None
        _watch(self)

    def enter(self) -> None:
        """Begin to work, once nobody forks."""
        self._lock.acquire()
        self._owner = threading.get_ident()

    def leave(self) -> None:
        """Work no more."""
        self._owner = None
        self._lock.release()

    def close(self) -> None:
        """Wait until the thread waits too, and hold it."""
        # A thread that forks is at work itself.
        me = threading.get_ident()
        if self._owner != me and self._lock.acquire(timeout=_PATIENCE_SECONDS):
            self._forker = me

    def open(self) -> None:
        """Hold the thread no longer, where it was this thread that held it."""
        if self._forker == threading.get_ident():
            self._forker = None
            self._lock.release()


class GatedSelector(selectors.DefaultSelector):
    """Leaves a gate while it waits for events."""

    def __init__(self, gate: Gate) -> None:
        """Leave `gate`, which the thread has entered."""
        super().__init__()
        self._gate = gate

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, as the selector of the platform does."""
        self._gate.leave()
        try:
            return super().select(timeout)
        finally:
            self._gate.enter()


_gates: WeakSet[Gate] = WeakSet()
_hooks = {"registered": False}


def _watch(gate: Gate) -> None:
    _gates.add(gate)
    if not _hooks["registered"]:
        _hooks["registered"] = True
        os.register_at_fork(
            before=_close_all, after_in_parent=_open_all, after_in_child=_gates.clear
        )


def _close_all() -> None:
    for gate in list(_gates):
        gate.close()


def _open_all() -> None:
    for gate in list(_gates):
        gate.open()
