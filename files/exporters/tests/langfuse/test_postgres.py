"""Database mode against a real PostgreSQL with the tables of Langfuse 2."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from exporter_testing.langfuse.checks import check_all
from exporter_testing.langfuse.data import Project, expect, project
from exporter_testing.postgres import Postgres
from exporter_testing.process import Start, free_port, wait_for
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.langfuse.database.choice import open_database
from llm_monitor.langfuse.facts import Poll

TABLES = Path(__file__).with_name("langfuse_2.sql")


class Database:
    """A PostgreSQL with a project in it, and the URL of a user who may read."""

    def __init__(self) -> None:
        self.server = Postgres()
        self.project = project()
        self.server.execute(TABLES.read_text(encoding="utf-8"))
        self.password = self.server.user("monitor")
        self.server.execute("GRANT SELECT ON traces, observations, scores TO monitor")
        self.url = self.server.url("monitor", self.password)
        _fill(self.server, self.project)


def _utc(moment: float | None) -> datetime | None:
    return (
        None
        if moment is None
        else datetime.fromtimestamp(round(moment, 3), UTC).replace(tzinfo=None)
    )


def _fill(server: Postgres, made: Project) -> None:
    server.execute(
        "INSERT INTO traces (id, timestamp, user_id, session_id, project_id)"
        " VALUES (%s, %s, %s, %s, 'p')",
        [(one.id, _utc(one.at), one.user, one.session) for one in made.traces],
    )
    server.execute(
        "INSERT INTO observations (id, trace_id, type, level, model, start_time, end_time,"
        " completion_start_time, prompt_tokens, completion_tokens, calculated_total_cost,"
        " project_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'p')",
        [
            (
                *(one.id, one.trace, "GENERATION" if one.model else "SPAN", one.level, one.model),
                *(_utc(one.start), _utc(one.end), _utc(one.first), one.input, one.output, one.cost),
            )
            for one in made.observations
        ],
    )
    server.execute(
        "INSERT INTO scores (id, trace_id, name, data_type, value, timestamp, source, project_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, 'API', 'p')",
        [(one.id, one.trace, one.name, one.kind, one.value, _utc(one.at)) for one in made.scores],
    )


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    one = Database()
    yield one
    one.server.remove()


def poll(url: str, seconds: float = 20, timeout: float = 10) -> Poll:
    repository = open_database(url, timeout, Complaints("test"), "")
    return repository.poll(Deadline.after(seconds))


def failure(url: str, seconds: float = 5, timeout: float = 2) -> UpstreamError:
    """Return the error of a poll that fails within its time, and tells no secret."""
    began = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        poll(url, seconds, timeout)
    assert time.monotonic() - began < seconds + 1
    assert url.split("@")[0].rsplit(":")[-1] not in str(caught.value)
    return caught.value


def asked(question: Callable[[], object]) -> tuple[threading.Thread, list[UpstreamError]]:
    """Ask in a thread of its own; return that and the errors to come."""
    errors: list[UpstreamError] = []

    def ask() -> None:
        try:
            question()
        except UpstreamError as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    return asking, errors


def test_the_tables_of_langfuse_2_number_by_number(database: Database) -> None:
    found = poll(database.url)
    assert found.source == "postgresql"
    assert found.newest == pytest.approx(database.project.newest(), abs=2e-3)
    for window, usage in found.windows.items():
        expected = expect(database.project, window)
        check_all(usage, expected)
        assert (usage.sessions, usage.users) == (expected.sessions, expected.users)


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "postgresql+psycopg2"])
def test_whichever_driver_the_url_names(database: Database, driver: str) -> None:
    url = database.url.replace("postgresql", driver, 1)
    assert poll(url).windows["24h"].traces == expect(database.project, "24h").traces


def test_only_a_part_of_the_tables_is_read(database: Database) -> None:
    with database.server.connect() as connection:
        connection.execute("SET enable_seqscan = off")
        for table, column in (("traces", "timestamp"), ("observations", "start_time")):
            plan = connection.execute(
                f"EXPLAIN SELECT count(*) FROM {table} WHERE {column} >= now() AT TIME ZONE 'UTC'"  # type: ignore[arg-type] # noqa: S608
            ).fetchall()
            assert "Index" in str(plan)


def test_nothing_can_be_written(database: Database) -> None:
    owner = database.server.user("writer")
    database.server.execute("GRANT SELECT, DELETE ON traces TO writer")
    repository = open_database(database.server.url("writer", owner), 5, Complaints("test"), "")
    with (
        pytest.raises(UpstreamError),
        repository._database.transaction(Deadline.after(5)) as transaction,  # type: ignore[attr-defined] # noqa: SLF001
    ):
        transaction.rows(text("DELETE FROM traces RETURNING id"))


def test_a_wrong_password(database: Database) -> None:
    error = failure(database.server.url("monitor", "planted-password"))
    assert error.reason == Reason.UNAUTHORIZED
    assert "planted" not in repr(error)


def test_a_user_that_may_not_read(database: Database) -> None:
    password = database.server.user("stranger")
    error = failure(database.server.url("stranger", password))
    assert error.reason == Reason.UNAUTHORIZED
    assert "may not read" in str(error)


def test_a_database_that_is_not_there(database: Database) -> None:
    error = failure(database.server.url("monitor", database.password, "nothing"))
    assert error.reason == Reason.UNAUTHORIZED


def test_a_database_without_langfuses_tables(database: Database) -> None:
    database.server.execute("CREATE DATABASE empty")
    error = failure(database.server.url("monitor", database.password, "empty"))
    assert "none of Langfuse's tables" in str(error)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("no-such-host.invalid", {"dns", "timeout"}), ("127.0.0.1", {"refused"})],
)
def test_a_server_that_is_not_there(host: str, reason: set[str]) -> None:
    assert failure(f"postgresql://u:planted@{host}:{free_port()}/d").reason in reason


@pytest.mark.parametrize("query", ["no_such_option=planted", "sslmode=planted", "port=planted"])
def test_options_of_the_url_that_can_not_be_used(database: Database, query: str) -> None:
    error = failure(f"{database.url}?{query}")
    assert "planted" not in str(error)


def test_it_ends_at_once_while_a_statement_runs(database: Database, start_exporter: Start) -> None:
    with database.server.connect() as locking, locking.transaction():
        locking.execute("LOCK TABLE traces IN ACCESS EXCLUSIVE MODE")
        running = start_exporter("langfuse", {"LANGFUSE__DATABASE": database.url})
        with database.server.connect() as other:
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            wait_for(lambda: other.execute(waiting).fetchone() is not None)
        assert running.terminate() < 5


def test_a_locked_table_costs_no_more_than_the_timeout(database: Database) -> None:
    with database.server.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE observations IN ACCESS EXCLUSIVE MODE")
        error = failure(database.url, timeout=0.5)
    assert error.reason == Reason.TIMEOUT
    assert poll(database.url).windows["5m"].models


@pytest.mark.parametrize("question", ["version", "poll"])
def test_not_even_the_first_statement_takes_longer_than_the_timeout(
    database: Database, question: str
) -> None:
    repository = open_database(database.url, 0.5, Complaints("test"), "")
    with database.server.connect() as locking, locking.transaction():
        # Whatever a statement is about, it looks the types of its columns up here.
        locking.execute("LOCK TABLE pg_catalog.pg_type IN ACCESS EXCLUSIVE MODE")
        asking, errors = asked(lambda: getattr(repository, question)(Deadline.after(20)))
        asking.join(timeout=5)
        assert [error.reason for error in errors] == [Reason.TIMEOUT]


def test_all_statements_end_by_the_deadline(database: Database) -> None:
    with database.server.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        error = failure(database.url, seconds=1, timeout=30)
    assert error.reason == Reason.TIMEOUT


def test_a_server_that_dies_within_a_poll(database: Database) -> None:
    with (
        database.server.connect() as locking,
        database.server.connect() as other,
        locking.transaction(),
    ):
        locking.execute("LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        asking, errors = asked(lambda: poll(database.url))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_for(lambda: other.execute(waiting).fetchone() is not None)
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'llm-monitor'"
        )
        asking.join(timeout=10)
    assert [error.reason for error in errors] == ["connection"]


def test_a_server_without_a_connection_left(database: Database) -> None:
    held: list[psycopg.Connection[object]] = [psycopg.connect(database.url, autocommit=True)]
    # Those of other tests may still be ending.
    clients = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    try:
        wait_for(lambda: held[0].execute(clients).fetchone() == (1,))
        while True:
            held.append(psycopg.connect(database.url))
    except psycopg.OperationalError:
        error = failure(database.url)
    finally:
        for one in held:
            one.close()
    assert error.reason == Reason.CONNECTION


def test_the_exporter_over_a_database_that_goes_and_comes_back(
    database: Database, start_exporter: Start, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    secret.write_text(f"{database.url}\n")
    running = start_exporter(
        "langfuse",
        {"LANGFUSE__DATABASE_FILE": str(secret), "LANGFUSE__INTERVAL": "10s", "MIN_INTERVAL": "0"},
    )

    def shows(*lines: str) -> bool:
        text = running.get().text
        return all(line in text for line in lines)

    expected = expect(database.project, "24h")
    traces = f'llm_monitor_langfuse_traces{{window="24h"}} {expected.traces}\n'
    wait_for(lambda: shows(traces, "llm_monitor_langfuse_up 1\n"), 20)
    assert shows('llm_monitor_langfuse_source_info{source="postgresql"} 1\n')
    assert not shows("llm_monitor_langfuse_ready")
    database.server.stop()
    wait_for(lambda: shows("llm_monitor_langfuse_up 0\n"), 30)
    # A check tells that it is gone; what was polled goes with the next poll.
    wait_for(lambda: not shows("llm_monitor_langfuse_traces{"), 30)
    wait_for(lambda: shows('upstream_errors_total{endpoint="database",reason="refused"}'), 30)
    database.server.start()
    wait_for(lambda: shows(traces, "llm_monitor_langfuse_up 1\n"), 30)
    told = running.output.read_text() + running.get().text + running.get("/api/v1/usage").text
    assert database.password not in told
    lines = map(json.loads, running.output.read_text().splitlines())
    reasons = [line["reason"] for line in lines if line["event"] == "upstream failed"]
    # Whatever was under way when it stopped has failed for a reason of its own.
    assert "refused" in reasons
    assert len(set(reasons)) == len(reasons) <= 2
    assert told.count("upstream recovered") == 1


def test_what_the_database_says_of_a_password_is_told_nowhere(
    database: Database, start_exporter: Start, tmp_path: Path
) -> None:
    server, password = database.server, database.password
    server.execute("CREATE DATABASE echo", database="postgres")
    for statement in (
        f"""CREATE FUNCTION say() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
            RAISE WARNING 'the password is {password}';
            RAISE EXCEPTION 'the password is {password}' USING HINT = '{password}',
                DETAIL = '{password}', ERRCODE = 'XX000'; END $$""",
        """CREATE VIEW traces AS SELECT now() AT TIME ZONE 'UTC' - interval '1 minute' AS timestamp,
            say() AS session_id, '' AS user_id""",
        "GRANT SELECT ON traces TO monitor",
    ):
        server.execute(statement, database="echo")
    secret = tmp_path / "url"
    secret.write_text(server.url("monitor", password, "echo"))
    settings = {"LANGFUSE__DATABASE_FILE": str(secret), "LOG_LEVEL": "debug", "MIN_INTERVAL": "0"}
    running = start_exporter("langfuse", settings)
    wait_for(lambda: '{collector="usage"} 0' in running.get().text, 20)
    told = [running.get(path).text for path in ("/metrics", "/api/v1/usage", "/docs")]
    told += [running.output.read_text(), running.get("/openapi.json").text]
    told += [Path(f"/proc/{running.process.pid}/{it}").read_text() for it in ("cmdline", "environ")]
    assert "it answered with the error XX000" in running.output.read_text()
    assert not [text for text in told if password in text]
