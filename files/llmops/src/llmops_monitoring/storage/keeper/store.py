"""The event store as its owner sees it: form, roles, privileges, days."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from psycopg import AsyncConnection, sql

from llmops_monitoring.storage import migrations
from llmops_monitoring.storage.keeper.settings import READER, WRITER, Settings

Connection = AsyncConnection[Any]

NAMES: Final = migrations.Names("public", "metric_events")
TABLE: Final = "public.metric_events"
# Today's partition and those of so many days after it are made: a keeper that is away for that long
# is not missed, for the library makes the partitions of its own days too.
DAYS_AHEAD: Final = 3

_CONNECT_SECONDS: Final = 10
# Who waits for a lock holds up all that come after it. It is tried again later instead.
_OPTIONS: Final = "-c lock_timeout=5s -c statement_timeout=60s -c timezone=UTC"

_DAYS: Final = """
    SELECT to_date(right(child.relname, 8), 'YYYYMMDD')
    FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent = to_regclass({table}) AND child.relname ~ '_[0-9]{{8}}$'
"""
_OWNERS: Final = """
    SELECT pg_get_userbyid(datdba) = current_user, pg_get_userbyid(datdba),
           coalesce(pg_get_userbyid(relowner) = current_user, true), pg_get_userbyid(relowner),
           current_user::text, current_database()::text
    FROM pg_database LEFT JOIN pg_class ON pg_class.oid = to_regclass({table})
    WHERE datname = current_database()
"""
# A statement of a dashboard that runs for longer is one that somebody forgot.
_READER_SETTINGS: Final = (
    "statement_timeout = '30s'",
    "idle_in_transaction_session_timeout = '60s'",
    "default_transaction_read_only = on",
)
# So many of 100 connections, that neither keeps the other or the owner out.
_CONNECTIONS: Final = {WRITER: 70, READER: 20}


class StoreError(Exception):
    """An event store that is not as it must be, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was done: steps that were applied, days that were made, and days that were dropped."""

    applied: list[int]
    made: list[date]
    dropped: list[date]


@contextlib.asynccontextmanager
async def connected(settings: Settings, user: str | None = None) -> AsyncIterator[Connection]:
    """Give a connection of the owner, or of `WRITER` or `READER`.

    Raises:
        psycopg.Error: Nobody answers, or the user may not log in.
        SettingsError: The password can't be read.
    """
    told: dict[str, Any] = {"user": user} if user else {}
    connection = await AsyncConnection.connect(
        settings.database,
        password=settings.password({WRITER: "writer", READER: "reader"}.get(user or "", "owner")),
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        fallback_application_name="llmops-keeper",
        options=_OPTIONS,
        **told,
    )
    try:
        yield connection
    finally:
        await connection.close()


async def keep(connection: Connection, settings: Settings, today: date) -> Turn:
    """Bring an event store to the form that it should have today, from whatever it has.

    An event is kept for `settings.retention_days` days at least, and is gone a day later at most.

    Raises:
        StoreError: It is somebody else's.
        psycopg.Error: The database does not answer, or not as it should.
        SettingsError: A password can't be read.
    """
    await _check_owner(connection)
    # Two keepers at a time would change the same roles.
    await connection.execute("SELECT pg_advisory_lock(hashtext('llmops-keeper'))")
    await _keep_role(connection, WRITER, settings.password("writer"))
    await _keep_role(connection, READER, settings.password("reader"))
    for statement in _READER_SETTINGS:
        await _execute(connection, f"ALTER ROLE {{role}} SET {statement}", role=_role(READER))
    applied = await migrations.migrate(connection, NAMES)
    await _keep_privileges(connection)
    made, dropped = await _keep_days(connection, settings.retention_days, today)
    return Turn(applied, made, dropped)


async def days(connection: Connection) -> set[date]:
    """Return the days, of UTC, that have a partition.

    Raises:
        psycopg.Error: The database does not say.
    """
    cursor = await _execute(connection, _DAYS, table=sql.Literal(TABLE))
    return {day for (day,) in await cursor.fetchall()}


async def _check_owner(connection: Connection) -> None:
    cursor = await _execute(connection, _OWNERS, table=sql.Literal(TABLE))
    row = await cursor.fetchone()
    if row is None:
        message = "the database does not say who owns it"
        raise StoreError(message)
    own_database, database_owner, own_table, table_owner, user, database = row
    if not own_database:
        message = (
            f"the database {database} belongs to {database_owner}, not to {user}: "
            f"ALTER DATABASE {database} OWNER TO {user}"
        )
        raise StoreError(message)
    if not own_table:
        message = (
            f"{TABLE} belongs to {table_owner}, not to {user}: restore it with its owner, "
            f"or give it and its partitions over: ALTER TABLE {TABLE} OWNER TO {user}"
        )
        raise StoreError(message)


async def _keep_role(connection: Connection, name: str, password: str) -> None:
    """Let a role log in with a password, of which the server gets to know a hash alone."""
    cursor = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
    if await cursor.fetchone() is None:
        await _execute(connection, "CREATE ROLE {role}", role=_role(name))
    hashed = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    await _execute(
        connection,
        "ALTER ROLE {role} LOGIN CONNECTION LIMIT {limit} PASSWORD {hashed}",
        role=_role(name),
        limit=sql.Literal(_CONNECTIONS[name]),
        hashed=sql.Literal(hashed.decode()),
    )


async def _keep_privileges(connection: Connection) -> None:
    named = {"writer": _role(WRITER), "reader": _role(READER)}
    database = sql.Identifier(connection.info.dbname)
    async with connection.transaction():
        for statement in (
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {database} TO {writer}, {reader}",
            # By way of a temporary table it leaves out events that are there already.
            "GRANT TEMPORARY ON DATABASE {database} TO {writer}",
        ):
            await _execute(connection, statement, database=database, **named)
        await migrations.grant(connection, NAMES, writer=WRITER, reader=READER)


async def _keep_days(
    connection: Connection, retention_days: int, today: date
) -> tuple[list[date], list[date]]:
    before = await days(connection)
    for ahead in range(DAYS_AHEAD + 1):
        call = "SELECT {add_partition}({day})"
        day = sql.Literal(today + timedelta(days=ahead))
        await _execute(connection, call, add_partition=NAMES.add_partition, day=day)
    # The day that began so many days ago has hours that are younger than that.
    last = sql.Literal(today - timedelta(days=retention_days))
    call = "SELECT {drop_partitions}({day})"
    await _execute(connection, call, drop_partitions=NAMES.drop_partitions, day=last)
    after = await days(connection)
    return sorted(after - before), sorted(before - after)


def _role(name: str) -> sql.Identifier:
    return sql.Identifier(name)


async def _execute(connection: Connection, text: str, **parts: sql.Composable) -> Any:
    # The text is this module's own.
    return await connection.execute(sql.SQL(text).format(**parts))
