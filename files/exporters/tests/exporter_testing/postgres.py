"""A real PostgreSQL in a folder of its own, which ends with the test."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from exporter_testing.process import free_port, wait_for

# PostgreSQL does not run as root.
_NOBODY = 65534


def programs() -> Path:
    """Return the folder of PostgreSQL's programs: unpacked ones, else installed ones."""
    tools = Path(os.environ.get("LLM_MONITOR_TOOLS", "/nowhere")).parent
    found = [
        program.parent
        for root in (tools, Path("/usr"))
        for program in sorted(root.glob("lib/postgresql/*/bin/postgres"), reverse=True)
    ]
    assert found, "PostgreSQL is neither beside LLM_MONITOR_TOOLS nor in /usr/lib/postgresql"
    return found[0]


class Postgres:
    """A server of one database on a port of its own.

    Attributes:
        port: The port.
        folder: Where its socket is.
    """

    def __init__(self, database: str = "langfuse") -> None:
        """Start the server and make the database."""
        self._database = database
        self.port = free_port()
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.folder = str(self._folder)
        self._user = _NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self._folder, self._user, self._user)
        self._run(
            *("initdb", "--username=owner", "--auth-local=trust", "--auth-host=scram-sha-256"),
            *(
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
                "--pgdata",
                "data",
            ),
        ).communicate()
        self._server: subprocess.Popen[bytes] | None = None
        self.start()
        self.execute(f"CREATE DATABASE {database}", database="postgres")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "max_connections": 10,
            # Whatever zone the server has, none of it may get into times.
            "timezone": "Etc/GMT+7",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._server = self._run("postgres", "-D", "data", *settings)
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

    def connect(self, database: str = "") -> psycopg.Connection[Any]:
        """Return a connection of the owner."""
        return psycopg.connect(
            host=self.folder,
            port=self.port,
            user="owner",
            dbname=database or self._database,
            autocommit=True,
        )

    def execute(
        self, statement: str, rows: Sequence[Sequence[Any]] = (), database: str = ""
    ) -> None:
        """Execute a statement, once or once for each of `rows`."""
        with self.connect(database) as connection:
            if rows:
                connection.cursor().executemany(statement, rows)  # type: ignore[arg-type]
            else:
                connection.execute(statement)  # type: ignore[arg-type]

    def user(self, name: str) -> str:
        """Create a user who may log in and nothing else; return the password."""
        password = secrets.token_hex(12)
        self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        return password

    def url(self, user: str, password: str, database: str = "") -> str:
        name = database or self._database
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{name}"

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, self._server.returncode
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        libraries = [str(one) for one in self._programs.parents[3].glob("lib/*-linux-gnu")]
        return subprocess.Popen(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(libraries)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
