"""The ClickHouse of Langfuse 3 and later, over its HTTP interface, with a user that need only read.

Tables and columns: Langfuse's packages/shared/clickhouse. Langfuse 3 has traces and observations;
Langfuse 4 writes events_core instead, and both at once while it is upgraded. All are partitioned by
month of their time, and ClickHouse leaves out parts that have no row of the time asked for.

Asked by GET, ClickHouse changes nothing, whatever the statement says.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Fetcher
from llm_monitor.base.upstream.questions import Questions
from llm_monitor.langfuse.database.rows import ENDPOINT, NEWEST_DAYS, models_of, scores_of
from llm_monitor.langfuse.facts import (
    LARGEST_ANSWER,
    WINDOWS,
    Poll,
    Row,
    Usage,
    calendar_time,
    number,
    rows_of,
)

_SOURCE = "clickhouse"
_SCHEMES = {"": "http", "http": "http", "https": "https", "connect": "http"}
_PORTS = {"http": 8123, "https": 8443}
_SECURE = frozenset({"1", "true", "yes"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one generation of Langfuse keeps what.

    Attributes:
        table: The table of observations.
        newest: When the newest data is from; also tells which table is in use.
        totals: The traces, sessions and users of a window.
        models: The use of each model in a window.
    """

    table: str
    newest: str
    totals: str
    models: str


_TABLES = """
    SELECT name FROM system.tables
    WHERE database = currentDatabase() AND name IN ('observations', 'events_core')
"""
_SCORES = """
    WITH fromUnixTimestamp64Milli({since:Int64}) AS since,
         fromUnixTimestamp64Milli({until:Int64}) AS until
    SELECT name,
           count() AS count,
           avgOrNullIf(value, data_type IN ('NUMERIC', 'BOOLEAN')) AS mean
    FROM scores FINAL WHERE is_deleted = 0 AND timestamp >= since AND timestamp < until
    GROUP BY name
"""
# Langfuse adds up every kind of tokens with `input` or `output` in its name.
_EVENTS = Layout(
    table="events_core",
    newest="""
        SELECT if(count() = 0, NULL, toUnixTimestamp64Milli(max(start_time))) AS newest
        FROM events_core WHERE start_time >= fromUnixTimestamp64Milli({since:Int64})
    """,
    totals="""
        WITH fromUnixTimestamp64Milli({since:Int64}) AS since,
             fromUnixTimestamp64Milli({until:Int64}) AS until
        SELECT uniqExact(trace_id) AS traces,
               uniqExact(nullIf(session_id, '')) AS sessions,
               uniqExact(nullIf(user_id, '')) AS users
        FROM events_core WHERE is_deleted = 0 AND start_time >= since AND start_time < until
    """,
    models="""
        WITH fromUnixTimestamp64Milli({since:Int64}) AS since,
             fromUnixTimestamp64Milli({until:Int64}) AS until
        SELECT provided_model_name AS model,
               count() AS observations,
               countIf(level = 'ERROR') AS errors,
               sum(arraySum(mapValues(mapFilter(
                   (kind, n) -> positionCaseInsensitive(kind, 'input') > 0, usage_details
               )))) AS input_tokens,
               sum(arraySum(mapValues(mapFilter(
                   (kind, n) -> positionCaseInsensitive(kind, 'output') > 0, usage_details
               )))) AS output_tokens,
               sumOrNullIf(cost_details['total'], mapContains(cost_details, 'total')) AS cost,
               quantilesExactInclusive(0.5, 0.95, 0.99)(
                   dateDiff('millisecond', start_time, end_time) / 1000) AS latency,
               quantilesExactInclusive(0.5, 0.95, 0.99)(
                   dateDiff('millisecond', start_time, completion_start_time) / 1000
               ) AS first_token
        FROM events_core WHERE is_deleted = 0 AND start_time >= since AND start_time < until
        GROUP BY model
    """,
)
_OBSERVATIONS = Layout(
    table="observations",
    newest="""
        SELECT if(count() = 0, NULL, toUnixTimestamp64Milli(max(start_time))) AS newest
        FROM observations WHERE start_time >= fromUnixTimestamp64Milli({since:Int64})
    """,
    totals="""
        WITH fromUnixTimestamp64Milli({since:Int64}) AS since,
             fromUnixTimestamp64Milli({until:Int64}) AS until
        SELECT count() AS traces,
               uniqExact(nullIf(session_id, '')) AS sessions,
               uniqExact(nullIf(user_id, '')) AS users
        FROM traces FINAL WHERE is_deleted = 0 AND timestamp >= since AND timestamp < until
    """,
    models="""
        WITH fromUnixTimestamp64Milli({since:Int64}) AS since,
             fromUnixTimestamp64Milli({until:Int64}) AS until
        SELECT ifNull(provided_model_name, '') AS model,
               count() AS observations,
               countIf(level = 'ERROR') AS errors,
               sum(arraySum(mapValues(mapFilter(
                   (kind, n) -> positionCaseInsensitive(kind, 'input') > 0, usage_details
               )))) AS input_tokens,
               sum(arraySum(mapValues(mapFilter(
                   (kind, n) -> positionCaseInsensitive(kind, 'output') > 0, usage_details
               )))) AS output_tokens,
               sumOrNull(total_cost) AS cost,
               quantilesExactInclusive(0.5, 0.95, 0.99)(
                   dateDiff('millisecond', start_time, end_time) / 1000) AS latency,
               quantilesExactInclusive(0.5, 0.95, 0.99)(
                   dateDiff('millisecond', start_time, completion_start_time) / 1000
               ) AS first_token
        FROM observations FINAL
        WHERE is_deleted = 0 AND start_time >= since AND start_time < until
        GROUP BY model
    """,
)


