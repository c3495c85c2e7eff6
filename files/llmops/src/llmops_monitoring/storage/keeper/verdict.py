"""What is wrong with an event store, as those who use it would find it."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Final

import psycopg

from llmops_monitoring.storage import migrations
from llmops_monitoring.storage.keeper import store
from llmops_monitoring.storage.keeper.settings import READER, WRITER, Settings

_WRITES: Final = "SELECT has_table_privilege(%s, 'INSERT'), has_function_privilege(%s, 'EXECUTE')"


async def problems(settings: Settings, today: date) -> list[str]:
    """Return what is wrong, nothing where an application can write today and tomorrow.

    Raises:
        SettingsError: A password can't be read.
    """
    found: list[str] = []
    for user, looks in ((READER, _of_reader(settings, today)), (WRITER, _of_writer(settings))):
        try:
            found += [problem async for problem in looks]
        except psycopg.Error as error:
            found.append(f"{user} finds no event store: {str(error).strip()}")
    return found


async def _of_reader(settings: Settings, today: date) -> AsyncIterator[str]:
    async with store.connected(settings, READER) as connection:
        version, wanted = await migrations.version(connection, store.NAMES), max(migrations.steps())
        if version < wanted:
            yield f"its migrations are at version {version}, and {wanted} is wanted"
            return
        days = await store.days(connection)
        for day in (today, today + timedelta(days=1)):
            if day not in days:
                yield f"it has no partition for {day}"
        await connection.execute(f"SELECT FROM {store.TABLE} LIMIT 1")


async def _of_writer(settings: Settings) -> AsyncIterator[str]:
    async with store.connected(settings, WRITER) as connection:
        function = f"{store.NAMES.add_partition.as_string(connection)}(date)"
        cursor = await connection.execute(_WRITES, [store.TABLE, function])
        if await cursor.fetchone() != (True, True):
            yield f"{WRITER} may not write into {store.TABLE}"
