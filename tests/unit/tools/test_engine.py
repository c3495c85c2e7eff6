"""What tools/engine.sh takes for an engine of its own, with commands that only note that they were called."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "tools/engine.sh"

Run = Callable[[str], tuple[int, str]]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a machine without an engine, where the play does what the file `play` says."""
    for folder in ("run", "bin", "tools"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tools/become.sh").write_text("become=()\n")
    (tmp_path / "boot").write_text("first boot\n")
    (tmp_path / "play").write_text("")
    (tmp_path / "bin/ansible-playbook").write_text("#!/bin/sh\n. ./play\n")
    (tmp_path / "bin/dockerd").write_text("#!/bin/sh\n")
    for name in ("start-stop-daemon", "systemctl"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho {name} $*\n")
    (tmp_path / "bin/sudo").write_text('#!/bin/sh\n"$@"\n')
    for command in (tmp_path / "bin").iterdir():
        command.chmod(0o755)
    return tmp_path


@pytest.fixture
def engine(machine: Path) -> Run:
    """Return a function that runs the script on that machine: its exit status, and what it stopped."""
    script = SCRIPT.read_text(encoding="utf-8").replace("/run/", f"{machine}/run/")
    script = script.replace("/proc/sys/kernel/random/boot_id", f"{machine}/boot")

    def run(verb: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", script, "engine.sh", verb],
            cwd=machine,
            env={"PATH": f"{machine}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


def test_an_engine_that_it_started_is_stopped_once(machine: Path, engine: Run) -> None:
    (machine / "play").write_text("echo 71 > run/llm-monitor-dockerd.pid\n")
    assert engine("start") == (0, "")
    status, said = engine("stop")
    assert (status, said.split()[:2]) == (0, ["start-stop-daemon", "--stop"])
    assert f"--exec={machine}/bin/dockerd" in said
    assert engine("stop") == (0, "")


def test_an_engine_of_systemd_is_stopped_by_it(machine: Path, engine: Run) -> None:
    (machine / "play").write_text("echo 71 > run/docker.pid\n")
    engine("start")
    assert engine("stop") == (0, "systemctl stop docker.socket docker\n")


def test_an_engine_that_runs_already_is_not_stopped(machine: Path, engine: Run) -> None:
    (machine / "run/docker.pid").write_text("71\n")
    assert engine("start") == (0, "")
    assert engine("stop") == (0, "")


def test_it_still_stops_its_own_engine_after_a_second_start(machine: Path, engine: Run) -> None:
    (machine / "play").write_text("echo 71 > run/docker.pid\n")
    engine("start")
    engine("start")
    assert engine("stop") == (0, "systemctl stop docker.socket docker\n")


@pytest.mark.parametrize("other", ["boot", "run/docker.pid"])
def test_an_engine_that_somebody_started_since_is_not_stopped(machine: Path, engine: Run, other: str) -> None:
    (machine / "play").write_text("echo 71 > run/docker.pid\n")
    engine("start")
    (machine / other).write_text("another\n")
    assert engine("stop") == (0, "")


def test_a_start_that_fails_leaves_nothing_to_stop(machine: Path, engine: Run) -> None:
    (machine / "play").write_text("exit 4\n")
    assert engine("start") == (4, "")
    assert engine("stop") == (0, "")


def test_an_engine_is_stopped_though_its_images_could_not_be_had(machine: Path, engine: Run) -> None:
    (machine / "play").write_text("echo 71 > run/docker.pid\nexit 2\n")
    assert engine("start") == (2, "")
    assert engine("stop") == (0, "systemctl stop docker.socket docker\n")
