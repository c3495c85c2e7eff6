"""The event store in PostgreSQL, as llmops_monitoring writes it; the user need only read."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.metrics.guard import OTHER
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.postgres import Database, Transaction, address
from llm_monitor.base.upstream.questions import Questions
from llm_monitor.llmops.facts import (
    QUANTILES,
    WINDOWS,
    Pair,
    Poll,
    Quantiles,
    Session,
    Use,
    Window,
    collect,
    number,
)
from llm_monitor.llmops.reasons import reason
from llm_monitor.llmops.statements import Statements

_ENDPOINT = "database"
_EXAMPLE = "postgresql://reader:password@host:5432/events"
_DIALECT = "postgresql"
_MIGRATED = "its owner has to apply the migrations of llmops_monitoring first"
_NEWEST_SECONDS = 7 * 86400
# A window is asked for anew once this share of it has passed: five minutes for a day.
_SHARE = 1 / 288
# A collector whose timer is a little early shall not wait for the next time.
_EARLY = 0.9
# What ends after the deadline of a poll is thrown away, also what other windows gave.
_RESERVE_SECONDS = 1.0

Row = Mapping[str, Any]
# A row that is of all operations and of all models.
_ALL = (False, False)


class EventStore:
    """Asks PostgreSQL. Late events count: a window is always read as a whole."""

    def __init__(
        self,
        url: str,
        names: tuple[str, str],
        timeout: float,
        most: int,
        complaints: Complaints,
    ) -> None:
        """Ask the event store at `url`; nothing is asked before it is used.

        Args:
            url: A URL that `check_url` accepts.
            names: The schema and the table of events.
            timeout: Seconds that a statement may take.
            most: How many operations and how many models are told apart.
            complaints: What counts failures.
        """
        self._database = Database(address(url, _EXAMPLE), timeout, _meanings(".".join(names)))
        self._statements = Statements.of(*names)
        self._most = most
        self._questions = Questions(complaints, _ENDPOINT)
        self._asked: dict[str, float] = {}
        self._windows: dict[str, Window] = {}
        self._newest: float | None = None

    def version(self, deadline: Deadline, /) -> int:
        """Return the version of the event store's schema."""
        with (
            self._questions.asking("version"),
            self._database.transaction(deadline) as transaction,
        ):
            found = transaction.rows(self._statements.version)[0]["version"]
            if found is None:
                sentence = f"there is no event store: {_MIGRATED}"
                raise self._database.failure(Reason.STATUS, sentence)
        return int(found)

    def poll(self, deadline: Deadline, /) -> Poll:
        """Return what happened in each window up to now.

        A window that took too long is left out; the others are told.
        """
        now = time.time()
        soon = Deadline(deadline.at - _RESERVE_SECONDS)
        problems = []
        due = [window for window in WINDOWS if self._is_due(window)]
        for window in due:
            self._asked[window] = time.monotonic()
            self._windows.pop(window, None)
            try:
                with self._questions.asking(window):
                    self._windows[window] = self._ask(window, now, soon)
            except UpstreamError as error:
                problems.append(error)
                if error.reason is not Reason.TIMEOUT:
                    break
        if problems and (len(problems) == len(due) or problems[-1].reason is not Reason.TIMEOUT):
            self._asked.clear()
            self._windows.clear()
            raise problems[-1]
        return Poll(
            now, self._newest, {one: self._windows[one] for one in WINDOWS if one in self._windows}
        )

    def session(self, session_id: str, seconds: float, deadline: Deadline, /) -> Session | None:
        """Return what a session did in the last `seconds`, None when there is nothing."""
        now = time.time()
        values = {"session": session_id, **_span(now, seconds)}
        with self._database.transaction(deadline) as transaction:
            sums = transaction.rows(self._statements.session, values)[0]
            if not sums["requests"]:
                return None
            events = transaction.rows(self._statements.events, values)
        return Session(now, sums["first"], sums["last"], _use(sums), events)

    def _is_due(self, window: str) -> bool:
        asked = self._asked.get(window, float("-inf"))
        return time.monotonic() - asked >= _EARLY * _SHARE * WINDOWS[window]

    def _ask(self, name: str, now: float, deadline: Deadline) -> Window:
        """Return what happened in a window, and note when its newest event is from."""
        seconds = WINDOWS[name]
        span = _span(now, seconds)
        with self._database.transaction(deadline) as transaction:
            rows = transaction.rows(self._statements.usage, {**span, "most": self._most})
            sessions = transaction.rows(self._statements.sessions, span)[0]["sessions"]
            failures = transaction.rows(self._statements.failures, span)
            newest = _seconds(next(row["newest"] for row in rows if _named(row) == _ALL))
            if newest is not None:
                self._newest = max(newest, self._newest or newest)
            elif seconds == max(WINDOWS.values()):
                self._newest = self._latest(transaction, now)
        return _window(now, newest, sessions, rows, failures)

    def _latest(self, transaction: Transaction, now: float) -> float | None:
        """Return when the newest event before the longest window is from."""
        # Day by day: no index has the newest, so that each day that is asked for is read whole.
        day = max(WINDOWS.values())
        for ago in range(day, _NEWEST_SECONDS, day):
            rows = transaction.rows(self._statements.newest, _span(now - ago, day))
            if rows[0]["newest"] is not None:
                return _seconds(rows[0]["newest"])
        return None


