"""What waits on disk while the backend is down: a bounded SQLite file in WAL mode."""

import itertools
import logging
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from llmops_monitoring.ownership import Claim

_LOG = logging.getLogger(__name__)
# A finalizer in a forked child would close the parent's database, which SQLite forbids:
# https://sqlite.org/howtocorrupt.html, section 2.6.
_LEFT_TO_PARENT: list[sqlite3.Connection] = []
_INSERT = "INSERT OR IGNORE INTO events (place, event_id, body)"


class SpillError(Exception):
    """The disk did not take or give what was asked of it."""


class Spilled(NamedTuple):
    """An event on disk.

    Attributes:
        place: Where it stands among all events: smaller ones came first.
        event_id: Its identity; the same one is kept once at its place.
        body: The event as JSON.
    """

    place: int
    event_id: str
    body: bytes


class Spill:
    """The spill file of one process, with all that ended processes left behind beside it.

    The first process has the file of the given name, each further one that runs at the same time
    has the name with a number. It belongs to the thread that made it.
    """

    def __init__(self, path: Path, max_events: int) -> None:
        """Open the file, and take over those whose processes have ended.

        Args:
            path: The file; its folder is made, for this user alone, if it doesn't exist.
            max_events: The most events in it.

        Raises:
            SpillError: It can't be opened.
        """
        self._max_events = max_events
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path, self._claim = _first_free(path)
            self._connection = _open(self._path)
            for other, claim in _orphans(path):
                self._take_over(other, claim)
            self._size: int = self._connection.execute("SELECT count(*) FROM events").fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            message = f"{path}: {error}"
            raise SpillError(message) from error

    def __len__(self) -> int:
        """Return the number of events in it."""
        return self._size

    @property
    def room(self) -> int:
        """How many more events it takes."""
        return max(self._max_events - self._size, 0)

    def add(self, rows: Sequence[Spilled]) -> int:
        """Keep all rows or none; return how many were new.

        Raises:
            SpillError: The disk does not take them.
        """
        statement = f"{_INSERT} VALUES (?, ?, ?)"
        added = self._change(statement, rows)
        self._size += added
        return added

    def first(self, count: int) -> list[Spilled]:
        """Return up to `count` events, the oldest first.

        Raises:
            SpillError: The file can't be read.
        """
        query = "SELECT place, event_id, body FROM events ORDER BY place LIMIT ?"
        try:
            return [Spilled(*row) for row in self._connection.execute(query, (count,))]
        except sqlite3.Error as error:
            raise SpillError(str(error)) from error

    def remove(self, keys: Iterable[tuple[int, str]]) -> int:
        """Forget events by place and id; return how many there were.

        Raises:
            SpillError: The file can't be written.
        """
        removed = self._change("DELETE FROM events WHERE place = ? AND event_id = ?", list(keys))
        self._size -= removed
        if not self._size:
            self._shrink()
        return removed

    def close(self) -> None:
        """Close the file, and remove it if nothing is in it."""
        self._connection.close()
        if not self._size:
            self._path.unlink(missing_ok=True)
        self._claim.release()

    def forget(self) -> None:
        """Leave the file to the parent, after a fork."""
        _LEFT_TO_PARENT.append(self._connection)

    def _change(self, statement: str, rows: Sequence[tuple[int, str] | Spilled]) -> int:
        before: int = self._connection.total_changes
        try:
            with self._connection:
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise SpillError(str(error)) from error
        return self._connection.total_changes - before

    def _shrink(self) -> None:
        """Give the disk back what the longest outage took."""
        try:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _LOG.warning("The spill file %s keeps its size: %s", self._path, error)

    def _take_over(self, path: Path, claim: Claim) -> None:
        try:
            # Opened once by itself, so that a broken file is put aside and not attached.
            _open(path).close()
            self._connection.execute("ATTACH ? AS other", (str(path),))
            try:
                with self._connection:
                    self._connection.execute(
                        f"{_INSERT} SELECT place, event_id, body FROM other.events"  # noqa: S608
                    )
            finally:
                self._connection.execute("DETACH other")
            path.unlink()
        except (OSError, sqlite3.Error) as error:
            _LOG.warning("What lies in %s waits for the next process: %s", path, error)
        claim.release()


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _first_free(path: Path) -> tuple[Path, Claim]:
    for one in _numbered(path):
        claim = Claim.take(one)
        if claim is not None:
            return one, claim
    raise AssertionError


def _orphans(path: Path) -> Iterator[tuple[Path, Claim]]:
    # Those with a number alone: another application's may lie beside.
    numbered = re.compile(rf"{re.escape(path.stem)}-\d+{re.escape(path.suffix)}")
    for one in sorted(path.parent.iterdir()):
        claim = Claim.take(one) if numbered.fullmatch(one.name) else None
        if claim is None:
            continue
        if one.exists():
            yield one, claim
        else:
            claim.release()


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        broken = path.with_suffix(".broken")
        _LOG.warning("%s is no spill file (%s): it is now %s", path, error, broken)
        path.rename(broken)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    # SQLite gives the files that it adds the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=1)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # What is in it outlives the process at every moment; a power cut takes the last moments.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS events (place INTEGER NOT NULL, event_id TEXT NOT NULL,"
            " body BLOB NOT NULL, PRIMARY KEY (place, event_id)) WITHOUT ROWID"
        )
    except sqlite3.Error:
        connection.close()
        raise
    return connection
