"""An event store in a real PostgreSQL, made and written by llmops_monitoring itself."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent, StreamMetrics, TokenMetrics
from llmops_monitoring.storage import migrations
from llmops_monitoring.storage.postgres import PostgresBackend

from exporter_testing.postgres import Postgres
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.llmops.database import EventStore as Reader
from llm_monitor.llmops.facts import Poll

TABLE = "metric_events"
_numbers = itertools.count(1)


def event(
    age: float,
    operation: str = "answer",
    model: str | None = "llama3-70b",
    *,
    duration: float = 1.0,
    first: float | None = None,
    tokens: tuple[int, int] | None = (100, 20),
    error: str | None = None,
    session: str | None = None,
    **fields: Any,
) -> MetricEvent:
    """Return the event of a call that began `age` seconds ago; times are in seconds."""
    number = next(_numbers)
    read, written = tokens or (0, 0)
    told: dict[str, Any] = {
        "event_id": f"{number:032x}",
        "session_id": session,
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "operation_name": operation,
        "operation_type": "llm_call",
        "timestamp": datetime.now(UTC) - timedelta(seconds=age),
        "duration_ms": 1000 * duration,
        "token_metrics": tokens
        and TokenMetrics(
            model=model, input_tokens=read, output_tokens=written, total_tokens=read + written
        ),
        "stream_metrics": first
        and StreamMetrics(ended="completed", chunks=9, time_to_first_token_ms=1000 * first),
        "error": error is not None,
        "error_type": error,
    }
    return MetricEvent(**{**told, **fields})


class EventStore:
    """A server of its own with an event store, and one who may read it.

    Attributes:
        server: The server.
        database: The name of the newest database.
        password: The reader's password.
    """

    def __init__(self) -> None:
        self.server = Postgres("events")
        self.database = self._usual = "events"
        self.password = self.server.user("monitor")

    @property
    def url(self) -> str:
        """The reader's URL of the newest database."""
        return self.server.url("monitor", self.password, self.database)

    def anew(self, schema: str = "public", table: str = TABLE) -> str:
        """Make an empty event store in place of the last one; return the reader's URL."""
        self.database = self._usual
        for name in {"public", schema}:
            self.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
            self.execute(f'CREATE SCHEMA "{name}"')
        return self.migrate(schema, table)

    def migrate(self, schema: str = "public", table: str = TABLE) -> str:
        """Make an event store in the newest database; return the reader's URL."""
        names = migrations.Names(schema, table)

        async def prepare() -> None:
            async with await psycopg.AsyncConnection.connect(self.owner, autocommit=True) as owner:
                await migrations.migrate(owner, names)
                await migrations.grant(owner, names, writer="owner", reader="monitor")

        asyncio.run(prepare())
        return self.url

    def bare(self) -> str:
        """Make a database without an event store; return the reader's URL."""
        self.database = f"events_{secrets.token_hex(4)}"
        self.server.execute(f"CREATE DATABASE {self.database}", database="postgres")
        return self.url

    @property
    def owner(self) -> str:
        """The URL of the owner of the newest database."""
        folder = quote(self.server.folder, safe="")
        return f"postgresql:///{self.database}?host={folder}&port={self.server.port}&user=owner"

    def write(
        self, events: Sequence[MetricEvent], schema: str = "public", table: str = TABLE
    ) -> None:
        """Have the library write events into the newest database."""
        config = StorageConfig(
            backend="postgres",
            connection_string=self.owner,  # type: ignore[arg-type]
            schema_name=schema,
            table_name=table,
        )

        async def main() -> None:
            backend = PostgresBackend(config)
            try:
                await backend.initialize()
                await backend.write_batch(events)
            finally:
                await backend.close()

        asyncio.run(main())

    def execute(self, statement: str) -> None:
        """Execute a statement of the owner in the newest database."""
        self.server.execute(statement, database=self.database)

    def connect(self) -> psycopg.Connection[Any]:
        """Return a connection of the owner to the newest database."""
        return self.server.connect(self.database)

    def fill(self, days: int, events: int) -> None:
        """Spread events evenly over the last days."""
        today = "(now() AT TIME ZONE 'UTC')::date"
        for day in range(days + 1):
            self.execute(f"SELECT metric_events_add_partition({today} - {day})")
        self.execute(f"""
            INSERT INTO {TABLE} (event_id, timestamp, schema_version, session_id, span_id,
                operation_name, operation_type, duration_ms, error, error_type, cost, model,
                input_tokens, output_tokens, total_tokens, stream_time_to_first_token_ms,
                custom_attributes)
            SELECT to_hex(i), now() - interval '{days} days' * ({events} - i) / ({events} + 1), 1,
                   'session-' || i / 7, 'span', 'operation-' || i % 20, 'llm_call',
                   100 + random() * 3000, i % 50 = 0, CASE WHEN i % 50 = 0 THEN 'TimeoutError' END,
                   0.001, 'model-' || i % 6, 100, 50, 150, random() * 400, '{{}}'
            FROM generate_series(1, {events}) AS i
        """)  # noqa: S608 - numbers


def reader(
    url: str,
    timeout: float = 10,
    most: int = 50,
    names: tuple[str, str] = ("public", TABLE),
    complaints: Complaints | None = None,
) -> Reader:
    """Return what reads an event store."""
    return Reader(url, names, timeout, most, complaints or Complaints("test"))


def poll(url: str, **settings: Any) -> Poll:
    """Return what a reader finds in each window."""
    return reader(url, **settings).poll(Deadline.after(20))


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Put the clock of intervals and deadlines forward."""
    read = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: read() + seconds)
