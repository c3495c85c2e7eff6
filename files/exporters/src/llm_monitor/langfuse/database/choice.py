"""Which database a URL leads to."""

from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse.source import Repository


def check_url(url: str) -> None:
    """Check a database's URL.

    Raises:
        ValueError: When it can't be used; its text does not have the URL, which holds a password.
    """
    match _backend(url):
        case "postgresql":
            from llm_monitor.langfuse.database import postgres

            postgres.address(url)
        case "clickhouse":
            from llm_monitor.langfuse.database import clickhouse

            clickhouse.address(url)
        case _:
            message = "database is no URL of a database that Langfuse keeps its data in"
            message += "; expected postgresql://… or clickhouse://…"
            raise ValueError(message)


def open_database(url: str, timeout: float, complaints: Complaints, ca_file: str) -> Repository:
    """Return a repository over the database at `url`; nothing is asked before it is used.

    Args:
        url: An SQLAlchemy URL that `check_url` accepts.
        timeout: Seconds that a statement may take.
        complaints: What counts failures.
        ca_file: The CAs that ClickHouse's certificate is checked against, empty: the public ones.
    """
    # Only here is SQLAlchemy needed: an exporter that asks the API does without its memory.
    if _backend(url) == "postgresql":
        from llm_monitor.langfuse.database.postgres import PostgresRepository

        return PostgresRepository(url, timeout, complaints)
    from llm_monitor.langfuse.database.clickhouse import ClickHouseRepository

    return ClickHouseRepository(url, timeout, complaints, ca_file)


def _backend(url: str) -> str:
    """Return the kind of database that a URL's dialect is for."""
    dialect = url.partition("://")[0].partition("+")[0].lower()
    return {"clickhousedb": "clickhouse"}.get(dialect, dialect)
