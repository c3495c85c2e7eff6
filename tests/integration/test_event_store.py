# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The event store as it runs: PostgreSQL and its keeper in the containers of the role, the library's backend, dumps."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from ansible_collections.llmops.monitoring.tests.integration.programs import wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from exporter_testing.process import free_port
from llmops_monitoring import StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.postgres import PostgresBackend
from pydantic import SecretStr

Place = Callable[..., Any]
PROJECT = "llm-monitor-test-events"
VERIFY = ["exec", "-T", "event-store-keeper", "python3", "-m", "llmops_monitoring.storage.keeper", "--verify"]
PLANTED = "planted-in-an-event"
BEGUN = datetime.now(UTC)


@dataclass
class Store:
    """An event store on this machine's engine, as the role places it."""

    place: Place
    port: int = field(default_factory=free_port)
    folder: Path | None = None

    def passwords(self, mark: str) -> dict[str, str]:
        return {user: f"{mark}'{user}\\0123456789" for user in ("owner", "writer", "reader")}

    def roll_out(self, mark: str, **variables: Any) -> None:
        given = {f"event_store_{user}_password": password for user, password in self.passwords(mark).items()}
        placed = self.place(
            "event_store",
            llm_monitor_components=["event_store"],
            event_store_port=self.port,
            **given,
            **variables,
        )
        assert f"{mark}'" not in placed.printed
        self.folder = placed.folder
        self.up()

    def up(self) -> None:
        self.compose("up", "--detach", "--wait", "--wait-timeout", "90")

    def compose(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = self.tried(*arguments, stdin=stdin)
        assert done.returncode == 0, (done.stdout[-2000:] + done.stderr).decode() + self.logs()
        return done.stdout

    def tried(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["docker", "compose", "--project-name", PROJECT, "--file", f"{self.folder}/compose.yaml", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=False)

    def logs(self) -> str:
        done = self.tried("logs", "--no-color")
        return (done.stdout + done.stderr).decode()

    def url(self, user: str, mark: str, **more: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1",
            port=self.port,
            dbname="llmops",
            user=f"llmops_{user}",
            password=self.passwords(mark)[user],
            **more,
        )

    def ask(self, user: str, mark: str, statement: str, **more: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(user, mark, **more), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def write(self, mark: str, *events: MetricEvent) -> None:
        """Write as an application does."""

        async def main() -> None:
            config = StorageConfig(backend="postgres", connection_string=SecretStr(self.url("writer", mark)))
            backend = PostgresBackend(config)
            await backend.initialize()
            await backend.write_batch(events)
            await backend.close()

        asyncio.run(main())

    def ids(self, mark: str) -> list[str]:
        return [one for (one,) in self.ask("reader", mark, "SELECT event_id FROM metric_events ORDER BY event_id")]

    def verdict(self) -> tuple[int, str]:
        done = self.tried(*VERIFY)
        return done.returncode, (done.stdout + done.stderr).decode()

    def superuser(self, statement: str) -> str:
        told = ["exec", "-T", "event_store", "psql", "--username=postgres", "--no-psqlrc", "--tuples-only"]
        return self.compose(*told, "--no-align", "--dbname=llmops", "--command", statement).decode().strip()


def sweep() -> None:
    """Remove what tests left that were killed: their events would be counted as ours."""
    for things, found in (("container", ("ps", "--all")), ("volume", ("volume", "ls"))):
        label = f"label=com.docker.compose.project={PROJECT}"
        ids = subprocess.check_output(["docker", *found, "--quiet", "--filter", label], text=True).split()
        if ids:
            subprocess.run(["docker", things, "rm", "--force", *ids], check=True, capture_output=True)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    sweep()
    made = Store(place)
    try:
        yield made
    finally:
        made.tried("down", "--volumes", "--timeout", "5")


def event(number: int) -> MetricEvent:
    return MetricEvent(
        event_id=f"{number:032x}",
        span_id=f"{number:016x}",
        operation_name=PLANTED,
        operation_type="llm_call",
        timestamp=BEGUN,
        duration_ms=1.5,
    )


def assert_exporter_tells(store: Store, mark: str, *words: str) -> None:
    """Run the exporter of event stores beside the store, and wait until its metrics have the words."""
    keeper = store.compose("ps", "--quiet", "event-store-keeper").decode().strip()
    image = json.loads(subprocess.check_output(["docker", "inspect", keeper]))[0]["Config"]["Image"]
    password = quote(store.passwords(mark)["reader"], safe="")
    database = f"LLM_MONITOR_LLMOPS__DATABASE=postgresql://llmops_reader:{password}@event_store:5432/llmops"
    port = free_port()
    options = ["--network", f"{PROJECT}_default", "--publish", f"127.0.0.1:{port}:9904", "--env", database]
    container = subprocess.check_output(["docker", "run", "--detach", "--rm", *options, image, "llmops"], text=True)

    def tells() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=15) as answer:
                told = answer.read().decode()
        except OSError:
            return False
        return all(word in told for word in words)

    try:
        wait_for(tells)
    finally:
        subprocess.run(["docker", "rm", "--force", container.strip()], check=True, capture_output=True)


def test_applications_write_and_dashboards_read(store: Store) -> None:
    store.roll_out("first")
    assert store.verdict() == (0, "")
    store.write("first", event(1), event(2))
    store.write("first", event(2), event(3))
    kept = [f"{number:032x}" for number in (1, 2, 3)]
    assert store.ids("first") == kept
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        store.ask("writer", "first", "SELECT * FROM metric_events")

    assert_exporter_tells(store, "first", "llm_monitor_llmops_up 1\n", PLANTED)

    # Nobody gets in without a password, the superuser not even with one.
    for user in ("postgres", "llmops_owner", "llmops_writer", "nobody"):
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry|password|no encryption"):
            psycopg.connect(host="127.0.0.1", port=store.port, dbname="llmops", user=user, password="wrong")
    assert store.superuser("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL") == "0"
    assert store.superuser("SHOW data_checksums") == "on"
    hashed = store.superuser(
        "SELECT string_agg(coalesce(left(rolpassword, 13), rolname), ',') FROM pg_authid WHERE rolcanlogin"
    )
    assert sorted(hashed.split(",")) == ["SCRAM-SHA-256", "SCRAM-SHA-256", "SCRAM-SHA-256", "postgres"]
    attributes = "rolsuper OR rolcreatedb OR rolreplication OR rolbypassrls"
    assert store.superuser(f"SELECT rolname FROM pg_roles WHERE {attributes}") == "postgres"

    # Other passwords in the inventory are others in the database, and the data is what it was.
    store.roll_out("second")
    assert store.ids("second") == kept
    assert store.verdict() == (0, "")
    for user in ("owner", "writer", "reader"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            store.ask(user, "first", "SELECT 1")

    # It is killed, and later it is stopped and removed: what was written is there.
    store.compose("kill", "--signal", "KILL", "event_store")
    store.up()
    store.compose("down", "--timeout", "30")
    store.up()
    assert store.ids("second") == kept
    told = store.logs()
    assert "database system was shut down at" in told
    assert not [word for word in ("first'", "second'", PLANTED, "INSERT", "ALTER ROLE") if word in told]
    lines = [json.loads(line) for line in re.findall(r"(?m)^event-store-keeper-1 +\| (\{.*\})$", told)]
    assert "the event store is in order" in {line["event"] for line in lines}


def test_processes_have_no_power_and_one_that_is_missed_is_told_of(store: Store) -> None:
    store.roll_out("first")
    for service in ("event_store", "event-store-keeper"):
        container = store.compose("ps", "--quiet", service).decode().strip()
        found = json.loads(subprocess.check_output(["docker", "inspect", container]))[0]
        status = Path(f"/proc/{found['State']['Pid']}/status").read_text()
        fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
        assert set(fields["Uid"].split()) == {"999"}
        assert fields["CapEff"] == fields["CapPrm"] == fields["CapBnd"] == "0" * 16
        assert fields["NoNewPrivs"] == "1"
        shown = json.dumps(found) + Path(f"/proc/{found['State']['Pid']}/cmdline").read_text()
        shown += Path(f"/proc/{found['State']['Pid']}/environ").read_text()
        assert "first'" not in shown
    store.compose("stop", "event_store")
    ended, told = store.verdict()
    assert ended == 1
    assert "llmops_writer finds no event store" in told


def test_a_dump_is_restored_into_an_empty_store(store: Store) -> None:
    """The commands of docs/events.md."""
    store.roll_out("first")
    store.write("first", event(1), event(2))
    dump = store.compose("exec", "-T", "event_store", "pg_dump", "--username=postgres", "--format=custom", "llmops")
    store.compose("down", "--volumes", "--timeout", "30")
    store.up()
    assert store.ids("first") == []
    store.compose("stop", "event-store-keeper")
    at = ["exec", "-T", "event_store"]
    store.compose(*at, "dropdb", "--username=postgres", "--force", "llmops")
    store.compose(*at, "createdb", "--username=postgres", "--owner=llmops_owner", "llmops")
    store.compose(*at, "pg_restore", "--username=postgres", "--dbname=llmops", "--exit-on-error", stdin=dump)
    store.up()
    assert store.verdict() == (0, "")
    assert store.ids("first") == [f"{number:032x}" for number in (1, 2)]
    store.write("first", event(2), event(3))
    assert len(store.ids("first")) == 3


def certificate() -> tuple[str, str]:
    """Return a certificate for localhost that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    return signed.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    ).decode()


def test_applications_come_by_tls(store: Store, tmp_path: Path) -> None:
    shown, key = certificate()
    store.roll_out("first", event_store_certificate=shown, event_store_certificate_key=key)
    authority = tmp_path / "authority.pem"
    authority.write_text(shown)
    secured = {"sslmode": "verify-full", "sslrootcert": str(authority), "hostaddr": "127.0.0.1"}
    query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    with psycopg.connect(store.url("writer", "first", **secured) + " host=localhost") as connection:
        assert connection.execute(query.encode()).fetchall() == [("TLSv1.3",)]
    # What Docker passes on from elsewhere may seem to come from the containers' own network, as this does.
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(store.url("writer", "first", sslmode="disable"))
    assert store.verdict() == (0, "")
