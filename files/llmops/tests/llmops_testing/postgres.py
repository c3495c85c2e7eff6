"""A real PostgreSQL in a folder of its own."""

import secrets
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from llmops_testing.programs import Process, find, free_port, start
from llmops_testing.waiting import wait_for


class Postgres:
    """A server on a port of its own.

    Attributes:
        port: The port.
    """

    def __init__(self, *, durable: bool = False) -> None:
        """Make the files of the server and start it.

        Args:
            durable: Whether it waits for the disk, as servers do and tests need not.
        """
        self._durable = durable
        self.port = free_port()
        self._programs = find("lib/postgresql/*/bin/postgres").parent
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        arguments = ("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8")
        made = start(
            self._programs / "initdb",
            *("--username=owner", "--locale=C", "--no-sync", "--pgdata=data", *arguments),
            folder=self._folder,
        )
        assert made.wait(60) == 0
        self._server: Process | None = None
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._folder,
            "max_connections": 20,
            "fsync": "on" if self._durable else "off",
            # Days of events are UTC's, whatever the server thinks.
            "timezone": "Etc/GMT+7",
        }
        told = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._server = start(self._programs / "postgres", "-D", "data", *told, folder=self._folder)
        wait_for(self._answers, 30)

    def stop(self) -> None:
        """End the server at once, and every connection with it."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(timeout=20)
            self._server = None

    def remove(self) -> None:
        """End the server and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._folder)

    def database(self) -> str:
        """Make a database of the owner; return its connection string."""
        name = f"test_{secrets.token_hex(4)}"
        self.ask("postgres", f"CREATE DATABASE {name}")
        return f"postgresql:///{name}?host={self._folder}&port={self.port}&user=owner"

    def role(self, name: str) -> str:
        """Make a role who may log in and nothing else; return the password."""
        password = secrets.token_hex(12)
        self.ask("postgres", f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        return password

    def ask(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that a statement of the owner gives."""
        with psycopg.connect(
            host=str(self._folder), port=self.port, user="owner", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(sql.SQL(statement))
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, self._server.returncode
        try:
            self.ask("postgres", "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
