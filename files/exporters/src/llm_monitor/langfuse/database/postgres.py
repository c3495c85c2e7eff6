"""Langfuse 2's PostgreSQL, by SQLAlchemy and psycopg, with a user that need only read.

Tables and columns: Langfuse's packages/shared/prisma/schema.prisma. All time columns are indexed,
and have no time zone: they are UTC.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    RowMapping,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.langfuse.database.rows import NEWEST_DAYS, Questions, models_of, scores_of
from llm_monitor.langfuse.facts import WINDOWS, Poll, Row, Usage

_SOURCE = "postgresql"
_DRIVER = "postgresql+psycopg"
_LONGEST_CONNECT = 10

_TOTALS = text("""
    SELECT count(*) AS traces,
           count(DISTINCT nullif(session_id, '')) AS sessions,
           count(DISTINCT nullif(user_id, '')) AS users
    FROM traces WHERE timestamp >= :since AND timestamp < :until
""")
_MODELS = text("""
    SELECT nullif(model, '') AS model,
           count(*) AS observations,
           count(*) FILTER (WHERE level = 'ERROR') AS errors,
           sum(prompt_tokens) AS input_tokens,
           sum(completion_tokens) AS output_tokens,
           sum(coalesce(calculated_total_cost, total_cost)) AS cost,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
               ORDER BY extract(epoch FROM end_time - start_time)::float8) AS latency,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
               ORDER BY extract(epoch FROM completion_start_time - start_time)::float8
           ) AS first_token
    FROM observations WHERE start_time >= :since AND start_time < :until
    GROUP BY 1
""")
_SCORES = text("""
    SELECT name, count(*) AS count, avg(value) FILTER (WHERE data_type <> 'CATEGORICAL') AS mean
    FROM scores WHERE timestamp >= :since AND timestamp < :until
    GROUP BY name
""")
_NEWEST = text("""
    SELECT greatest(
        (SELECT max(timestamp) FROM traces WHERE timestamp >= :since),
        (SELECT max(start_time) FROM observations WHERE start_time >= :since)
    ) AS newest
