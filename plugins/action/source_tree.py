# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the source of an image onto a host: one archive, where the module copy needs a round trip for each file."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.llmops.monitoring.plugins.plugin_utils._source_tree import source_files

_OPTIONS = {"src", "dest"}


class ActionModule(ActionBase):
    """Packs the folder here and lets the module unarchive unpack it there."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if set(self._task.args) != _OPTIONS:
            raise AnsibleActionFail(f"The options are {' and '.join(sorted(_OPTIONS))}, both required.")
        folder = Path(self._find_needle("files", self._task.args["src"]))
        if not folder.is_dir():
            raise AnsibleActionFail(f"{folder} is not a folder on the machine that runs Ansible.")
        try:
            with tempfile.TemporaryDirectory() as local:
                archive = os.path.join(local, "tree.tar.gz")
                _pack(folder, archive)
                there = self._connection._shell.join_path(self._connection._shell.tmpdir, "tree.tar.gz")
                self._transfer_file(archive, there)
            self._fixup_perms2((self._connection._shell.tmpdir, there))
            options = {"src": there, "dest": self._task.args["dest"], "remote_src": True}
            result.update(self._execute_module("ansible.builtin.unarchive", options, task_vars=task_vars))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result


def _pack(folder: Path, archive: str) -> None:
    with tarfile.open(archive, "w:gz") as file:
        for path in source_files(folder):
            file.add(folder / path, path.as_posix(), filter=_ownerless)


def _ownerless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Say nothing of who has the files here: there, they belong to who unpacks them."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
