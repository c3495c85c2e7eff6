"""The source of an image on its way to a host, by a real ansible-playbook."""

import sys
from pathlib import Path
from typing import Any

import pytest

Bring = Any


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    for path in ("src/app/main.py", "src/app/__pycache__/main.pyc", "tests/test_main.py", ".dockerignore"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(f"the content of {path}\n")
    (source / "src/start").write_text("#!/bin/sh\n")
    (source / "src/start").chmod(0o755)
    return source


@pytest.fixture
def bring(tmp_path: Path, source: Path, ansible_playbook: Any) -> Bring:
    """Return a function that brings `source` into the folder `there`, and returns what Ansible says."""
    there = tmp_path / "there"
    there.mkdir()

    def bring(*arguments: str, passes: bool = True, **changed: str) -> str:
        options = {"src": str(source), "dest": str(there), **changed}
        play = {
            "hosts": "localhost",
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [{"llmops.monitoring.source_tree": options}],
        }
        done = ansible_playbook(play, "-i", "localhost,", "-c", "local", *arguments)
        assert (done.returncode == 0) == passes, done.stdout + done.stderr
        return str(done.stdout + done.stderr)

    return bring


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_arrive_without_tests_and_caches(bring: Bring, source: Path, tmp_path: Path) -> None:
    assert "changed=1" in bring()
    expected = {path: text for path, text in files(source).items() if path in (".dockerignore", "src/app/main.py")}
    assert files(tmp_path / "there") == {**expected, "src/start": "#!/bin/sh\n"}
    assert (tmp_path / "there/src/start").stat().st_mode & 0o777 == 0o755


def test_second_time_changes_nothing(bring: Bring) -> None:
    bring()
    assert "changed=0" in bring()


def test_change_arrives(bring: Bring, source: Path, tmp_path: Path) -> None:
    bring()
    (source / "src/app/main.py").write_text("another content, of another length\n")
    assert "changed=1" in bring()
    assert (tmp_path / "there/src/app/main.py").read_text() == "another content, of another length\n"


def test_check_mode_writes_nothing(bring: Bring, tmp_path: Path) -> None:
    assert "skipped=1" in bring("--check")
    assert files(tmp_path / "there") == {}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"src": "/does/not/exist"}, "/does/not/exist"),
        ({"dest": "/does/not/exist"}, "/does/not/exist"),
        ({"mode": "0700"}, "The options are dest and src"),
    ],
)
def test_wrong_option_is_named(bring: Bring, changed: dict[str, str], words: str) -> None:
    assert words in " ".join(bring(passes=False, **changed).split())
