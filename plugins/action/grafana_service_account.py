# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of grafana_service_account: keeps the token in a file that only its owner can read."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

FILE_MODE = 0o600
FOLDER_MODE = 0o700


class ActionModule(ActionBase):
    """Hands the token that is kept to the module, and keeps the one that it issues; the task's result has neither."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        path = str(arguments.pop("token_file", None) or "")
        is_wanted = bool(path) and arguments.get("state", "present") == "present"
        if path and not os.path.isabs(path):
            raise AnsibleActionFail(
                f"token_file is {path!r}: must be an absolute path on the machine that runs Ansible."
            )
        if is_wanted:
            arguments["token"] = _kept(path)
            if not self._task.check_mode:
                _prepare(path)
        result.update(
            self._execute_module(
                module_name="llmops.monitoring.grafana_service_account", module_args=arguments, task_vars=task_vars
            )
        )
        token = result.pop("token", None)
        if token:
            _keep(path, token)
        elif path and not is_wanted and not result.get("failed") and os.path.lexists(path):
            result["changed"] = True
            if not self._task.check_mode:
                os.unlink(path)
        return result


def _kept(path: str) -> str:
    """Return the token that a file keeps; without a file none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise AnsibleActionFail(f"The token in {path} can't be read: {error}. Mend it or move it away.") from error


def _prepare(path: str) -> None:
    """See that a token could be kept before one is issued, for Grafana tells it only once."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, FOLDER_MODE, exist_ok=True)
        if os.path.lexists(path):
            os.chmod(path, FILE_MODE)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise AnsibleActionFail(f"No token can be kept in {path}: {error}.") from error


def _keep(path: str, token: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, FILE_MODE)
        file.write(f"{token}\n")
    os.replace(temporary, path)
