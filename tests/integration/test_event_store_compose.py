# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The event store's containers as Compose reads what the role has written, and what the role refuses."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

Place = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "files/llmops/src/llmops_monitoring/storage"
SECRETS = {f"event_store_{user}_password": f"sw0rdfish-{user}-0123456789" for user in ("owner", "writer", "reader")}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nsw0rdfish\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def placed(place: Place, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that places the event store's folder with the given variables."""

    def run(**variables: Any) -> Any:
        usual = {
            "llm_monitor_components": ["event_store", "exporters"],
            "llm_monitor_generated_secrets": str(tmp_path / "generated"),
        }
        return place("event_store", **{**usual, **variables})

    return run


def composed(placed: Any) -> dict[str, Any]:
    command = ["docker", "compose", "--project-name=test", "--file=compose.yaml", "config", "--format=json"]
    done = subprocess.run(command, cwd=placed.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {volume["target"]: (volume["source"], volume.get("read_only", False)) for volume in service["volumes"]}


def test_each_container_has_what_it_needs_and_no_more(placed: Callable[..., Any]) -> None:
    folder = placed(**SECRETS)
    read = composed(folder)
    services = read["services"]
    assert set(services) == {"event_store", "event-store-keeper"}
    assert list(read["volumes"]) == ["event-store-data"]
    for service in services.values():
        assert (service["user"], service["read_only"], service["cap_drop"]) == ("999:999", True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["mem_limit"]) > 0
        assert service["healthcheck"]["test"][0] == "CMD"
    store, keeper = services["event_store"], services["event-store-keeper"]
    (port,) = store["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "23005", 5432)
    assert "ports" not in keeper
    assert {target for target, (_source, is_read_only) in mounts(store).items() if not is_read_only} == {
        "/var/lib/postgresql/data"
    }
    assert {target for target in mounts(store) if "secrets" in target} == {"/run/secrets/owner_password"}
    assert {target for target in mounts(keeper) if "secrets" in target} == {
        f"/run/secrets/{user}_password" for user in ("owner", "writer", "reader")
    }
    assert all(is_read_only for _source, is_read_only in mounts(keeper).values())
    assert "sw0rdfish" not in json.dumps(read) + folder.printed


def test_secrets_are_in_files_of_their_own(placed: Callable[..., Any]) -> None:
    folder = placed(**SECRETS)
    held = {path.name: path for path in folder.secrets.iterdir()}
    assert {name: path.read_text() for name, path in held.items()} == {
        name.removeprefix("event_store_"): password for name, password in SECRETS.items()
    }
    assert {(stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in held.values()} == {(0o600, 999)}
    written = [path.read_text() for path in folder.folder.rglob("*") if path.is_file()]
    assert "sw0rdfish" not in "".join(written)


def test_the_keeper_has_the_librarys_own_files(placed: Callable[..., Any]) -> None:
    folder = placed(**SECRETS).folder / "keeper/llmops_monitoring/storage"
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    expected = {
        path.relative_to(LIBRARY): path.read_bytes()
        for part in ("keeper", "migrations")
        for path in (LIBRARY / part).iterdir()
        if path.is_file()
    }
    assert found == expected


def test_passwords_that_nobody_gave_are_made_once(placed: Callable[..., Any], tmp_path: Path) -> None:
    first = {path.name: path.read_text() for path in placed().secrets.iterdir()}
    folder = placed()
    assert {path.name: path.read_text() for path in folder.secrets.iterdir()} == first
    assert "changed=0" in folder.printed
    assert len(set(first.values())) == 3
    assert all(len(password) == 32 and password.isalnum() for password in first.values())
    generated = tmp_path / "generated"
    kept = {path.name: path for path in generated.iterdir()}
    assert {name: path.read_text().strip() for name, path in kept.items()} == {
        f"event_store_{name}": password for name, password in first.items()
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.values()} == {0o600}
    assert stat.S_IMODE(generated.stat().st_mode) == 0o700
    assert not [password for password in first.values() if password in folder.printed]


def test_a_certificate_lets_applications_in_by_tls_alone(placed: Callable[..., Any]) -> None:
    folder = placed(**SECRETS, event_store_certificate=CERTIFICATE, event_store_certificate_key=KEY)
    assert folder.text("certificate.pem") == CERTIFICATE
    assert (folder.secrets / "certificate_key").read_text() == KEY
    assert "/run/secrets/certificate_key" in mounts(composed(folder)["services"]["event_store"])
    rules = [line.split() for line in folder.text("pg_hba.conf").splitlines() if not line.startswith("#")]
    assert [rule for rule in rules if "llmops_owner" not in rule and rule[0] != "local"] == [
        ["hostssl", "llmops", "llmops_writer,llmops_reader", "all", "scram-sha-256"]
    ]
    assert "sw0rdfish" not in folder.printed


def test_without_a_certificate_nobody_comes_in_from_elsewhere(placed: Callable[..., Any]) -> None:
    folder = placed(**SECRETS)
    rules = [line.split() for line in folder.text("pg_hba.conf").splitlines() if not line.startswith("#")]
    assert [rule[:1] + rule[-2:] for rule in rules] == [
        ["local", "postgres", "peer"],
        ["host", "samenet", "scram-sha-256"],
        ["host", "samenet", "scram-sha-256"],
    ]
    assert "ssl" not in folder.text("postgresql.conf")


@pytest.mark.parametrize(
    ("memory", "buffers"), [("1g", 262144), ("512MB", 131072), ("768m", 196608), ("1073741824", 262144)]
)
def test_buffers_are_a_quarter_of_the_memory(placed: Callable[..., Any], memory: str, buffers: int) -> None:
    folder = placed(**SECRETS, event_store_memory=memory)
    assert f"shared_buffers = '{buffers}kB'" in folder.text("postgresql.conf")


def test_memory_that_postgresql_can_t_live_on_changes_nothing(placed: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match="shared_buffers") as refusal:
        placed(**SECRETS, event_store_memory="256k")
    assert "changed=0" in str(refusal.value)


def test_days_that_the_keeper_refuses_change_nothing(placed: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match="RETENTION_DAYS is '0': must be a whole number of days") as refusal:
        placed(**SECRETS, event_store_retention_days=0)
    assert "changed=0" in str(refusal.value)


def test_the_exporter_beside_it_reads_it_as_the_reader(place: Place, tmp_path: Path) -> None:
    password = "sw0rdfish/@:%?#+reader"
    components = ["event_store", "exporters", "docker_socket_proxy"]
    given = {**SECRETS, "event_store_reader_password": password}
    place("event_store", llm_monitor_components=components, **given)
    placed = place("exporters", llm_monitor_components=components, **given)
    url = (placed.secrets / "llmops_database").read_text()
    assert url == "postgresql://llmops_reader:sw0rdfish%2F%40%3A%25%3F%23%2Breader@event_store:5432/llmops"
    together = placed.folder.parent
    (together / "compose.yaml").write_text("include: [event_store/compose.yaml, exporters/compose.yaml]\n")
    services = composed(replace(placed, folder=together))["services"]
    assert services["llmops-exporter"]["depends_on"]["event-store-keeper"]["condition"] == "service_healthy"
    assert "/run/secrets/llmops_database" in mounts(services["llmops-exporter"])
    assert [name for name, service in services.items() if "llmops_database" in str(service)] == ["llmops-exporter"]
    assert "sw0rdfish" not in placed.printed


def test_an_event_store_that_is_named_goes_before_the_own(place: Place) -> None:
    url = "postgresql://reader:sw0rdfish@events-db:5432/events"
    components = ["event_store", "exporters", "docker_socket_proxy"]
    placed = place("exporters", llm_monitor_components=components, exporters_llmops_database=url, **SECRETS)
    assert (placed.secrets / "llmops_database").read_text() == url
