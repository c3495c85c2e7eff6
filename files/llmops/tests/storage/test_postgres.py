import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent, TokenMetrics
from llmops_monitoring.storage import migrations
from llmops_monitoring.storage.base import RejectedError
from llmops_monitoring.storage.columns import COLUMNS
from llmops_monitoring.storage.postgres import PostgresBackend
from llmops_monitoring.transport.worker import InProcessTransport
from llmops_testing.backends import settings
from llmops_testing.events import BEGIN, call, event, make
from llmops_testing.full import FULL
from llmops_testing.postgres import Postgres
from llmops_testing.waiting import wait_for

Step = Callable[[PostgresBackend], Coroutine[Any, Any, Any]]
NAMES = migrations.Names("public", "metric_events")


def config(database: str, **given: Any) -> StorageConfig:
    told = SecretStr(database)
    return StorageConfig(backend="postgres", connection_string=told, **given)


def run(database: str, *steps: Step, **given: Any) -> None:
    async def main() -> None:
        backend = PostgresBackend(config(database, **given))
        try:
            await backend.initialize()
            for step in steps:
                await step(backend)
        finally:
            await backend.close()

    asyncio.run(main())


def write(*events: MetricEvent) -> Step:
    return lambda backend: backend.write_batch(events)


def ask(database: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def ids(database: str, table: str = "metric_events") -> list[int]:
    rows = ask(database, f"SELECT event_id FROM {table}")  # noqa: S608
    return sorted(int(one, 16) for (one,) in rows)


def test_an_event_comes_back_whole(database: str) -> None:
    run(database, write(FULL, event(8)))
    names = [column.name for column in COLUMNS]
    rows = ask(database, f"SELECT {', '.join(names)} FROM metric_events ORDER BY event_id")  # noqa: S608
    full = dict(zip(names, rows[0], strict=True))
    assert full["event_id"] == FULL.event_id
    assert full["timestamp"] == FULL.timestamp
    assert full["session_id"] == FULL.session_id
    assert full["custom_attributes"] == FULL.custom_attributes
    assert (full["cost"], full["error"], full["error_type"]) == (0.25, True, "TimeoutError")
    assert (full["input_tokens"], full["output_tokens"], full["model"]) == (3, 4, "m")
    assert (full["text_words"], full["image_format"], full["stream_ended"]) == (1, "png", "aborted")
    assert full["stream_time_to_first_token_ms"] == 1.25
    plain = dict(zip(names, rows[1], strict=True))
    assert plain["custom_attributes"] == {}
    assert plain["model"] is None


def test_the_table_has_the_columns_of_an_event_and_no_others(database: str) -> None:
    run(database)
    found = ask(
        database,
        "SELECT column_name, is_nullable = 'NO' FROM information_schema.columns"
        " WHERE table_name = 'metric_events' ORDER BY ordinal_position",
    )
    assert found == [(column.name, column.required) for column in COLUMNS]


def test_an_event_is_kept_once(database: str) -> None:
    run(database, write(event(1), event(2)), write(event(2), event(3)), write(event(3), event(3)))
    assert ids(database) == [1, 2, 3]


def test_what_is_there_stays_as_it_is(database: str) -> None:
    run(database, write(event(1, cost=1.0)), write(event(1, cost=2.0), event(2)))
    assert ask(database, "SELECT cost FROM metric_events WHERE cost IS NOT NULL") == [(1.0,)]


def test_a_day_of_utc_has_a_partition(database: str) -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    moments = [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=3)]
    run(database, write(*(event(number, timestamp=one) for number, one in enumerate(moments))))
    assert ids(database, "metric_events_20261120") == [0]
    assert ids(database, "metric_events_20261121") == [1]
    assert ids(database, "metric_events_20261124") == [2]


def test_old_days_are_dropped_and_may_come_again(database: str) -> None:
    async def drop(_: PostgresBackend) -> None:
        assert ask(database, "SELECT metric_events_drop_partitions('2026-11-21')") == [(1,)]

    new = event(2, timestamp=BEGIN + timedelta(days=1))
    run(database, write(event(1), new), drop, write(event(3)))
    assert ids(database) == [2, 3]


def test_the_indexes_are_there(database: str) -> None:
    run(database, write(event(1)))
    found = ask(
        database, "SELECT indexdef FROM pg_indexes WHERE tablename = 'metric_events_20261120'"
    )
    columns = {row[0].partition(" USING ")[2] for row in found}
    assert columns == {
        'btree (event_id, "timestamp")',
        'btree (session_id, "timestamp" DESC)',
        'btree (trace_id, "timestamp" DESC)',
        "btree (parent_span_id)",
        'btree (operation_name, "timestamp" DESC)',
        "brin (\"timestamp\") WITH (pages_per_range='32', autosummarize='on')",
    }


def test_migrations_are_applied_once_by_whoever_comes_first(database: str) -> None:
    async def main() -> list[list[int]]:
        async def one() -> list[int]:
            async with await psycopg.AsyncConnection.connect(database, autocommit=True) as mine:
                return await migrations.migrate(mine, NAMES)

        return list(await asyncio.gather(*(one() for _ in range(5))))

    applied = asyncio.run(main())
    every = sorted(migrations.steps())
    assert sorted(applied) == [[], [], [], [], every]
    versions = ask(database, "SELECT version FROM metric_events_versions ORDER BY version")
    assert versions == [(number,) for number in every]


