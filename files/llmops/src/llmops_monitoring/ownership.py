"""Files of one process that the next one takes over once it has ended."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from weakref import WeakSet

_CLOSED = -1


@dataclass(eq=False)
class Claim:
    """A file that no other process takes while this object is held.

    The kernel ends it with the process, however that ends. What is locked is a file beside the
    claimed one: SQLite loses its locks when anybody else in its process closes its file.
    """

    _lock: Path
    _descriptor: int

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Return the claim to `path`, which need not exist, or None where somebody has it.

        Raises:
            OSError: Its folder can't be written to.
        """
        lock = path.with_name(f".{path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last owner removed it between the two calls: nobody else would see this lock.
            lost = os.stat(lock).st_ino != os.fstat(descriptor).st_ino
        except (BlockingIOError, FileNotFoundError):
            lost = True
        if lost:
            os.close(descriptor)
            return None
        claim = cls(lock, descriptor)
        _watch(claim)
        return claim

    def release(self) -> None:
        """Let others take the file."""
        self._lock.unlink(missing_ok=True)
        self._close()

    def forget(self) -> None:
        """Close this process' copy after a fork; the parent still has the claim."""
        self._close()

    def _close(self) -> None:
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED


# A child has copies of the descriptors: with them it would hold its parent's claims.
_held: WeakSet[Claim] = WeakSet()
_hooks = {"registered": False}


def _watch(claim: Claim) -> None:
    _held.add(claim)
    if not _hooks["registered"]:
        _hooks["registered"] = True
        os.register_at_fork(after_in_child=forget_all)


def forget_all() -> None:
    """Forget all claims of this process: in a forked child they are the parent's."""
    for claim in list(_held):
        claim.forget()
    _held.clear()
