"""The keeper of an event store, with a real PostgreSQL that is its alone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage import migrations
from llmops_monitoring.storage.keeper import running, store, verdict
from llmops_monitoring.storage.keeper.settings import READER, WRITER, Settings
from llmops_monitoring.storage.postgres import PostgresBackend
from llmops_testing.events import event
from llmops_testing.postgres import Postgres
from llmops_testing.waiting import wait_for

OWNER = "llmops_owner"
TODAY = date(2026, 11, 20)
# What a password may hold, and what would end a literal or a connection string.
PASSWORDS = {"owner": 'o\'wner\\pass "word"', "writer": "wr'iter@/:?#%$$", "reader": "re\\ader-é"}


class Store:
    """A database of the owner's, and the files of the keeper that is told of it."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self.server = server
        self.name = f"events_{os.urandom(4).hex()}"
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        for name, password in PASSWORDS.items():
            self.set_password(name, password)
        quoted = PASSWORDS["owner"].replace("'", "''")
        server.ask("postgres", f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{quoted}'")
        server.ask("postgres", f"CREATE DATABASE {self.name} OWNER {OWNER}")
        self.well = folder / "well"

    def remove(self) -> None:
        self.server.ask("postgres", f"DROP DATABASE {self.name} WITH (FORCE)")
        for role in (WRITER, READER, OWNER):
            self.server.ask("postgres", f"DROP ROLE IF EXISTS {role}")

    def set_password(self, of: str, password: str) -> None:
        (self.secrets / f"{of}_password").write_text(password + "\n", encoding="utf-8")

    def settings(self, retention_days: int = 30) -> Settings:
        where = f"host=127.0.0.1 port={self.server.port} dbname={self.name} user={OWNER}"
        return Settings(where, self.secrets, retention_days, self.well)

    def keep(self, today: date = TODAY, retention_days: int = 30) -> store.Turn:
        settings = self.settings(retention_days)

        async def main() -> store.Turn:
            async with store.connected(settings) as connection:
                return await store.keep(connection, settings, today)

        return asyncio.run(main())

    def problems(self, today: date = TODAY) -> list[str]:
        return asyncio.run(verdict.problems(self.settings(), today))

    def write(self, *events: MetricEvent) -> None:
        """Write as an application does."""
        where = f"host=127.0.0.1 port={self.server.port} dbname={self.name} user={WRITER}"
        secret = (self.secrets / "writer_password").read_text(encoding="utf-8").rstrip("\n")
        told = psycopg.conninfo.make_conninfo(where, password=secret)

        async def main() -> None:
            config = StorageConfig(backend="postgres", connection_string=SecretStr(told))
            backend = PostgresBackend(config)
            await backend.initialize()
            await backend.write_batch(events)
            await backend.close()

        asyncio.run(main())

    def ask(self, user: str, password: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.server.port,
            dbname=self.name,
            user=user,
            password=password,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def as_writer(self, statement: str) -> list[tuple[Any, ...]]:
        return self.ask(WRITER, PASSWORDS["writer"], statement)

    def as_reader(self, statement: str) -> list[tuple[Any, ...]]:
        return self.ask(READER, PASSWORDS["reader"], statement)

    def days(self) -> list[str]:
        rows = self.server.ask(
            self.name,
            "SELECT relname FROM pg_class"
            " WHERE relname ~ '^metric_events_[0-9]+$' AND relkind = 'r'",
        )
        return sorted(name.removeprefix("metric_events_") for (name,) in rows)

    def ids(self) -> list[int]:
        rows = self.as_reader("SELECT event_id FROM metric_events")
        return sorted(int(one, 16) for (one,) in rows)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """Return a server of this file alone: roles are those of all its databases."""
    postgres = Postgres()
    yield postgres
    postgres.remove()


@pytest.fixture
def kept(cluster: Postgres, tmp_path: Path) -> Iterator[Store]:
    made = Store(cluster, tmp_path)
    yield made
    made.remove()


def moment(day: int, hour: int = 12, **more: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC) + timedelta(**more)


def test_an_empty_database_becomes_an_event_store(kept: Store) -> None:
    days = [TODAY + timedelta(days=ahead) for ahead in range(4)]
    assert kept.problems() != []
    assert kept.keep() == store.Turn(sorted(migrations.steps()), days, [])
    assert kept.days() == ["20261120", "20261121", "20261122", "20261123"]
    assert kept.problems() == []


def test_a_second_turn_changes_nothing(kept: Store) -> None:
    kept.keep()
    kept.write(event(1, timestamp=moment(20)))
    assert kept.keep() == store.Turn([], [], [])
    assert kept.ids() == [1]


def test_the_librarys_backend_writes_and_the_reader_reads(kept: Store) -> None:
    kept.keep()
    # The second batch has one that is there, and one of a day that nobody has made yet.
    kept.write(event(1, timestamp=moment(20)))
    kept.write(event(1, timestamp=moment(20)), event(2, timestamp=moment(28)))
    assert kept.ids() == [1, 2]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM metric_events",
        "SELECT * FROM metric_events_20261120",
        "UPDATE metric_events SET cost = 0",
        "DELETE FROM metric_events",
        "TRUNCATE metric_events",
        "DROP TABLE metric_events_20261120",
        "SELECT metric_events_drop_partitions('2030-01-01')",
        "INSERT INTO metric_events_versions VALUES (7)",
        "ALTER TABLE metric_events ADD COLUMN mine text",
        "CREATE TABLE mine ()",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "COPY metric_events TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "SET ROLE llmops_owner",
    ],
)
@pytest.mark.parametrize("user", [WRITER, READER])
def test_what_neither_of_them_needs_is_refused(kept: Store, user: str, statement: str) -> None:
    kept.keep()
    if user == READER and statement == "SELECT * FROM metric_events":
        assert kept.as_reader(statement) == []
        return
    asks = kept.as_writer if user == WRITER else kept.as_reader
    refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
    with pytest.raises(refusals):
        asks(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO metric_events SELECT * FROM metric_events",
        "SELECT metric_events_add_partition('2026-01-01')",
        "DELETE FROM metric_events",
        "CREATE TEMPORARY TABLE mine ()",
    ],
)
def test_a_reader_who_allows_himself_to_write_may_not(kept: Store, statement: str) -> None:
    kept.keep()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        kept.as_reader(f"BEGIN READ WRITE; {statement}")


