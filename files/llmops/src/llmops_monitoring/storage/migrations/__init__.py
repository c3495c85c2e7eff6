"""The steps by which an event store in PostgreSQL got to its form, and what may use it.

A step is a file of SQL by number; it is applied once, and never changed after a release.
"""

from importlib.resources import files
from typing import Any

from psycopg import AsyncConnection, sql

Connection = AsyncConnection[Any]

_LONGEST_NAME = 63


class Names:
    """How the objects of one event store are called."""

    def __init__(self, schema: str, table: str) -> None:
        """Name the objects of the event store `schema`.`table`."""
        self._schema = schema
        self._table = table

    @property
    def table(self) -> sql.Composable:
        """The table of events."""
        return sql.Identifier(self._schema, self._table)

    @property
    def versions(self) -> sql.Composable:
        """The table of what was applied."""
        return sql.Identifier(self._schema, self._with("_versions"))

    @property
    def add_partition(self) -> sql.Composable:
        """The function that makes the partition of a day."""
        return sql.Identifier(self._schema, self._with("_add_partition"))

    @property
    def drop_partitions(self) -> sql.Composable:
        """The function that drops the partitions before a day."""
        return sql.Identifier(self._schema, self._with("_drop_partitions"))

    def fill(self, text: str) -> sql.Composed:
        """Return a step with its names."""
        # What is filled in are names that psycopg quotes; the text is shipped with this package.
        return sql.SQL(text).format(
            schema=sql.Identifier(self._schema),
            table=sql.Identifier(self._table),
            schema_name=sql.Literal(self._schema),
            table_name=sql.Literal(self._table),
            add_partition=sql.Identifier(self._with("_add_partition")),
            drop_partitions=sql.Identifier(self._with("_drop_partitions")),
        )

    def _with(self, suffix: str) -> str:
        return self._table[: _LONGEST_NAME - len(suffix)] + suffix


def steps() -> dict[int, str]:
    """Return the SQL of each step by its number."""
    return {
        int(file.name.removesuffix(".sql")): file.read_text()
        for file in files(__name__).iterdir()
        if file.name.endswith(".sql")
    }


async def version(connection: Connection, names: Names) -> int:
    """Return the last step that was applied, 0 in an empty database.

    Raises:
        psycopg.Error: The database does not say.
    """
    row = await _one(connection, "SELECT to_regclass({})", _literal(connection, names.versions))
    if row is None:
        return 0
    number = await _one(connection, "SELECT max(version) FROM {}", names.versions)
    return int(number or 0)


async def migrate(connection: Connection, names: Names) -> list[int]:
    """Apply all steps that are missing, as the owner; return their numbers.

    Several processes may do so at the same time.

    Raises:
        psycopg.Error: The user may not, or the database is something else.
    """
    applied = []
    async with connection.transaction():
        lock = sql.SQL("SELECT pg_advisory_xact_lock(hashtext({}))")
        await connection.execute(lock.format(_literal(connection, names.versions)))
        await connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (version integer PRIMARY KEY,"
                " applied_at timestamptz NOT NULL DEFAULT now())"
            ).format(names.versions)
        )
        current = await version(connection, names)
        for number, text in sorted(steps().items()):
            if number > current:
                await connection.execute(names.fill(text))
                insert = sql.SQL("INSERT INTO {} (version) VALUES ({})")
                await connection.execute(insert.format(names.versions, number))
                applied.append(number)
    return applied


async def grant(connection: Connection, names: Names, *, writer: str, reader: str) -> None:
    """Let two roles, which exist, do what they must and nothing else.

    `writer` adds events and the partitions of new days, and can neither read nor change an event;
    `reader` only reads.

    Raises:
        psycopg.Error: The user does not own the event store.
    """
    roles = {"writer": sql.Identifier(writer), "reader": sql.Identifier(reader)}
    objects = {
        "table": names.table,
        "versions": names.versions,
        "schema": sql.Identifier(names._schema),  # noqa: SLF001 - of this module
        "add_partition": names.add_partition,
    }
    for statement in (
        "GRANT USAGE ON SCHEMA {schema} TO {writer}, {reader}",
        "GRANT SELECT ON {versions} TO {writer}, {reader}",
        "GRANT INSERT ON {table} TO {writer}",
        "GRANT EXECUTE ON FUNCTION {add_partition}(date) TO {writer}",
        "GRANT SELECT ON {table} TO {reader}",
    ):
        await connection.execute(sql.SQL(statement).format(**roles, **objects))


def _literal(connection: Connection, name: sql.Composable) -> sql.Literal:
    return sql.Literal(name.as_string(connection))


async def _one(connection: Connection, query: str, *parts: sql.Composable) -> Any:
    # The text is this module's own.
    cursor = await connection.execute(sql.SQL(query).format(*parts))
    row = await cursor.fetchone()
    return row and row[0]
