"""Keeping and putting back the last good state of services."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import service_snapshot


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "llm-monitor"
    for name in ("prometheus", "alertmanager"):
        (base / name / "rules").mkdir(parents=True, mode=0o755)
        (base / name / "compose.yaml").write_text("first\n")
        (base / name / "rules/a.yml").write_text("groups: []\n")
        (base / "secrets" / name).mkdir(parents=True)
        (base / "secrets" / name / "token").write_text("first-secret")
    return base


@pytest.fixture
def snapshot(run_module: Any, base: Path) -> Any:
    def run(state: str, *services: str, check: bool = False) -> Any:
        options = {"services": list(services), "state": state, "dir": str(base)}
        return run_module(service_snapshot.main, options, check_mode=check)

    return run


def spoil(base: Path) -> None:
    (base / "prometheus/compose.yaml").write_text("second\n")
    (base / "prometheus/rules/a.yml").unlink()
    (base / "prometheus/new.yml").write_text("new\n")
    (base / "secrets/prometheus/token").write_text("second-secret")


def test_saved_copies_folder_and_secrets_privately(snapshot: Any, base: Path) -> None:
    result = snapshot("saved", "prometheus", "alertmanager")
    assert result["changed"]
    assert result["services"] == ["prometheus", "alertmanager"]
    copy = base / ".last-good"
    assert (copy / "prometheus/rules/a.yml").read_text() == "groups: []\n"
    assert (copy / "secrets/prometheus/token").read_text() == "first-secret"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (copy, copy / "secrets", copy / "secrets/prometheus")]
    assert modes == [0o700] * 3
    assert stat.S_IMODE((copy / "secrets/prometheus/token").stat().st_mode) == 0o600
    assert not (base / ".staging").exists()


def test_saved_again_changes_nothing(snapshot: Any) -> None:
    snapshot("saved", "prometheus")
    assert not snapshot("saved", "prometheus")["changed"]


def test_saved_follows_what_is_in_place(snapshot: Any, base: Path) -> None:
    snapshot("saved", "prometheus")
    spoil(base)
    assert snapshot("saved", "prometheus", "alertmanager")["services"] == ["prometheus", "alertmanager"]
    copied = {path.name for path in (base / ".last-good/prometheus").rglob("*") if path.is_file()}
    assert copied == {"compose.yaml", "new.yml"}


def test_saved_in_check_mode_writes_nothing_and_takes_a_bare_host(snapshot: Any, base: Path) -> None:
    result = snapshot("saved", "prometheus", "loki", check=True)
    assert result["changed"]
    assert result["services"] == ["prometheus", "loki"]
    assert not (base / ".last-good").exists()


def test_saved_names_a_service_that_is_not_there(snapshot: Any, base: Path) -> None:
    result = snapshot("saved", "prometheus", "loki")
    assert result["failed"]
    assert str(base / "loki") in result["msg"]
    assert not (base / ".last-good").exists()


def test_restored_puts_everything_back_in_place(snapshot: Any, base: Path) -> None:
    snapshot("saved", "prometheus")
    spoil(base)
    inodes = [(base / path).stat().st_ino for path in ("prometheus", "prometheus/rules", "secrets/prometheus")]
    result = snapshot("restored", "prometheus", "alertmanager")
    assert result["services"] == ["prometheus"]
    assert result["missing"] == ["alertmanager"]
    assert (base / "prometheus/compose.yaml").read_text() == "first\n"
    assert (base / "prometheus/rules/a.yml").read_text() == "groups: []\n"
    assert not (base / "prometheus/new.yml").exists()
    secret = base / "secrets/prometheus/token"
    assert secret.read_text() == "first-secret"
    assert (stat.S_IMODE(secret.stat().st_mode), secret.stat().st_uid) == (0o600, os.getuid())
    assert [(base / path).stat().st_ino for path in ("prometheus", "prometheus/rules", "secrets/prometheus")] == inodes
    assert "first-secret" not in str(result)
    assert "second\n" in [entry.get("before") for entry in result["diff"]]
    assert not snapshot("restored", "prometheus")["changed"]


def test_restored_in_check_mode_writes_nothing(snapshot: Any, base: Path) -> None:
    snapshot("saved", "prometheus")
    spoil(base)
    assert snapshot("restored", "prometheus", check=True)["services"] == ["prometheus"]
    assert (base / "prometheus/compose.yaml").read_text() == "second\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_the_owner_of_secrets_survives_both_ways(snapshot: Any, base: Path) -> None:
    for path in (base / "secrets/prometheus", base / "secrets/prometheus/token"):
        os.chown(path, 65534, 65533)
    snapshot("saved", "prometheus")
    kept = (base / ".last-good/secrets/prometheus/token").stat()
    assert (kept.st_uid, kept.st_gid) == (65534, 65533)
    spoil(base)
    snapshot("restored", "prometheus")
    put_back = (base / "secrets/prometheus/token").stat()
    assert (put_back.st_uid, put_back.st_gid) == (65534, 65533)


def test_an_interrupted_save_leaves_no_half_copy(snapshot: Any, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot("saved", "prometheus")
    spoil(base)
    rename = os.rename

    def fail_on_folder(source: str, target: str) -> None:
        if "secrets" not in target:
            raise OSError(28, "No space left on device", target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_on_folder)
    assert "No space left on device" in snapshot("saved", "prometheus")["msg"]
    monkeypatch.undo()
    assert snapshot("restored", "prometheus")["missing"] == ["prometheus"]
    assert (base / "prometheus/compose.yaml").read_text() == "second\n"
