"""The statements that the event store in PostgreSQL is asked by.

Tables and columns: files/llmops/src/llmops_monitoring/storage/migrations. By `:since` and `:until`
PostgreSQL reads the partitions of those days alone, and of them, by an index, those pages alone. No
statement gives more rows than it says, however applications call their operations and models.
"""

from dataclasses import dataclass

from sqlalchemy import TextClause, text

from llm_monitor.llmops.facts import MOST_EVENTS, NONE, QUANTILES

# As far as a label's value goes, and a class with its module.
_LONGEST_NAME = 128
_LONGEST_CLASS = 256
_MOST_CLASSES = 1000
# PostgreSQL's own limit; the library cuts names by it too.
_LONGEST_IDENTIFIER = 63
_VERSIONS = "_versions"

# NaN is larger than every number.
_SUMS = f"""
    count(*) AS requests,
    count(*) FILTER (WHERE error) AS errors,
    sum(input_tokens) FILTER (WHERE input_tokens >= 0) AS input_tokens,
    sum(output_tokens) FILTER (WHERE output_tokens >= 0) AS output_tokens,
    sum(cost) FILTER (WHERE cost >= 0 AND cost < 'Infinity') AS cost,
    percentile_cont(ARRAY[{", ".join(QUANTILES)}]) WITHIN GROUP (ORDER BY duration_ms / 1000)
        FILTER (WHERE duration_ms >= 0 AND duration_ms < 'Infinity') AS latency,
    percentile_cont(ARRAY[{", ".join(QUANTILES)}]) WITHIN GROUP (
        ORDER BY stream_time_to_first_token_ms / 1000
    ) FILTER (
        WHERE stream_time_to_first_token_ms >= 0 AND stream_time_to_first_token_ms < 'Infinity'
    ) AS first_token
"""
_OPERATION = f"coalesce(nullif(left(operation_name, {_LONGEST_NAME}), ''), '{NONE}')"
_MODEL = f"coalesce(nullif(left(model, {_LONGEST_NAME}), ''), '{NONE}')"


def _top(table: str, name: str, value: str) -> str:
    """Return what gives the values that most events of the time have."""
    return f"""{name} AS (
        SELECT {value} AS name FROM {table}
        WHERE timestamp >= :since AND timestamp < :until
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT :most
    )"""  # noqa: S608 - the names are quoted


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements for one event store.

    Attributes:
        version: The last migration.
        usage: What happened: by operation and model, by each of them, and all of it. What is not
            among the most used is null. At most (most + 2)² rows.
        sessions: How many sessions there were.
        failures: How often what went wrong, the most frequent first; 1000 rows at most.
        newest: When the newest event is from.
        session: What a session did.
        events: The newest events of a session.
    """

    version: TextClause
    usage: TextClause
    sessions: TextClause
    failures: TextClause
    newest: TextClause
    session: TextClause
    events: TextClause

    @classmethod
    def of(cls, schema: str, table: str) -> "Statements":
        """Return the statements for the table of events `schema`.`table`."""
        events = _quoted(schema, table)
        versions = _quoted(schema, table[: _LONGEST_IDENTIFIER - len(_VERSIONS)] + _VERSIONS)
        during = "timestamp >= :since AND timestamp < :until"
        of_session = f"FROM {events} WHERE session_id = :session AND {during}"
        operations = _top(events, "operations", _OPERATION)
        models = _top(events, "models", _MODEL)
        # What is put in between are this module's own words and quoted names.
        return cls(
            version=text(f"SELECT max(version) AS version FROM {versions}"),  # noqa: S608
            usage=text(f"""
                WITH {operations}, {models}
                SELECT grouping(operations.name) = 0 AS of_operation,
                       grouping(models.name) = 0 AS of_model,
                       operations.name AS operation, models.name AS model,
                       max(timestamp) AS newest, {_SUMS}
                FROM {events}
                LEFT JOIN operations ON operations.name = {_OPERATION}
                LEFT JOIN models ON models.name = {_MODEL}
                WHERE {during}
                GROUP BY GROUPING SETS (
                    (operations.name, models.name), (operations.name), (models.name), ())
            """),  # noqa: S608
            sessions=text(f"""
                SELECT count(*) AS sessions FROM (
                    SELECT DISTINCT session_id FROM {events}
                    WHERE {during} AND session_id IS NOT NULL
                ) AS one
            """),  # noqa: S608
            failures=text(f"""
                SELECT {_OPERATION} AS operation, left(error_type, {_LONGEST_CLASS}) AS class,
                       count(*) AS failures
                FROM {events} WHERE {during} AND error
                GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {_MOST_CLASSES}
            """),  # noqa: S608
            newest=text(f"SELECT max(timestamp) AS newest FROM {events} WHERE {during}"),  # noqa: S608
            session=text(f"""
                SELECT min(timestamp) AS first, max(timestamp) AS last, {_SUMS} {of_session}
            """),
            events=text(f"""
                SELECT left(event_id, {_LONGEST_CLASS}) AS event_id,
                       left(trace_id, {_LONGEST_CLASS}) AS trace_id,
                       left(span_id, {_LONGEST_CLASS}) AS span_id,
                       left(parent_span_id, {_LONGEST_CLASS}) AS parent_span_id,
                       timestamp, {_OPERATION} AS operation,
                       left(operation_type, {_LONGEST_NAME}) AS operation_type,
                       left(model, {_LONGEST_NAME}) AS model, error,
                       left(error_type, {_LONGEST_CLASS}) AS error_type, stream_ended, cost,
                       input_tokens, output_tokens, duration_ms, stream_time_to_first_token_ms
                {of_session} ORDER BY timestamp DESC, event_id LIMIT {MOST_EVENTS}
            """),
        )


def _quoted(schema: str, table: str) -> str:
    """Return a table's name as statements have it, also where it is a word of theirs."""
    return f'"{schema}"."{table}"'