def test_others_can_not_even_connect(kept: Store) -> None:
    kept.keep()
    password = kept.server.role(f"other_{kept.name}")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        kept.ask(f"other_{kept.name}", password, "SELECT 1")


def test_a_forgotten_statement_of_a_reader_ends(kept: Store) -> None:
    kept.keep()
    assert kept.as_reader("SHOW statement_timeout") == [("30s",)]


def test_a_new_password_is_the_only_one_that_does(kept: Store) -> None:
    kept.keep()
    kept.set_password("reader", "another one")
    kept.set_password("writer", "a third one")
    kept.keep()
    assert kept.problems() == []
    for user, old in ((READER, PASSWORDS["reader"]), (WRITER, PASSWORDS["writer"])):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            kept.ask(user, old, "SELECT 1")
    assert kept.ask(READER, "another one", "SELECT 1") == [(1,)]
    assert kept.ask(WRITER, "a third one", "SELECT 1") == [(1,)]


def test_the_server_knows_hashes_alone(kept: Store) -> None:
    kept.keep()
    rows = kept.server.ask("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname ~ 'llmops'")
    assert len(rows) == 3
    assert all(hashed.startswith("SCRAM-SHA-256$4096:") for (hashed,) in rows)


def test_what_was_given_to_a_role_by_hand_is_not_lost_nor_is_a_role_that_is(kept: Store) -> None:
    kept.keep()
    kept.server.ask(kept.name, f"DROP OWNED BY {READER}")
    kept.server.ask(kept.name, f"DROP ROLE {READER}")
    assert kept.problems() != []
    kept.keep()
    assert kept.problems() == []


def test_days_go_when_all_of_them_is_older_than_the_retention(kept: Store) -> None:
    kept.keep()
    edges = [
        # Days 17 and 18: the last moment of one, the first of the other.
        moment(18, 0, microseconds=-1),
        moment(18, 0),
        moment(19, 0, microseconds=-1),
        moment(19, 0),
        moment(20, 0),
    ]
    kept.write(*(event(number, timestamp=one) for number, one in enumerate(edges)))
    assert kept.keep(date(2026, 11, 20), retention_days=2).dropped == [date(2026, 11, 17)]
    assert kept.ids() == [1, 2, 3, 4]
    assert kept.keep(date(2026, 11, 21), retention_days=2).dropped == [date(2026, 11, 18)]
    assert kept.ids() == [3, 4]
    assert kept.keep(date(2026, 11, 21), retention_days=1).dropped == [date(2026, 11, 19)]
    assert kept.ids() == [4]


