"""Runs a real ansible-playbook with the collection of this checkout."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
BIN = Path(sys.executable).parent

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ansible_playbook(tmp_path: Path) -> Run:
    """Return a function that writes a playbook to a temporary folder and runs it there."""

    def run(play: dict[str, Any], *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "play.yml").write_text(json.dumps([{"gather_facts": False, **play}]))
        own = {
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.run(
            [str(BIN / "ansible-playbook"), "play.yml", *arguments],
            cwd=tmp_path,
            env={**os.environ, **own, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
