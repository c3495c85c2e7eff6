"""Real processes that end, hang, print without end or can't be started."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _commands

LIMIT = 1024**2


def shell(script: str, timeout: float = 20, max_bytes: int = LIMIT) -> tuple[int, str, str]:
    return _commands.run(["/bin/sh", "-c", script], timeout, max_bytes, {"WORD": "hello"})


def test_exit_code_and_both_outputs_come_back() -> None:
    assert shell('echo "$WORD"; echo no >&2; exit 7') == (7, "hello\n", "no\n")


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert shell(r"printf 'a\377b'")[1] == "a\ufffdb"


def test_nothing_can_be_asked_of_the_user() -> None:
    assert shell("cat; echo end") == (0, "end\n", "")


def test_much_output_on_both_pipes_is_no_deadlock() -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' a; head -c 300000 /dev/zero | tr '\\0' b >&2"
    _code, out, err = shell(script)
    assert (len(out), len(err)) == (300_000, 300_000)


@pytest.mark.parametrize("script", ["exec sleep 60", "sleep 60", "sleep 60 & wait", "trap '' TERM; sleep 60"])
def test_what_hangs_is_killed_with_all_that_it_started(script: str, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(_commands.CommandTimeout):
        shell(f"echo $$ >{tmp_path}/pid; {script}", timeout=2)
    assert time.monotonic() - start < 10
    group = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        wait_for_group(group)


def wait_for_group(group: int) -> None:
    """Raise ProcessLookupError once no process of the group is left but those that their new parent has to reap."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        os.killpg(group, 0)
        states = [stat_of(process) for process in Path("/proc").glob("[0-9]*")]
        if not [state for state in states if state[2:3] == [str(group)] and state[0] != "Z"]:
            raise ProcessLookupError
        time.sleep(0.02)


def stat_of(process: Path) -> list[str]:
    """Return a process' state, parent and group, and what follows; nothing if it has just gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def test_one_that_closes_its_outputs_and_goes_on_is_killed() -> None:
    with pytest.raises(_commands.CommandTimeout):
        shell("exec >&- 2>&-; sleep 60", timeout=0.5)


def test_one_that_prints_without_end_is_killed() -> None:
    start = time.monotonic()
    with pytest.raises(_commands.TooMuchOutput):
        shell("cat /dev/zero")
    assert time.monotonic() - start < 10


def test_one_that_can_not_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _commands.run([str(tmp_path / "none")], 5, LIMIT)