def test_a_longer_retention_drops_nothing_and_a_shorter_one_at_once(kept: Store) -> None:
    kept.keep()
    kept.write(*(event(day, timestamp=moment(day)) for day in range(1, 21)))
    assert kept.keep(retention_days=365).dropped == []
    assert len(kept.keep(retention_days=5).dropped) == 14
    assert kept.ids() == list(range(15, 21))


def test_days_over_a_month_and_a_year_are_made(kept: Store) -> None:
    turn = kept.keep(date(2026, 12, 30))
    assert turn.made[-1] == date(2027, 1, 2)
    assert kept.days() == ["20261230", "20261231", "20270101", "20270102"]


def test_who_reads_for_long_holds_up_nobody_for_longer_than_a_moment(kept: Store) -> None:
    kept.keep()
    kept.write(event(1, timestamp=moment(1)))
    told = {"host": "127.0.0.1", "port": kept.server.port, "dbname": kept.name}
    with psycopg.connect(**told, user=READER, password=PASSWORDS["reader"]) as reading:  # type: ignore[arg-type]
        reading.execute("SELECT * FROM metric_events").fetchall()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            kept.keep(retention_days=2)
        kept.write(event(2, timestamp=moment(20)))
    assert kept.keep(retention_days=2).dropped == [date(2026, 11, 1)]
    assert kept.ids() == [2]


def test_a_database_of_somebody_else_is_left_alone(kept: Store) -> None:
    kept.server.ask("postgres", f"ALTER DATABASE {kept.name} OWNER TO owner")
    told = f"the database {kept.name} belongs to owner, not to llmops_owner: ALTER DATABASE"
    with pytest.raises(store.StoreError, match=told):
        kept.keep()
    assert kept.server.ask("postgres", f"SELECT FROM pg_roles WHERE rolname = '{WRITER}'") == []


def test_a_table_of_somebody_else_is_left_alone(kept: Store) -> None:
    kept.server.ask(kept.name, "CREATE TABLE public.metric_events (mine text)")
    with pytest.raises(store.StoreError, match=r"metric_events belongs to owner, not to llmops_o"):
        kept.keep()
    assert kept.server.ask(kept.name, "SELECT * FROM metric_events") == []


def test_an_older_keeper_leaves_a_newer_store_as_it_is(kept: Store) -> None:
    kept.keep()
    kept.server.ask(kept.name, "INSERT INTO metric_events_versions VALUES (99)")
    assert kept.keep().applied == []
    assert kept.problems() == []


def test_what_is_wrong_is_told(kept: Store) -> None:
    kept.keep()
    assert kept.problems(date(2026, 11, 23)) == ["it has no partition for 2026-11-24"]
    assert kept.problems(date(2026, 11, 24))[1] == "it has no partition for 2026-11-25"
    kept.server.ask(kept.name, f"REVOKE INSERT ON metric_events FROM {WRITER}")
    assert kept.problems() == ["llmops_writer may not write into public.metric_events"]
    kept.keep()
    kept.server.ask(kept.name, "DELETE FROM metric_events_versions")
    (told,) = kept.problems()
    assert told == f"its migrations are at version 0, and {max(migrations.steps())} is wanted"
    kept.set_password("reader", "wrong")
    assert "llmops_reader finds no event store: " in kept.problems()[0]
    assert "wrong" not in str(kept.problems())


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        (moment(20, 12), 3600.0),
        (moment(20, 23, minutes=30), 1805.0),
        (moment(21, 0), 3600.0),
        (moment(21, 0, microseconds=-1), 5.000001),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 65.0),
    ],
)
def test_the_next_turn_is_in_an_hour_or_when_a_day_begins(at: datetime, seconds: float) -> None:
    assert running.until_next(at) == seconds