def test_a_newer_store_is_written_by_an_older_program(database: str) -> None:
    run(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO metric_events_versions VALUES (99)")
        connection.execute("ALTER TABLE metric_events ADD COLUMN later text")
    run(database, write(event(1)))
    assert ids(database) == [1]


def test_another_schema_and_a_long_name_do(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA apart")
    name = "a" * 63
    run(database, write(event(1)), schema_name="apart", table_name=name)
    run(database, write(event(1), event(2)), schema_name="apart", table_name=name)
    assert ids(database, f"apart.{name}") == [1, 2]


def test_a_writer_writes_and_nothing_else(server: Postgres, database: str) -> None:
    name = conninfo_to_dict(database)["dbname"]
    writer, reader = f"writer_{name}", f"reader_{name}"
    passwords = {role: server.role(role) for role in (writer, reader)}

    def url(role: str) -> str:
        return f"postgresql://{role}:{passwords[role]}@127.0.0.1:{server.port}/{name}"

    async def prepare() -> None:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
            await migrations.migrate(owner, NAMES)
            await migrations.grant(owner, NAMES, writer=writer, reader=reader)

    asyncio.run(prepare())
    # Twice, since what is there already goes another way.
    run(url(writer), write(event(1)), write(event(1), event(2)))
    assert ids(url(reader)) == [1, 2]
    for statement in ("SELECT * FROM metric_events", "DELETE FROM metric_events"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url(writer), statement)
    for statement in (
        "INSERT INTO metric_events SELECT * FROM metric_events",
        "SELECT metric_events_add_partition('2026-01-01')",
        "SELECT metric_events_drop_partitions('2030-01-01')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url(reader), statement)


def test_a_writer_without_a_store_says_what_it_lacks(server: Postgres, database: str) -> None:
    name = conninfo_to_dict(database)["dbname"]
    password = server.role(f"lonely_{name}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(f"postgresql://lonely_{name}:{password}@127.0.0.1:{server.port}/{name}")


@pytest.mark.parametrize("told", ["me:secret@host/events", "postgresql://me:secret@h:x=/a?b=c"])
def test_a_string_that_cannot_be_read_is_not_told(told: str) -> None:
    with pytest.raises(psycopg.Error) as error:
        run(told)
    assert "secret" not in str(error.getrepr(style="short"))


@pytest.mark.parametrize(
    "fields",
    [
        {"operation_name": "half \ud83d"},
        {"token_metrics": TokenMetrics(input_tokens=2**63, output_tokens=0, total_tokens=2**63)},
        {"custom_attributes": {"half": "\udc00"}},
        # Longer than an entry of an index, and not to be compressed.
        {"session_id": "".join(chr(0x4E00 + number) for number in range(9000))},
    ],
)
def test_what_does_not_fit_is_rejected_and_leaves_no_trace(
    database: str, fields: dict[str, Any]
) -> None:
    async def refused(backend: PostgresBackend) -> None:
        with pytest.raises(RejectedError):
            await backend.write_batch([event(1), event(2, **fields)])

    run(database, refused, write(event(3)))
    assert ids(database) == [3]


def test_a_nul_is_replaced(database: str) -> None:
    attributes: dict[str, Any] = {"a": "x\0y", "kept": "\\u0000", "odd": "\\\0"}
    run(database, write(event(1, operation_name="a\0b", custom_attributes=attributes)))
    ((name, told),) = ask(database, "SELECT operation_name, custom_attributes FROM metric_events")
    assert name == "a\ufffdb"
    assert told == {"a": "x\ufffdy", "kept": "\\u0000", "odd": "\\\ufffd"}


def test_a_pool_has_no_more_connections_than_it_may(database: str) -> None:
    async def many(backend: PostgresBackend) -> None:
        await asyncio.gather(
            *(
                backend.write_batch([event(10 * one + two) for two in range(10)])
                for one in range(20)
            )
        )

    run(database, many, pool_size=3)
    assert len(ids(database)) == 200


def test_a_cancelled_write_leaves_nothing(database: str) -> None:
    async def cancel(backend: PostgresBackend) -> None:
        events = [event(number) for number in range(20_000)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await backend.write_batch(events)
        await backend.write_batch([event(1)])

    run(database, cancel)
    assert ids(database) == [1]


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """Give a server that may be stopped: that of the other tests stays up."""
    postgres = Postgres()
    yield postgres
    postgres.remove()


def test_an_outage_of_the_server_loses_nothing(own: Postgres) -> None:
    mine = own.database()
    given = settings(max_retries=100_000, batch_size=50)
    storage = given.storage.model_copy(update=dict(config(mine, batch_size=50)))
    transport = InProcessTransport(
        PostgresBackend(storage), given.model_copy(update={"storage": storage}), make
    )
    transport.start()
    for number in range(1000):
        transport.put(call(number))
    assert transport.flush(30)
    own.stop()
    for number in range(1000, 2000):
        transport.put(call(number))
    wait_for(lambda: transport.stats().retried > 0)
    own.start()
    assert transport.flush(60)
    assert transport.stop(10)
    assert ids(mine) == list(range(2000))


def test_connections_that_lead_to_the_old_server_are_replaced(own: Postgres) -> None:
    mine = own.database()

    async def again(_: PostgresBackend) -> None:
        await asyncio.to_thread(own.stop)
        await asyncio.to_thread(own.start)

    run(mine, write(event(1)), again, write(event(2)))
    assert ids(mine) == [1, 2]


def test_health_is_whether_the_store_answers(database: str) -> None:
    async def healthy(backend: PostgresBackend) -> None:
        assert await backend.health_check()

    run(database, healthy)
    nobody = config("postgresql:///nobody?host=/nowhere")
    assert not asyncio.run(PostgresBackend(nobody).health_check())
