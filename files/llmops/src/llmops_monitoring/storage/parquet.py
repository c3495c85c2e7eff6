"""Parquet files in folders by day or session."""

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import SCHEMA_VERSION, MetricEvent
from llmops_monitoring.storage.base import RejectedError, StorageBackend
from llmops_monitoring.storage.columns import COLUMNS, Kind, values
from llmops_monitoring.storage.journal import Journal
from llmops_monitoring.table import EventTable

_LOG = logging.getLogger(__name__)
_ROLL_ROWS = 50_000
_ROLL_SECONDS = 300.0
_ROW_GROUP = 50_000
_TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.REAL: pa.float64(),
    Kind.MOMENT: pa.timestamp("us", tz="UTC"),
    Kind.FLAG: pa.bool_(),
    Kind.JSON: pa.string(),
}
SCHEMA: Final = pa.schema(
    [pa.field(one.name, _TYPES[one.kind], nullable=not one.required) for one in COLUMNS],
    metadata={"llmops_schema_version": str(SCHEMA_VERSION)},
)
"""What a file has. To read old files together with new ones:
`pyarrow.dataset.dataset(folder, schema=SCHEMA)`."""


class ParquetBackend(StorageBackend):
    """Writes `output_dir/YYYY-MM-DD/events_*.parquet`, or a folder for each session.

    A file has 50,000 events or those of five minutes. Until then they wait in a journal on disk,
    from which the next process makes a file if this one is killed.
    """

    def __init__(self, config: StorageConfig) -> None:
        """Keep events as `config` says."""
        super().__init__(config)
        # It has to mean the same folder when the application changes its own.
        self._folder = config.output_dir.absolute()
        self._waiting = self._folder / ".journal"
        self._journal: Journal | None = None
        self._batches: list[Any] = []
        self._rows = 0
        self._timer: asyncio.TimerHandle | None = None
        # The ids of the file being made and of the one before: what comes twice comes soon.
        self._ids: set[str] = set()
        self._earlier_ids: set[str] = set()

    async def initialize(self) -> None:
        """Make the folder, and files of what killed processes left in it.

        Raises:
            OSError: It can't be written to.
        """
        self._make_folders()
        for journal in Journal.orphans(self._waiting):
            try:
                batches = journal.read()
                self._place(journal.name, batches)
            except BaseException:
                journal.leave()
                raise
            for batch in batches:
                self._earlier_ids.update(batch.column("event_id").to_pylist())
            journal.remove()

    async def write_event(self, event: MetricEvent) -> None:
        """Keep one event."""
        await self.write_batch([event])

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        """Keep all events or none; those that are here already are not kept again.

        Raises:
            RejectedError: A value doesn't fit its column.
            OSError: The disk does not take them.
        """
        # It blocks the loop, which is the worker's own: so nothing can end it half-way.
        table = EventTable.of(events)
        ids = table.columns["event_id"]
        if not (self._ids.isdisjoint(ids) and self._earlier_ids.isdisjoint(ids)):
            table = table.select([not self._has(one) for one in ids])
            ids = table.columns["event_id"]
        if not ids:
            return
        batch = _record_batch(table)
        if self._rows >= _ROLL_ROWS:
            self._roll()
        if self._journal is None:
            # Somebody may have removed them while this runs.
            self._make_folders()
            self._journal = Journal.create(self._waiting, SCHEMA)
            self._roll_later()
        self._journal.append(batch)
        self._batches.append(batch)
        self._rows += len(ids)
        self._ids.update(ids)
        if self._rows >= _ROLL_ROWS:
            self._roll_in_time()

    async def close(self) -> None:
        """Make a file of what waits.

        Raises:
            OSError: The disk does not take it; it is left for the next process.
        """
        try:
            self._roll()
        finally:
            if self._journal is not None:
                self._journal.leave()
                self._journal = None

    async def health_check(self) -> bool:
        """Return whether a block can be written."""
        probe = self._waiting / f".probe-{os.getpid()}-{id(self)}"
        try:
            probe.write_bytes(bytes(4096))
            probe.unlink()
        except OSError:
            return False
        return True

    def supports_batch_writes(self) -> bool:
        """Return True."""
        return True

    def _has(self, event_id: str) -> bool:
        return event_id in self._ids or event_id in self._earlier_ids

    def _roll_in_time(self) -> None:
        # What waits is safe in the journal: it is tried again later, and by a batch when many wait.
        try:
            self._roll()
        except (OSError, pa.ArrowException) as error:
            _LOG.warning("No Parquet file could be made, which is tried again: %s", error)
            self._roll_later()

    def _roll_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_ROLL_SECONDS, self._roll_in_time)

    def _make_folders(self) -> None:
        # What is measured is the application's: not for everybody.
        for folder in (self._folder, self._waiting):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _roll(self) -> None:
        """Make a file of what waits in the journal."""
        if self._journal is None:
            return
        self._place(self._journal.name, self._batches)
        self._journal.remove()
        self._journal = None
        if self._timer is not None:
            self._timer.cancel()
        self._batches = []
        self._rows = 0
        self._earlier_ids, self._ids = self._ids, set()

    def _place(self, name: str, batches: Sequence[Any]) -> None:
        """Write files by folder. Their names are the journal's, so that twice is once."""
        if not batches:
            return
        table = pa.Table.from_batches(batches)
        if self.config.partition_by == "session_id":
            parts = _by(table, table["session_id"], _session_folder)
        else:
            parts = _by(table, pc.strftime(table["timestamp"], "%Y-%m-%d"), str)
        for folder, part in parts:
            self._write_file(self._folder / folder, f"events_{name}.parquet", part)

    def _write_file(self, folder: Path, name: str, table: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{name}.tmp"
        try:
            pq.write_table(
                table,
                unfinished,
                compression=self.config.compression,
                row_group_size=_ROW_GROUP,
                write_statistics=["timestamp", "session_id", "operation_name"],
            )
            unfinished.replace(folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise


def _record_batch(events: Sequence[MetricEvent]) -> Any:
    try:
        arrays = [
            pa.nulls(len(events), field.type) if cells is None else pa.array(cells, field.type)
            for field, cells in zip(SCHEMA, values(events), strict=True)
        ]
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise RejectedError(str(error)) from error
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _by(table: Any, keys: Any, name: Any) -> list[tuple[str, Any]]:
    """Return the rows of each key, with the name of its folder."""
    different = pc.unique(keys)
    if len(different) == 1:
        return [(name(different[0].as_py()), table)]
    index = pc.index_in(keys, value_set=different)
    return [
        (name(key.as_py()), table.filter(pc.equal(index, number)))
        for number, key in enumerate(different)
    ]


def _session_folder(session_id: str | None) -> str:
    """Return a folder's name: what a session calls itself may be any text, a path among them."""
    if session_id is None:
        return "session_none"
    return f"session_{hashlib.sha256(session_id.encode()).hexdigest()[:32]}"
