"""The host's side of service_folder, over a temporary folder and a played engine."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.modules import service_folder, service_snapshot

IMAGE = "prom/prometheus:v3"
OWNER = f"{os.getuid()}:{os.getgid()}"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "llm-monitor"


@pytest.fixture
def apply(run_module: Any, fake_engine: Any, base: Path) -> Any:
    """Return a function that brings a service into place, with some options of the task replaced."""
    fake_engine.images.add(IMAGE)
    options = {
        "name": "prometheus",
        "dir": str(base),
        "files": {"compose.yaml": "services: {}\n", "prometheus.yml": "global: {}\n", "rules/a.yml": "groups: []\n"},
        "secrets": {"token": "s3cr3t-of-the-exporters"},
        "secrets_owner": OWNER,
        "mount": "/etc/prometheus",
        "checks": [{"image": IMAGE, "entrypoint": ["/bin/promtool"], "command": ["check", "config", "x"]}],
        "reload": True,
        "socket_path": fake_engine.socket_path,
    }

    def run(check: bool = False, files: Mapping[str, str] | None = None, **changed: Any) -> Any:
        merged = {**options, **changed}
        if files is not None:
            merged["files"] = {**options["files"], **files}
        return run_module(service_folder.main, merged, check_mode=check)

    return run


@pytest.fixture
def save(run_module: Any, base: Path) -> Any:
    def run() -> Any:
        options = {"services": ["prometheus"], "state": "saved", "dir": str(base)}
        return run_module(service_snapshot.main, options)

    return run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def tree(base: Path) -> dict[str, bytes]:
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


def test_first_run_writes_everything_with_its_modes(apply: Any, base: Path) -> None:
    result = apply()
    assert result["changed"]
    assert result["checked"]
    assert result["action"] == "recreate"
    assert result["changed_files"] == [
        "prometheus/compose.yaml",
        "prometheus/prometheus.yml",
        "prometheus/rules/a.yml",
        "secrets/prometheus/token",
    ]
    assert (base / "prometheus/rules/a.yml").read_text() == "groups: []\n"
    assert mode(base / "prometheus") == mode(base / "prometheus/rules") == 0o755
    assert mode(base / "prometheus/prometheus.yml") == 0o644
    assert mode(base / "secrets") == mode(base / "secrets/prometheus") == 0o700
    assert mode(base / "secrets/prometheus/token") == 0o600
    assert not (base / ".staging").exists()


def test_modes_do_not_depend_on_the_umask(apply: Any, base: Path) -> None:
    before = os.umask(0o077)
    try:
        apply()
    finally:
        os.umask(before)
    assert mode(base / "prometheus/rules") == 0o755
    assert mode(base / "prometheus/rules/a.yml") == 0o644


def test_second_run_changes_nothing_and_checks_nothing(apply: Any, fake_engine: Any) -> None:
    apply()
    checks = len(fake_engine.created)
    result = apply()
    assert not result["changed"]
    assert not result["checked"]
    assert result["changed_files"] == []
    assert len(fake_engine.created) == checks


def test_the_checker_sees_the_staged_folder_and_secrets(apply: Any, fake_engine: Any, base: Path) -> None:
    seen: dict[str, str] = {}

    def look(config: Mapping[str, Any]) -> tuple[int, str]:
        for mount in config["HostConfig"]["Mounts"]:
            assert mount["ReadOnly"]
            for path in Path(mount["Source"]).rglob("*"):
                if path.is_file():
                    seen[f"{mount['Target']}/{path.relative_to(mount['Source'])}"] = path.read_text()
        return 0, ""

    fake_engine.checker = look
    apply()
    assert seen["/etc/prometheus/prometheus.yml"] == "global: {}\n"
    assert seen["/run/secrets/token"] == "s3cr3t-of-the-exporters"
    (config,) = fake_engine.created.values()
    assert config["Entrypoint"] == ["/bin/promtool"]
    assert config["Cmd"] == ["check", "config", "x"]
    assert fake_engine.removed == list(fake_engine.created)


def test_a_rejected_configuration_leaves_everything_as_it_was(apply: Any, fake_engine: Any, base: Path) -> None:
    apply()
    before = tree(base)
    words = "  FAILED:\n/etc/prometheus/rules/a.yml: 2:5: could not parse; see /run/secrets/token, /etc/prometheus.yml"
    fake_engine.checker = lambda config: (1, words)
    result = apply(files={"rules/a.yml": "groups:\n  - oops\n"})
    assert result["failed"]
    assert "did not pass its check, so prometheus keeps the one it has" in result["msg"]
    assert "prometheus/rules/a.yml: 2:5: could not parse" in result["msg"]
    assert "secrets/prometheus/token" in result["msg"]
    assert "/etc/prometheus.yml" in result["msg"]
    assert "prometheus/rules/a.yml, line 2:\n       1 groups:\n  >    2   - oops" in result["msg"]
    assert tree(base) == before


@pytest.mark.parametrize(
    "words",
    [
        "/etc/prometheus/prometheus.yml: 2:3: no",
        "Checking '/etc/prometheus/prometheus.yml'  FAILED: yaml: line 2: did not find expected key",
        "Checking '/etc/prometheus/prometheus.yml'  FAILED: yaml: unmarshal errors:\n  line 2: field x not found",
        "error loading /etc/prometheus/prometheus.yml: yaml: unmarshal errors:\n  line 2: field x not found",
    ],
)
def test_the_line_that_a_checker_names_is_shown(apply: Any, fake_engine: Any, words: str) -> None:
    fake_engine.checker = lambda config: (1, words)
    result = apply(files={"prometheus.yml": "global:\n  x: 1\n"})
    assert "prometheus/prometheus.yml, line 2:\n       1 global:\n  >    2   x: 1" in result["msg"]


def test_a_checker_that_hangs_is_a_failure(apply: Any, fake_engine: Any, base: Path) -> None:
    fake_engine.checker = lambda config: (0, "still reading")
    fake_engine.may_end.clear()
    result = apply(checks=[{"image": IMAGE, "command": ["x"], "timeout": 1}])
    fake_engine.may_end.set()
    assert result["failed"]
    assert "did not end within 1 s" in result["msg"]
    assert tree(base) == {}


@pytest.mark.parametrize("image", ["prom/prometheus:absent"])
def test_a_missing_image_stops_the_change(apply: Any, base: Path, image: str) -> None:
    result = apply(checks=[{"image": image}])
    assert result["failed"]
    assert "could not be checked, so it was not put in place" in result["msg"]
    assert f"No such image: {image}" in result["msg"]
    assert tree(base) == {}


def test_files_are_replaced_in_place(apply: Any, base: Path) -> None:
    apply()
    folder = base / "prometheus"
    inodes = [path.stat().st_ino for path in (folder, folder / "rules", base / "secrets/prometheus")]
    apply(files={"prometheus.yml": "global: {scrape_interval: 30s}\n", "rules/a.yml": "groups: [] # new\n"})
    assert [path.stat().st_ino for path in (folder, folder / "rules", base / "secrets/prometheus")] == inodes
    assert (folder / "rules/a.yml").read_text() == "groups: [] # new\n"


def test_what_is_no_longer_wanted_goes(apply: Any, base: Path) -> None:
    apply(files={"old/deep/x.yml": "x", "more/y.json": "[]"}, secrets={"token": "a", "old": "b"})
    (base / "prometheus/link").symlink_to("/etc/passwd")
    (base / "prometheus/linked").symlink_to("/etc")
    result = apply()
    assert "prometheus/old/deep/x.yml" in result["changed_files"]
    assert sorted(path.name for path in (base / "prometheus").iterdir()) == ["compose.yaml", "prometheus.yml", "rules"]
    assert [path.name for path in (base / "secrets/prometheus").iterdir()] == ["token"]
    assert Path("/etc/passwd").exists()


def test_a_file_may_become_a_folder_and_back(apply: Any, base: Path) -> None:
    apply(files={"extra": "a file"})
    apply(files={"extra/file": "in a folder"})
    assert (base / "prometheus/extra/file").read_text() == "in a folder"
    apply(files={"extra": "a file"})
    assert (base / "prometheus/extra").read_text() == "a file"


def test_a_mode_that_drifted_is_put_right_without_a_check(apply: Any, fake_engine: Any, base: Path, save: Any) -> None:
    apply()
    save()
    checks = len(fake_engine.created)
    (base / "secrets/prometheus/token").chmod(0o644)
    (base / "prometheus").chmod(0o777)
    result = apply()
    assert result["changed"]
    assert result["action"] == "none"
    assert len(fake_engine.created) == checks
    assert mode(base / "secrets/prometheus/token") == 0o600
    assert mode(base / "prometheus") == 0o755


def test_a_staging_folder_left_behind_is_removed(apply: Any, base: Path) -> None:
    apply()
    left = base / ".staging/secrets/prometheus"
    left.mkdir(parents=True)
    (left / "token").write_text("old")
    assert apply(check=True)["changed"]
    assert left.exists()
    assert apply()["changed"]
    assert not (base / ".staging").exists()
    assert not apply()["changed"]


ACTIONS = [
    ({}, True, "none"),
    ({"files": {"compose.yaml": "services: {a: 1}\n"}}, True, "recreate"),
    ({"files": {"prometheus.yml": "new\n"}}, True, "reload"),
    ({"files": {"prometheus.yml": "new\n"}}, False, "recreate"),
    ({"files": {"rules/b.yml": "new\n"}}, True, "reload"),
    ({"secrets": {"token": "another"}}, True, "reload"),
    ({"secrets": {}}, False, "recreate"),
]


@pytest.mark.parametrize(("changed", "can_reload", "action"), ACTIONS)
def test_the_action_is_judged_against_the_last_good_state(
    apply: Any, save: Any, changed: Any, can_reload: bool, action: str
) -> None:
    apply()
    save()
    assert apply(reload=can_reload, check=True, **changed)["action"] == action
    assert apply(reload=can_reload, **changed)["action"] == action
    again = apply(reload=can_reload, **changed)
    assert not again["changed"]
    assert again["action"] == action
    save()
    assert apply(reload=can_reload, **changed)["action"] == "none"


def test_check_mode_checks_in_a_temporary_folder_and_writes_nothing(apply: Any, fake_engine: Any, base: Path) -> None:
    result = apply(check=True)
    assert result["changed"]
    assert result["checked"]
    assert not base.exists()
    fake_engine.checker = lambda config: (1, "no")
    assert apply(check=True)["failed"]


def test_check_mode_says_when_it_could_not_check(
    apply: Any, fake_engine: Any, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda self, text: warned.append(text))
    fake_engine.images.clear()
    result = apply(check=True)
    assert not result["checked"]
    assert "No such image" in result["not_checked"]
    result = apply(check=True, socket_path=str(tmp_path / "none.sock"))
    assert result["changed"]
    assert "no Docker engine's socket" in result["not_checked"]
    assert all(text.startswith("The new configuration of prometheus was not checked: ") for text in warned)
    assert len(warned) == 2
    assert not base.exists()


def test_the_diff_shows_files_but_no_secrets(apply: Any) -> None:
    apply()
    result = apply(check=True, files={"prometheus.yml": "global: {a: 1}\n"}, secrets={"token": "brand-new-secret"})
    by_file = {entry.get("after_header", "secrets"): entry for entry in result["diff"]}
    (changed,) = (entry for header, entry in by_file.items() if header.endswith("/prometheus/prometheus.yml"))
    assert changed["before"] == "global: {}\n"
    assert changed["after"] == "global: {a: 1}\n"
    assert "token changes" in by_file["secrets"]["prepared"]
    assert "brand-new-secret" not in str(result)
    assert "s3cr3t-of-the-exporters" not in str(result)


def test_a_secret_that_a_checker_prints_is_masked(apply: Any, fake_engine: Any) -> None:
    fake_engine.checker = lambda config: (1, "bad token s3cr3t-of-the-exporters")
    assert "s3cr3t-of-the-exporters" not in str(apply())


def test_absent_removes_folder_secrets_and_copy(apply: Any, save: Any, base: Path) -> None:
    apply()
    apply(name="alertmanager")
    save()
    assert apply(state="absent", check=True)["changed"]
    assert (base / "prometheus").exists()
    assert apply(state="absent")["changed"]
    assert not list(base.rglob("prometheus"))
    assert (base / "alertmanager/compose.yaml").exists()
    assert not apply(state="absent")["changed"]


BAD_OPTIONS = [
    ({"name": "Prometheus"}, "can't be the name of a service"),
    ({"name": "../etc"}, "can't be the name of a service"),
    ({"name": "secrets"}, "can't be the name of a service"),
    ({"files": {"../x": "y"}}, "no path inside the service's folder"),
    ({"files": {"/etc/x": "y"}}, "no path inside the service's folder"),
    ({"files": {"a.json": {"b": 1}}}, "must be text, not dict"),
    ({"secrets": {"a/../../b": "y"}}, "no path inside the service's folder"),
    ({"secrets_owner": "nobody"}, "must be a numeric uid or uid:gid"),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS)
def test_bad_options_are_named(apply: Any, base: Path, options: Any, words: str) -> None:
    result = apply(**options)
    assert result["failed"]
    assert words in result["msg"]
    assert not base.exists()


def test_a_file_in_the_way_of_the_folder_is_not_removed(apply: Any, base: Path) -> None:
    base.mkdir()
    (base / "prometheus").write_text("somebody's notes")
    result = apply()
    assert result["failed"]
    assert "is in the way" in result["msg"]
    assert (base / "prometheus").read_text() == "somebody's notes"
