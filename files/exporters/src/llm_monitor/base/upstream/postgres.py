"""PostgreSQL, by SQLAlchemy and psycopg: questions that change nothing and end in time.

Every transaction is read-only, has a connection of its own, and each of its statements has a limit
to its time that PostgreSQL itself keeps.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    TextClause,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError

Meanings = Mapping[str, tuple[Reason, str]]
Row = dict[str, Any]

_DRIVER = "postgresql+psycopg"
_LONGEST_CONNECT = 10

_READ_ONLY = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

# The first two characters of an SQLSTATE, or all five: its class or the very condition.
_MEANINGS: Meanings = {
    "28": (Reason.UNAUTHORIZED, "the database refuses this user or password"),
    "3D": (Reason.UNAUTHORIZED, "there is no such database"),
    "57014": (Reason.TIMEOUT, "a statement took too long"),
    "55P03": (Reason.TIMEOUT, "a table is locked"),
    "57": (Reason.CONNECTION, "the database shuts down or starts"),
    "53": (Reason.CONNECTION, "the database has no connection left"),
    "08": (Reason.CONNECTION, "the connection failed"),
}

# Whatever else is in its place is text of the server's.
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")


class Transaction:
    """A transaction that can't write."""

    def __init__(self, database: "Database", connection: Connection, deadline: Deadline) -> None:
        """Ask over `connection` until `deadline`."""
        self._database = database
        self._connection = connection
        self._deadline = deadline

    def rows(self, statement: TextClause, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Return a statement's rows.

        Raises:
            UpstreamError: When no time is left.
            SQLAlchemyError: When PostgreSQL does not answer, or not as it should.
        """
        self._connection.execute(text(self._database.limit(self._deadline)))
        result = self._connection.execute(statement, values or {})
        names = list(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]


class Database:
    """A database that is asked over a new connection each time."""

    def __init__(self, address: URL, timeout: float, meanings: Meanings) -> None:
        """Ask the database at `address`.

        Args:
            address: Where it is.
            timeout: Seconds that a statement may take.
            meanings: What SQLSTATEs mean here, beside those that mean the same everywhere.
        """
        self._address = address
        self._timeout = timeout
        self._meanings = {**_MEANINGS, **meanings}

    @contextmanager
    def transaction(self, deadline: Deadline) -> Iterator[Transaction]:
        """Give a transaction that sees one state of the data.

        Raises:
            UpstreamError: For whatever goes wrong with it; no text of it holds the password.
        """
        try:
            with self._engine(deadline).connect() as connection, connection.begin():
                connection.execute(text(self.limit(deadline)))
                connection.execute(
                    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                )
                yield Transaction(self, connection, deadline)
        except SQLAlchemyError as error:
            raise self._failure(error) from None

    def limit(self, deadline: Deadline) -> str:
        """Return what lets PostgreSQL itself end the transaction's next statement in time.

        Raises:
            UpstreamError: When no time is left for one.
        """
        limit = int(1000 * min(self._timeout, deadline.remaining()))
        if not limit:
            raise UpstreamError(Reason.TIMEOUT, f"{self._where()}: no time left for all statements")
        # Not when connecting: a pool such as PgBouncer does not pass such parameters on. Not by
        # set_config() either: it needs a catalog that may be locked, and nothing would limit it.
        return f"SET LOCAL statement_timeout = {limit}"

    def failure(self, reason: Reason, sentence: str) -> UpstreamError:
        """Return the error that says `sentence` of this database."""
        return UpstreamError(reason, f"{self._where()}: {sentence}")

    def _engine(self, deadline: Deadline) -> Engine:
        wait = max(2, int(min(self._timeout, _LONGEST_CONNECT, deadline.remaining())))
        engine = create_engine(
            self._address,
            poolclass=NullPool,
            # Nobody here has any, and whether the server does would be one more question.
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
            connection.execute(self.limit(deadline))

        # Before SQLAlchemy's own questions, such as that for the server's version.
        event.listen(engine, "connect", limit_first, insert=True)
        return engine

    def _failure(self, error: SQLAlchemyError) -> UpstreamError:
        """Return what an error means, without its text: that holds statements and their values."""
        cause = error.orig if isinstance(error, DBAPIError) else None
        state = getattr(cause, "sqlstate", None) or ""
        known = self._meanings.get(state) or self._meanings.get(state[:2])
        return self.failure(*(known or _unnamed(cause, state)))

    def _where(self) -> str:
        return f"postgresql://{self._address.host or ''}:{self._address.port or 5432}"


def address(url: str, example: str) -> URL:
    """Return a URL for the driver that is here, whichever it names.

    Raises:
        ValueError: When it is none; its text does not have the URL, but `example`.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        message = f"database is no URL; expected {example}"
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
        return _MEANINGS["28"]
    if "does not exist" in told:
        return _MEANINGS["3D"]
    if "could not translate host name" in told or "name or service" in told:
        return Reason.DNS, "the name can't be resolved"
    if "refused" in told or "no such file" in told:
        return Reason.REFUSED, "connection refused"
    if "timeout" in told or "timed out" in told:
        return Reason.TIMEOUT, "no connection in time"
    return Reason.CONNECTION, f"the connection failed ({type(cause).__name__})"
