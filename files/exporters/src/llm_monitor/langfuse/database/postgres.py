"""Langfuse 2's PostgreSQL, by SQLAlchemy and psycopg, with a user that need only read.

Tables and columns: Langfuse's packages/shared/prisma/schema.prisma. All time columns are indexed,
and have no time zone: they are UTC.
"""

import time
from datetime import UTC, datetime
from decimal import Decimal

import structlog
from sqlalchemy import URL, text

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream import postgres
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason
from llm_monitor.base.upstream.questions import Questions
from llm_monitor.langfuse.database.rows import ENDPOINT, NEWEST_DAYS, models_of, scores_of
from llm_monitor.langfuse.facts import WINDOWS, Poll, Row, Usage

_SOURCE = "postgresql"
_EXAMPLE = "postgresql://user:password@host:5432/langfuse"

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

_MEANINGS: postgres.Meanings = {
    "42501": (Reason.UNAUTHORIZED, "this user may not read Langfuse's tables"),
    "42P01": (Reason.STATUS, "the database has none of Langfuse's tables"),
    "42703": (Reason.STATUS, "Langfuse's tables are not those of Langfuse 2"),
}

_log = structlog.get_logger(__name__)


class PostgresRepository:
    """Asks PostgreSQL."""

    def __init__(self, url: str, timeout: float, complaints: Complaints) -> None:
        """Ask the database at `url`; a statement may take `timeout` seconds."""
        self._database = postgres.Database(address(url), timeout, _MEANINGS)
        self._questions = Questions(complaints, ENDPOINT)
        self._warned = False

    def version(self, deadline: Deadline, /) -> str:
        """Return that the database answers; Langfuse's version is not in it."""
        with (
            self._questions.asking("version"),
            self._database.transaction(deadline) as transaction,
        ):
            transaction.rows(text("SELECT 1"))
        return ""

    def ready(self, _deadline: Deadline, /) -> None:
        """Return that a database does not tell."""
        return

    def poll(self, deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now."""
        now = time.time()
        with self._questions.asking("poll"), self._database.transaction(deadline) as transaction:
            windows = {
                window: _usage(transaction, now - seconds, now)
                for window, seconds in WINDOWS.items()
            }
            since = {"since": _moment(now - NEWEST_DAYS * 86400)}
            newest = transaction.rows(_NEWEST, since)[0]["newest"]
        if newest is None and not self._warned:
            self._warned = True
            advice = "Langfuse 3 and later keep traces in ClickHouse, whatever tables are left here"
            _log.warning("no traces in PostgreSQL", days=NEWEST_DAYS, advice=advice)
        newest_at = None if newest is None else newest.replace(tzinfo=UTC).timestamp()
        return Poll(_SOURCE, now, newest_at, windows)


def address(url: str) -> URL:
    """Return a URL for the driver that is here, whichever it names.

    Raises:
        ValueError: When it is none; its text does not have the URL.
    """
    return postgres.address(url, _EXAMPLE)


def _usage(transaction: postgres.Transaction, since: float, until: float) -> Usage:
    span = {"since": _moment(since), "until": _moment(until)}
    totals = transaction.rows(_TOTALS, span)[0]
    return Usage(
        totals["traces"],
        totals["sessions"],
        totals["users"],
        models_of(map(_plain, transaction.rows(_MODELS, span))),
        scores_of(map(_plain, transaction.rows(_SCORES, span))),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _plain(row: Row) -> Row:
    """Return a row without decimals, which sums of integers are."""
    return {name: float(it) if isinstance(it, Decimal) else it for name, it in row.items()}