def check_url(url: str) -> None:
    """Check the URL of an event store.

    Raises:
        ValueError: When it can't be used; its text does not have the URL, which holds a password.
    """
    dialect = url.partition("://")[0].partition("+")[0].lower()
    if dialect != _DIALECT:
        message = f"database is no URL of PostgreSQL; expected {_EXAMPLE}"
        raise ValueError(message)
    address(url, _EXAMPLE)


def _meanings(table: str) -> Mapping[str, tuple[Reason, str]]:
    return {
        "42501": (Reason.UNAUTHORIZED, f"this user may not read {table} or its versions"),
        "42P01": (
            Reason.STATUS,
            f"there is no event store, {table} or its versions are missing: {_MIGRATED}",
        ),
        "42703": (Reason.STATUS, f"{table} lacks columns that an event store has"),
        "22021": (Reason.ENCODING, f"{table} holds text that is no UTF-8"),
    }


def _window(
    now: float, newest: float | None, sessions: float, rows: Iterable[Row], failures: Iterable[Row]
) -> Window:
    uses = [(_named(row), row["operation"], row["model"], _use(row)) for row in rows]
    pairs = collect(
        ((operation or OTHER, model or OTHER), use)
        for named, operation, model, use in uses
        if named == (True, True)
    )
    operations = collect(
        (name or OTHER, use) for named, name, _, use in uses if named == (True, False)
    )
    models = collect((name or OTHER, use) for named, _, name, use in uses if named == (False, True))
    total = next(use for named, _, _, use in uses if named == _ALL)
    return Window(
        now, newest, sessions, total, operations, models, pairs, _failures(failures, operations)
    )


def _failures(rows: Iterable[Row], operations: Mapping[str, Use]) -> Mapping[Pair, float]:
    """Return errors by operation and reason; those that `rows` don't tell have no reason known."""
    found: dict[Pair, float] = {}
    missing = {name: use.errors for name, use in operations.items()}
    for row in rows:
        operation = row["operation"] if row["operation"] in operations else OTHER
        key = operation, reason(row["class"] or "")
        found[key] = found.get(key, 0) + row["failures"]
        missing[operation] = missing.get(operation, 0) - row["failures"]
    for operation, count in missing.items():
        if count > 0:
            key = operation, reason("")
            found[key] = found.get(key, 0) + count
    return found


def _named(row: Row) -> tuple[bool, bool]:
    """Return whether a row is of one operation, and whether it is of one model."""
    return row["of_operation"], row["of_model"]


def _use(row: Row) -> Use:
    return Use(
        requests=row["requests"],
        errors=row["errors"],
        input_tokens=number(row["input_tokens"]),
        output_tokens=number(row["output_tokens"]),
        cost=number(row["cost"]),
        latency=_quantiles(row["latency"]),
        first_token=_quantiles(row["first_token"]),
    )


def _quantiles(values: Iterable[float] | None) -> Quantiles:
    pairs = zip(QUANTILES, map(number, values or ()), strict=False)
    return {quantile: seconds for quantile, seconds in pairs if seconds is not None}


def _span(now: float, seconds: float) -> Mapping[str, datetime]:
    return {
        "since": datetime.fromtimestamp(now - seconds, UTC),
        "until": datetime.fromtimestamp(now, UTC),
    }


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