""")

# The first two characters of an SQLSTATE, or all five: its class or the very condition.
_REASONS: Mapping[str, tuple[Reason, str]] = {
    "28": (Reason.UNAUTHORIZED, "the database refuses this user or password"),
    "3D": (Reason.UNAUTHORIZED, "there is no such database"),
    "42501": (Reason.UNAUTHORIZED, "this user may not read Langfuse's tables"),
    "42P01": (Reason.STATUS, "the database has none of Langfuse's tables"),
    "42703": (Reason.STATUS, "Langfuse's tables are not those of Langfuse 2"),
    "57014": (Reason.TIMEOUT, "a statement took too long"),
    "55P03": (Reason.TIMEOUT, "a table is locked"),
    "57": (Reason.CONNECTION, "the database shuts down or starts"),
    "53": (Reason.CONNECTION, "the database has no connection left"),
    "08": (Reason.CONNECTION, "the connection failed"),
}

# Whatever else is in its place is text of the server's.
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")

_log = structlog.get_logger(__name__)


class PostgresRepository:
    """Asks PostgreSQL, over a new connection for each poll."""

    def __init__(self, url: str, timeout: float, complaints: Complaints) -> None:
        """Ask the database at `url`; a statement may take `timeout` seconds."""
        self._address = address(url)
        self._timeout = timeout
        self._questions = Questions(complaints)
        self._warned = False

    def version(self, deadline: Deadline, /) -> str:
        """Return that the database answers; Langfuse's version is not in it."""
        with self._questions.asking("version"), self._connection(deadline) as connection:
            self._rows(connection, text("SELECT 1"), {}, deadline)
        return ""

    def ready(self, _deadline: Deadline, /) -> None:
        """Return that a database does not tell."""
        return

    def poll(self, deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now."""
        now = time.time()
        with self._questions.asking("poll"), self._connection(deadline) as connection:
            windows = {
                window: self._usage(connection, now - seconds, now, deadline)
                for window, seconds in WINDOWS.items()
            }
            since = {"since": _moment(now - NEWEST_DAYS * 86400)}
            newest = self._rows(connection, _NEWEST, since, deadline)[0]["newest"]
        if newest is None and not self._warned:
            self._warned = True
            advice = "Langfuse 3 and later keep traces in ClickHouse, whatever tables are left here"
            _log.warning("no traces in PostgreSQL", days=NEWEST_DAYS, advice=advice)
        newest_at = None if newest is None else newest.replace(tzinfo=UTC).timestamp()
        return Poll(_SOURCE, now, newest_at, windows)

    def _usage(
        self, connection: Connection, since: float, until: float, deadline: Deadline
    ) -> Usage:
        span = {"since": _moment(since), "until": _moment(until)}
        totals = self._rows(connection, _TOTALS, span, deadline)[0]
        return Usage(
            totals["traces"],
            totals["sessions"],
            totals["users"],
            models_of(map(_plain, self._rows(connection, _MODELS, span, deadline))),
            scores_of(map(_plain, self._rows(connection, _SCORES, span, deadline))),
        )

    def _rows(
        self, connection: Connection, statement: Any, values: Mapping[str, Any], deadline: Deadline
    ) -> list[RowMapping]:
        """Return a statement's rows."""
        connection.execute(text(self._limit(deadline)))
        return list(connection.execute(statement, values).mappings())

    def _limit(self, deadline: Deadline) -> str:
        """Return what lets PostgreSQL itself end the transaction's next statement in time."""
        limit = int(1000 * min(self._timeout, deadline.remaining()))
        if not limit:
            raise UpstreamError(Reason.TIMEOUT, f"{self._where()}: no time left for all statements")
        # Not when connecting: a pool such as PgBouncer does not pass such parameters on. Not by
        # set_config() either: it needs a catalog that may be locked, and nothing would limit it.
        return f"SET LOCAL statement_timeout = {limit}"

    @contextmanager
    def _connection(self, deadline: Deadline) -> Iterator[Connection]:
        """Give a connection within a transaction that can't write.

        Raises:
            UpstreamError: For whatever goes wrong with it; no text of it holds the password.
        """
        try:
            with self._engine(deadline).connect() as connection, connection.begin():
                connection.execute(text(self._limit(deadline)))
                connection.execute(text("SET TRANSACTION READ ONLY"))
                yield connection
        except SQLAlchemyError as error:
            raise self._failure(error) from None

    def _engine(self, deadline: Deadline) -> Engine:
        wait = max(2, int(min(self._timeout, _LONGEST_CONNECT, deadline.remaining())))
        engine = create_engine(
            self._address,
            poolclass=NullPool,
            # Langfuse has none, and whether the server does would be one more question.
            use_native_hstore=False,
            connect_args={
                "connect_timeout": wait,
                "application_name": "llm-monitor",
                # A server that is gone without a word would be waited for for minutes.
                "tcp_user_timeout": int(1000 * self._timeout),
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                # Kept plans are worth nothing to a connection that is used once.
                "prepare_threshold": None,
            },
        )

        def limit_first(connection: Any, _record: object) -> None:
            connection.execute(self._limit(deadline))

        # Before SQLAlchemy's own questions, such as that for the server's version.
        event.listen(engine, "connect", limit_first, insert=True)
        return engine

    def _failure(self, error: SQLAlchemyError) -> UpstreamError:
        """Return what an error means, without its text: that holds statements and their values."""
        cause = error.orig if isinstance(error, DBAPIError) else None
        state = getattr(cause, "sqlstate", None) or ""
        reason, sentence = _REASONS.get(state) or _REASONS.get(state[:2]) or _unnamed(cause, state)
        return UpstreamError(reason, f"{self._where()}: {sentence}")

    def _where(self) -> str:
        return f"postgresql://{self._address.host or ''}:{self._address.port or 5432}"


def address(url: str) -> URL:
    """Return a URL for the driver that is here, whichever it names.

    Raises:
        ValueError: When it is none; its text does not have the URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        message = "database is no URL; expected postgresql://user:password@host:5432/langfuse"
        raise ValueError(message) from None
    return parsed.set(drivername=_DRIVER)


def _unnamed(cause: BaseException | None, state: str) -> tuple[Reason, str]:
    """Return what an error without a meaning of its own means.

    libpq tells no code for what happens before a session has begun, only sentences of its own.
    """
    if state:
        known = _SQLSTATE.fullmatch(state)
        return Reason.STATUS, f"it answered with the error {state if known else 'of no known kind'}"
    told = str(cause).lower()
    if "password" in told or "authentication" in told or "no pg_hba.conf entry" in told:
        return _REASONS["28"]
    if "does not exist" in told:
        return _REASONS["3D"]
    if "could not translate host name" in told or "name or service" in told:
        return Reason.DNS, "the name can't be resolved"
    if "refused" in told or "no such file" in told:
        return Reason.REFUSED, "connection refused"
    if "timeout" in told or "timed out" in told:
        return Reason.TIMEOUT, "no connection in time"
    return Reason.CONNECTION, f"the connection failed ({type(cause).__name__})"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _plain(row: RowMapping) -> Row:
    """Return a row without decimals, which sums of integers are."""
    return {name: float(it) if isinstance(it, Decimal) else it for name, it in row.items()}
