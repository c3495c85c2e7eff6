# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""grafana_service_account as a task: where its token ends up, and where it does not."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.tests.grafana_stand_in.server import PASSWORD, GrafanaStandIn, running

Play = Callable[..., str]


@pytest.fixture
def grafana() -> Iterator[GrafanaStandIn]:
    with running() as stand_in:
        yield stand_in


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "secrets/deep/reports"


@pytest.fixture
def play(ansible_playbook: Any, grafana: GrafanaStandIn, kept: Path) -> Play:
    """Return a function that runs the task as verbosely as can be, and returns all that Ansible printed."""

    def run(*arguments: str, is_well: bool = True, **options: Any) -> str:
        task = {
            "url": grafana.url,
            "username": "admin",
            "password": PASSWORD,
            "name": "reports",
            "token_file": str(kept),
            **options,
        }
        done = ansible_playbook(
            {
                "hosts": "localhost",
                "connection": "local",
                "vars": {"ansible_python_interpreter": sys.executable},
                "tasks": [{"llmops.monitoring.grafana_service_account": task}],
            },
            "--diff",
            "-vvv",
            *arguments,
        )
        said: str = done.stdout + done.stderr
        assert (done.returncode == 0) is is_well, said
        assert PASSWORD not in said
        assert "glsa_" not in said
        return said

    return run


def test_the_token_is_kept_by_its_owner_alone_and_never_shown(play: Play, grafana: GrafanaStandIn, kept: Path) -> None:
    assert "changed=1" in play()
    token = kept.read_text()
    assert grafana.accounts.role_of_token(token.strip()) == "Viewer"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert "changed=0" in play()
    assert kept.read_text() == token

    kept.unlink()
    assert "changed=1" in play()
    assert kept.read_text() != token


def test_an_account_that_goes_takes_its_token_along(play: Play, kept: Path) -> None:
    play()
    assert "changed=1" in play("--check", state="absent")
    assert kept.exists()
    assert "changed=1" in play(state="absent")
    assert not kept.exists()
    assert "changed=0" in play(state="absent")


def test_check_mode_makes_neither_account_nor_file(play: Play, grafana: GrafanaStandIn, kept: Path) -> None:
    assert "changed=1" in play("--check")
    assert not kept.parent.exists()
    assert not grafana.accounts.accounts


def test_where_no_token_can_be_kept_none_is_issued(play: Play, grafana: GrafanaStandIn, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = play(is_well=False, token_file=str(tmp_path / "file/reports"))
    assert "No token can be kept in" in said or "can't be read" in said
    assert "must be an absolute path" in play(is_well=False, token_file="reports")
    assert not grafana.accounts.accounts