class Program:
    """The keeper as its container runs it."""

    def __init__(self, kept: Store, log: Path, **given: str) -> None:
        self.log = log
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "LLMOPS_KEEPER_DATABASE": kept.settings().database,
            "LLMOPS_KEEPER_SECRETS": str(kept.secrets),
            "LLMOPS_KEEPER_RETENTION_DAYS": "30",
            "LLMOPS_KEEPER_WELL": str(kept.well),
            **given,
        }
        self.command = [sys.executable, "-m", "llmops_monitoring.storage.keeper"]

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            return subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)

    def once(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.command, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def test_it_runs_until_it_is_told_to_end(kept: Store, tmp_path: Path) -> None:
    program = Program(kept, tmp_path / "log")
    process = program.start()
    wait_for(kept.well.exists, 20)
    done = program.once("--verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert not kept.well.exists()
    (line,) = program.lines()
    assert (line["level"], line["event"]) == ("info", "the event store is in order")
    assert line["migrations_applied"] == sorted(migrations.steps())
    assert len(line["days_made"]) == 4


def test_a_database_that_comes_late_is_waited_for(cluster: Postgres, tmp_path: Path) -> None:
    kept = Store(cluster, tmp_path)
    program = Program(kept, tmp_path / "log")
    cluster.stop()
    process = program.start()
    try:
        wait_for(lambda: len(program.lines()) >= 2, 20)
        assert not kept.well.exists()
        cluster.start()
        wait_for(kept.well.exists, 20)
    finally:
        process.terminate()
        assert process.wait(5) == 0
        kept.remove()
    *failed, last = program.lines()
    assert {line["event"] for line in failed} == {"the event store is not in order"}
    assert [line["again_in_seconds"] for line in failed[:2]] == [1.0, 2.0]
    assert last["event"] == "the event store is in order"
    assert not [secret for secret in PASSWORDS.values() if secret in program.log.read_text()]


def test_what_is_no_longer_well_is_told_by_its_file(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "until_next", lambda _: 0.05)

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(running.run(kept.settings(), stop))
        await asyncio.to_thread(wait_for, kept.well.exists, 20)
        await asyncio.to_thread(kept.server.stop)
        await asyncio.to_thread(wait_for, lambda: not kept.well.exists(), 20)
        await asyncio.to_thread(kept.server.start)
        await asyncio.to_thread(wait_for, kept.well.exists, 20)
        stop.set()
        await task

    asyncio.run(main())
    assert not kept.well.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"LLMOPS_KEEPER_RETENTION_DAYS": "0"}, "RETENTION_DAYS is '0': must be a whole number of"),
        (
            {"LLMOPS_KEEPER_RETENTION_DAYS": "a month"},
            "is 'a month': must be a whole number of days",
        ),
        ({"LLMOPS_KEEPER_RETENTION_DAYS": "1e3"}, "is '1e3': must be"),
        ({"LLMOPS_KEEPER_DATABASE": ""}, "LLMOPS_KEEPER_DATABASE is not set"),
        ({"LLMOPS_KEEPER_SECRETS": "/nowhere"}, "/nowhere/owner_password can't be read"),
    ],
)
def test_what_it_can_t_work_with_ends_it_at_once(
    kept: Store, tmp_path: Path, given: dict[str, str], words: str
) -> None:
    done = Program(kept, tmp_path / "log", **given).once()
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_password_is_none(kept: Store, tmp_path: Path) -> None:
    kept.set_password("writer", "")
    done = Program(kept, tmp_path / "log").once("--check")
    assert done.returncode == 2
    assert "writer_password is empty: it must hold the password of the writer" in done.stderr


def test_its_check_needs_no_database(kept: Store, tmp_path: Path) -> None:
    program = Program(kept, tmp_path / "log", LLMOPS_KEEPER_DATABASE="host=192.0.2.1")
    done = program.once("--check")
    assert (done.returncode, done.stdout) == (0, f"migrations up to {max(migrations.steps())}\n")
    assert program.once("--chekc").returncode == 2


def test_its_verdict_ends_with_1_where_something_is_wrong(kept: Store, tmp_path: Path) -> None:
    done = Program(kept, tmp_path / "log").once("--verify")
    assert done.returncode == 1
    assert "llmops_reader finds no event store" in done.stdout
    assert "llmops_writer finds no event store" in done.stdout
    assert done.stderr == ""
