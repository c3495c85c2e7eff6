"""Log files that never grow without bound."""

import errno
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from llm_monitor.mock.logs.roll import Line

MOST_BYTES = 10 << 20


class LogFile:
    """A file that lines are added to, and the one that it was before it got too large."""

    def __init__(self, path: Path, most: int = MOST_BYTES) -> None:
        """Add to `path`; with more than `most` bytes it becomes `path` with `.1` behind."""
        self._path = path
        self._most = most

    def append(self, data: bytes) -> None:
        """Add whole lines: all of them or, when that fails, none.

        It is opened each time, so that a file or folder that somebody removes comes back.

        Raises:
            OSError: When they can't be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._size() + len(data) > self._most:
            self._turn()
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(handle).st_size
            if os.write(handle, data) != len(data):
                os.ftruncate(handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(handle)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _turn(self) -> None:
        if self._path.exists():
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))


def docker_json(lines: Iterable[Line]) -> bytes:
    """Return lines as Docker's logging driver `json-file` keeps them: an object each."""
    records = (
        {"log": f"{line.text}\n", "stream": line.stream, "time": _stamp(line.time)}
        for line in lines
    )
    dumped = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in records)
    return "".join(f"{one}\n" for one in dumped).encode()


def plain(lines: Iterable[Line]) -> bytes:
    """Return lines as they are."""
    return "".join(f"{line.text}\n" for line in lines).encode()


def _stamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
