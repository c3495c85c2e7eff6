"""PostgreSQL: a table that is partitioned by day, written by binary COPY."""

import asyncio
import contextlib
import itertools
import re
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, errors, sql
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_dumps

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage import migrations
from llmops_monitoring.storage.base import RejectedError, StorageBackend
from llmops_monitoring.storage.columns import COLUMNS, Kind, values
from llmops_monitoring.table import EventTable

Connection = AsyncConnection[Any]
Row = tuple[Any, ...]

_TYPES: Final = {
    Kind.TEXT: "text",
    Kind.INTEGER: "int8",
    Kind.REAL: "float8",
    Kind.MOMENT: "timestamptz",
    Kind.FLAG: "bool",
    Kind.JSON: "jsonb",
}
_CONNECT_SECONDS = 10
_EXAMPLE: Final = "postgresql://user:password@host:5432/database"
# What PostgreSQL says of values, not of itself.
_REJECTIONS: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    errors.ProgramLimitExceeded,
    OverflowError,
    ValueError,
    struct.error,
)
_JSON_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class PostgresBackend(StorageBackend):
    """Writes batches into `schema_name.table_name`, each in one transaction.

    An event that is there already stays as it is. The role needs what `migrations.grant` gives a
    writer; where it owns the table, it applies migrations too.
    """

    def __init__(self, config: StorageConfig) -> None:
        """Keep events as `config` says."""
        super().__init__(config)
        self._names = migrations.Names(config.schema_name, config.table_name)
        self._slots = asyncio.Semaphore(config.pool_size)
        self._free: list[Connection] = []
        self._days: set[date] = set()

    async def initialize(self) -> None:
        """Connect, and apply the migrations that are missing.

        Raises:
            psycopg.Error: Nobody answers, or the role may not.
        """
        async with self._connection() as connection:
            if await migrations.version(connection, self._names) < max(migrations.steps()):
                await migrations.migrate(connection, self._names)

    async def write_event(self, event: MetricEvent) -> None:
        """Keep one event."""
        await self.write_batch([event])

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        """Keep all events or none.

        Raises:
            RejectedError: A value is none that PostgreSQL takes.
            psycopg.Error: It does not answer, or not as it should.
        """
        if not events:
            return
        try:
            table = EventTable.of(events)
            rows = _rows(table)
        except ValueError as error:
            raise RejectedError(str(error)) from error
        days = _days(table.columns["timestamp"])
        try:
            await self._write(days, rows)
        except (psycopg.DataError, ValueError):
            # NUL is in all strings of Python and in none of PostgreSQL.
            try:
                await self._write(days, [_without_nul(row) for row in rows])
            except _REJECTIONS as error:
                raise RejectedError(str(error)) from error
        except _REJECTIONS as error:
            raise RejectedError(str(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        while self._free:
            await self._free.pop().close()

    async def health_check(self) -> bool:
        """Return whether the table can be asked."""
        try:
            async with self._connection() as connection:
                return await migrations.version(connection, self._names) > 0
        except psycopg.Error:
            return False

    def supports_batch_writes(self) -> bool:
        """Return True."""
        return True

    async def _write(self, days: AbstractSet[date], rows: Sequence[Row]) -> None:
        """Copy rows, once more on a new connection or with new partitions where that may help."""
        for last in (False, True):
            had_waited = bool(self._free)
            try:
                async with self._connection() as connection:
                    await self._add_partitions(connection, days)
                    await self._copy(connection, rows)
            except errors.CheckViolation:
                # A day was dropped that this process knew.
                self._days.clear()
                if last:
                    raise
            except errors.ProgramLimitExceeded:
                raise
            except psycopg.OperationalError:
                # The server was started again, and what waits here leads to the old one.
                if last or not had_waited:
                    raise
                await self.close()
            else:
                return

    async def _copy(self, connection: Connection, rows: Sequence[Row]) -> None:
        try:
            async with connection.transaction():
                await _copy_into(connection, self._names.table, rows)
        except errors.UniqueViolation:
            await self._copy_new(connection, rows)

    async def _copy_new(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write what isn't there yet: COPY has no ON CONFLICT, so by way of a temporary table."""
        batch = sql.Identifier("pg_temp", "llmops_batch")
        async with connection.transaction():
            create = sql.SQL("CREATE TEMPORARY TABLE llmops_batch ({}) ON COMMIT DROP")
            await connection.execute(create.format(_DEFINITIONS))
            await _copy_into(connection, batch, rows)
            insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING")
            await connection.execute(insert.format(self._names.table, _NAMES, _NAMES, batch))

    async def _add_partitions(self, connection: Connection, days: AbstractSet[date]) -> None:
        for day in sorted(days - self._days):
            call = sql.SQL("SELECT {}({})")
            await connection.execute(call.format(self._names.add_partition, day))
            self._days.add(day)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._slots:
            connection = self._free.pop() if self._free else await self._connect()
            try:
                yield connection
            finally:
                idle = connection.info.transaction_status is TransactionStatus.IDLE
                if connection.closed or not idle:
                    await connection.close()
                else:
                    self._free.append(connection)

    async def _connect(self) -> Connection:
        told = self.config.connection_string
        try:
            connection = await AsyncConnection.connect(
                told.get_secret_value() if told else "",
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                fallback_application_name="llmops-monitoring",
            )
        except psycopg.ProgrammingError:
            # Its text has the string, and with it the password.
            message = f"connection_string can't be read; expected {_EXAMPLE}"
            raise psycopg.ProgrammingError(message) from None
        # `values` gives JSON as text.
        set_json_dumps(_as_it_is, connection)
        return connection


_NAMES: Final = sql.SQL(", ").join(sql.Identifier(column.name) for column in COLUMNS)
# Not LIKE the other table: for that one has to be allowed to read it.
_DEFINITIONS: Final = sql.SQL(", ").join(
    sql.SQL(f"{{}} {_TYPES[column.kind]}").format(sql.Identifier(column.name)) for column in COLUMNS
)


async def _copy_into(connection: Connection, table: sql.Composable, rows: Sequence[Row]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, _NAMES)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_TYPES[column.kind] for column in COLUMNS])
        for row in rows:
            await copy.write_row(row)


def _rows(events: Sequence[MetricEvent]) -> list[Row]:
    columns: list[Iterator[Any]] = [
        itertools.repeat(None) if cells is None else iter(cells) for cells in values(events)
    ]
    # The first column, the id, has a value for each event and so ends them all.
    return list(zip(*columns, strict=False))


def _days(moments: Sequence[datetime]) -> set[date]:
    first, last = (one.astimezone(UTC).date() for one in (min(moments), max(moments)))
    if last - first <= timedelta(days=1):
        return {first, last}
    return {moment.astimezone(UTC).date() for moment in moments}


def _without_nul(row: Row) -> Row:
    return tuple(
        _clean(cell, column.kind) if isinstance(cell, str) else cell
        for cell, column in zip(row, COLUMNS, strict=True)
    )


def _clean(text: str, kind: Kind) -> str:
    if kind is Kind.JSON:
        return _JSON_NUL.sub(r"\1\\ufffd", text)
    return text.replace("\0", "\ufffd")


def _as_it_is(text: Any) -> Any:
    return text
