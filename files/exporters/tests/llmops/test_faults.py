"""What keeps the exporter from reading the event store, and what that costs."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from exporter_testing.event_store import TABLE, EventStore, event, later, poll, reader
from exporter_testing.process import free_port, wait_for
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.llmops import database
from llm_monitor.llmops.facts import WINDOWS


def failure(url: str, seconds: float = 6, timeout: float = 2) -> UpstreamError:
    """Return the error of a poll that fails within its time, and tells no secret."""
    began = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        reader(url, timeout).poll(Deadline.after(seconds))
    assert time.monotonic() - began < seconds + 1
    assert url.split("@")[0].rsplit(":")[-1] not in str(caught.value)
    return caught.value


def test_nothing_can_be_written(store: EventStore) -> None:
    store.execute(f"GRANT INSERT, DELETE ON {TABLE} TO monitor")
    asked = reader(store.url)
    with (
        pytest.raises(UpstreamError),
        asked._database.transaction(Deadline.after(5)) as transaction,  # noqa: SLF001
    ):
        transaction.rows(text(f"DELETE FROM {TABLE} RETURNING event_id"))  # noqa: S608


def test_a_wrong_password(store: EventStore) -> None:
    error = failure(store.server.url("monitor", "planted-password", store.database))
    assert error.reason is Reason.UNAUTHORIZED
    assert "planted" not in repr(error)


def test_a_user_that_may_not_read(store: EventStore) -> None:
    password = store.server.user(f"stranger_{store.database}")
    url = store.server.url(f"stranger_{store.database}", password, store.database)
    error = failure(url)
    assert error.reason is Reason.UNAUTHORIZED
    assert "may not read public.metric_events" in str(error)
    with pytest.raises(UpstreamError, match="may not read"):
        reader(url).version(Deadline.after(5))


def test_a_database_without_an_event_store(server: EventStore) -> None:
    url = server.bare()
    error = failure(url)
    assert error.reason is Reason.STATUS
    assert "its owner has to apply the migrations of llmops_monitoring first" in str(error)
    with pytest.raises(UpstreamError, match="there is no event store"):
        reader(url).version(Deadline.after(5))


def test_an_event_store_whose_migrations_did_not_end(store: EventStore) -> None:
    store.execute("DELETE FROM metric_events_versions")
    with pytest.raises(UpstreamError, match="there is no event store: its owner"):
        reader(store.url).version(Deadline.after(5))


def test_the_first_version_is_read_too(store: EventStore) -> None:
    store.write([event(10)])
    store.execute("DROP INDEX metric_events_timestamp_idx")
    store.execute("DELETE FROM metric_events_versions WHERE version > 1")
    assert reader(store.url).version(Deadline.after(5)) == 1
    assert poll(store.url).windows["5m"].total.requests == 1


def test_a_newer_version_is_read_as_long_as_it_has_the_columns(store: EventStore) -> None:
    store.write([event(10)])
    store.execute("INSERT INTO metric_events_versions VALUES (99)")
    store.execute(f"ALTER TABLE {TABLE} ADD COLUMN later text")
    assert reader(store.url).version(Deadline.after(5)) == 99
    assert poll(store.url).windows["5m"].total.requests == 1
    store.execute(f"ALTER TABLE {TABLE} RENAME COLUMN cost TO price")
    error = failure(store.url)
    assert "public.metric_events lacks columns" in str(error)


@pytest.mark.parametrize(
    ("host", "reasons"),
    [("no-such-host.invalid", {"dns", "timeout"}), ("127.0.0.1", {"refused"})],
)
def test_a_server_that_is_not_there(host: str, reasons: set[str]) -> None:
    assert failure(f"postgresql://u:planted@{host}:{free_port()}/d").reason in reasons


@pytest.mark.parametrize("query", ["no_such_option=planted", "sslmode=planted", "port=planted"])
def test_options_of_the_url_that_can_not_be_used(store: EventStore, query: str) -> None:
    assert "planted" not in str(failure(f"{store.url}?{query}"))


def in_a_thread(question: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Ask in a thread of its own; return that and the answer or error to come."""
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(question())
        except UpstreamError as error:
            answers.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    return asking, answers


def test_a_locked_table_costs_no_more_than_the_timeout(store: EventStore) -> None:
    with store.connect() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        assert failure(store.url, timeout=0.3).reason is Reason.TIMEOUT
    assert poll(store.url).windows


def test_a_window_that_takes_too_long_costs_no_other(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = reader(store.url, timeout=1, complaints=(complaints := Complaints("test")))
    store.write([event(10)])
    whole = database._span  # noqa: SLF001
    with store.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE pg_catalog.pg_aggregate IN ACCESS EXCLUSIVE MODE")

        def release(now: float, seconds: float) -> Any:
            if seconds == WINDOWS["1h"] and not connection.closed:
                connection.execute("ROLLBACK")
            return whole(now, seconds)

        monkeypatch.setattr(database, "_span", release)
        found = asked.poll(Deadline.after(20))
    assert list(found.windows) == ["1h", "24h"]
    assert complaints.counts() == {("database", "timeout"): 1}
    later(monkeypatch, 30)
    assert asked.poll(Deadline.after(20)).windows["5m"].total.requests == 1


def test_all_statements_end_by_the_deadline(store: EventStore) -> None:
    with store.connect() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        assert failure(store.url, seconds=2, timeout=30).reason is Reason.TIMEOUT


def test_a_server_that_dies_within_a_poll(store: EventStore) -> None:
    with store.connect() as locking, store.connect() as other, locking.transaction():
        locking.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        asking, answers = in_a_thread(lambda: poll(store.url))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_for(lambda: other.execute(waiting).fetchone() is not None)
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'llm-monitor'"
        )
        asking.join(timeout=10)
    (answer,) = answers
    assert isinstance(answer, UpstreamError)
    assert answer.reason is Reason.CONNECTION