class ClickHouseRepository:
    """Asks ClickHouse."""

    def __init__(self, url: str, timeout: float, complaints: Complaints, ca_file: str) -> None:
        """Ask the database at `url`; a statement may take `timeout` seconds."""
        self._url, self._auth, self._database = address(url)
        self._timeout = timeout
        self._questions = Questions(complaints, ENDPOINT)
        self._fetcher = Fetcher("langfuse", ca_file or None)

    def version(self, deadline: Deadline, /) -> str:
        """Return that the database answers; Langfuse's version is not in it."""
        with self._questions.asking("version"):
            self._fetcher.run(self._rows("SELECT 1", {}, deadline), deadline)
        return ""

    def ready(self, _deadline: Deadline, /) -> None:
        """Return that a database does not tell."""
        return

    def poll(self, deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now."""
        with self._questions.asking("poll"):
            return self._fetcher.run(self._poll(deadline), deadline)

    async def _poll(self, deadline: Deadline) -> Poll:
        now = time.time()
        layout, newest = await self._layout(now, deadline)
        windows = {
            window: await self._usage(layout, now - seconds, now, deadline)
            for window, seconds in WINDOWS.items()
        }
        return Poll(_SOURCE, now, newest, windows)

    async def _layout(self, now: float, deadline: Deadline) -> tuple[Layout, float | None]:
        """Return the tables in use, and the Unix time of their newest data."""
        there = {str(row.get("name")) for row in await self._rows(_TABLES, {}, deadline)}
        since = {"since": _milliseconds(now - NEWEST_DAYS * 86400)}
        found: list[tuple[Layout, float | None]] = []
        for layout in (_EVENTS, _OBSERVATIONS):
            if layout.table in there:
                rows = await self._rows(layout.newest, since, deadline)
                newest = number(rows[0].get("newest")) if rows else None
                found.append((layout, None if newest is None else calendar_time(newest / 1000)))
        if not found:
            sentence = f"{self._url}: none of Langfuse's tables can be read"
            raise UpstreamError(Reason.STATUS, sentence)
        return max(found, key=lambda one: one[1] or 0.0)

    async def _usage(self, layout: Layout, since: float, until: float, deadline: Deadline) -> Usage:
        span = {"since": _milliseconds(since), "until": _milliseconds(until)}
        totals = (await self._rows(layout.totals, span, deadline) or [{}])[0]
        return Usage(
            number(totals.get("traces")),
            number(totals.get("sessions")),
            number(totals.get("users")),
            models_of(await self._rows(layout.models, span, deadline)),
            scores_of(await self._rows(_SCORES, span, deadline)),
        )

    async def _rows(
        self, statement: str, values: Mapping[str, str], deadline: Deadline
    ) -> list[Row]:
        """Return a statement's rows; ClickHouse itself ends it when it takes too long."""
        seconds = min(self._timeout, deadline.remaining())
        params = {
            "query": statement,
            "database": self._database,
            "default_format": "JSON",
            "max_execution_time": str(max(1, int(seconds))),
            **{f"param_{name}": value for name, value in values.items()},
        }
        answer = await self._fetcher.get(
            self._url,
            deadline=Deadline.after(seconds),
            params=params,
            auth=self._auth,
            limit=LARGEST_ANSWER,
        )
        return rows_of(answer.json(), self._url)


def address(url: str) -> tuple[str, tuple[str, str], str]:
    """Return where ClickHouse's HTTP interface answers, the user and password, and the database.

    Raises:
        ValueError: When the URL is not of its HTTP interface; the error's text does not have it.
    """
    message = "database is no URL; expected clickhouse://user:password@host:8123/default"
    try:
        parts: SplitResult = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(message) from None
    driver = parts.scheme.partition("+")[2]
    if driver not in _SCHEMES:
        message = (
            "database names a driver of ClickHouse that is not here; expected clickhouse:// or"
        )
        message += " clickhouse+https://, with the port of the HTTP interface"
        raise ValueError(message)
    if not host:
        raise ValueError(message)
    secure = parse_qs(parts.query).get("secure", [""])[0].lower() in _SECURE
    scheme = "https" if secure else _SCHEMES[driver]
    shown = f"[{host}]" if ":" in host else host
    auth = unquote(parts.username or "default"), unquote(parts.password or "")
    return f"{scheme}://{shown}:{port or _PORTS[scheme]}/", auth, parts.path.strip("/") or "default"


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
