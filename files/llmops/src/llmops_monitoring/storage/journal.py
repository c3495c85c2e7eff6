"""What a Parquet file is made from later, on disk at once: a file of Arrow's streaming format."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from llmops_monitoring.ownership import Claim

_SUFFIX = ".arrows"


class Journal:
    """Batches in the order in which they came; who kills the process does not reach them.

    A Parquet file can only be read once its last line is written. So that a file may be large and
    a killed process loses nothing that was written, batches wait here.

    Attributes:
        name: A name that no other journal has.
    """

    def __init__(self, path: Path, claim: Claim, descriptor: int) -> None:
        """Use `create` or `orphans`."""
        self.name = path.stem
        self._path = path
        self._claim = claim
        self._descriptor = descriptor
        self._size = 0

    @classmethod
    def create(cls, folder: Path, schema: Any) -> Self:
        """Return a new journal in `folder`.

        Raises:
            OSError: It can't be made.
        """
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        path = folder / f"{moment}-{secrets.token_hex(6)}{_SUFFIX}"
        claim = Claim.take(path)
        if claim is None:
            message = f"{path} is taken"
            raise FileExistsError(message)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            journal = cls(path, claim, os.open(path, flags, 0o600))
        except OSError:
            claim.release()
            raise
        try:
            journal._write(schema.serialize())
        except OSError:
            # It is tried again and again: neither files nor descriptors may pile up meanwhile.
            journal.remove()
            raise
        return journal

    @classmethod
    def orphans(cls, folder: Path) -> Iterator[Self]:
        """Yield the journals of processes that have ended."""
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            claim = Claim.take(path)
            if claim is None:
                continue
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                # Another process was quicker.
                claim.release()
                continue
            yield cls(path, claim, descriptor)

    def append(self, batch: Any) -> None:
        """Write a batch, or nothing of it.

        Raises:
            OSError: The disk does not take it.
        """
        self._write(batch.serialize())

    def read(self) -> list[Any]:
        """Return all whole batches: the process may have ended in the middle of one."""
        batches: list[Any] = []
        with pa.memory_map(str(self._path)) as file:
            try:
                reader = pa.ipc.open_stream(file)
                while True:
                    batches.append(reader.read_next_batch())
            except (StopIteration, pa.ArrowInvalid, OSError):
                pass
        return batches

    def remove(self) -> None:
        """Remove it: what it holds is in its final place."""
        self._path.unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        """Close it, for the next process."""
        os.close(self._descriptor)
        self._claim.release()

    def _write(self, buffer: Any) -> None:
        view = memoryview(buffer)
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self._descriptor, view[done:], self._size + done)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += done
