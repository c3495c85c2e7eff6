#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: service_snapshot
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The last good state of services is kept, or put back
description:
  - Keeps a copy of the folders and secrets of services that were just seen ready, in C(<dir>/.last-good/) (0700), and
    puts that copy back when a later change keeps a service from becoming ready.
  - Files are put back in place, one by one, since running containers have the folder bind-mounted.
  - It starts, reloads and stops nothing.
attributes:
  check_mode:
    description: Tells which services would be saved or restored.
    support: full
  diff_mode:
    description:
      - With V(restored), shows each file before and after, and of secrets only the names. With V(saved), shows nothing,
        since the change was shown when it was made.
    support: partial
options:
  services:
    description: The services' names.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(saved) makes what is in place now the last good state. Every service must have a folder.
      - V(restored) puts the last good state back. Services without one stay as they are and are named in RV(missing).
    type: str
    choices: [saved, restored]
    required: true
  dir:
    description: The folder that holds all services' folders (C(llm_monitor_dir)).
    type: path
    default: /opt/llm-monitor
seealso:
  - module: llmops.monitoring.service_folder
"""

EXAMPLES = r"""
- name: What just became ready is what a later rollout can go back to
  llmops.monitoring.service_snapshot:
    services: [prometheus, alertmanager]
    state: saved

- name: Services that did not become ready have their last good folder again
  llmops.monitoring.service_snapshot:
    services: "{{ stack_failed_services }}"
    state: restored
  register: snapshot
"""

RETURN = r"""
services:
  description: The services that were saved or restored because something differed.
  returned: success
  type: list
  elements: str
  sample: [prometheus]
missing:
  description: The services that have no last good state to go back to, such as after their very first rollout.
  returned: success
  type: list
  elements: str
  sample: [alertmanager]
"""

import os
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import _service_files
from ansible_collections.llmops.monitoring.plugins.module_utils._service_folder import (
    FolderError,
    Paths,
    State,
    diff_of,
)


class Snapshot:
    """The copies of some services' last good states."""

    def __init__(self, check_mode: bool) -> None:
        self.check_mode = check_mode
        self.done: list[str] = []
        self.missing: list[str] = []
        self.diff: list[dict[str, str]] = []

    def save(self, services: Sequence[Paths]) -> None:
        absent = [paths.folder for paths in services if not _complete(paths)]
        if absent and not self.check_mode:
            raise FolderError(
                f"There is nothing to keep: of {', '.join(absent)} the folder or the secrets don't exist."
            )
        for paths in services:
            if not _complete(paths):
                self.done.append(paths.name)
                continue
            wanted, secrets = _service_files.read_state(paths), _service_files.owner_of_secrets(paths)
            if not _service_files.is_in_order(paths.last_good, wanted, secrets):
                self.done.append(paths.name)
                self._replace(paths, wanted, secrets, saving=True)

    def restore(self, services: Sequence[Paths]) -> None:
        for paths in services:
            if not _complete(paths.last_good):
                self.missing.append(paths.name)
                continue
            wanted, secrets = (
                _service_files.read_state(paths.last_good),
                _service_files.owner_of_secrets(paths.last_good),
            )
            if not _service_files.is_in_order(paths, wanted, secrets):
                self.done.append(paths.name)
                self.diff += diff_of(paths, _service_files.read_state(paths), wanted)
                self._replace(paths, wanted, secrets, saving=False)

    def _replace(self, paths: Paths, wanted: State, secrets: _service_files.Policy, saving: bool) -> None:
        """Exchange the copy as a whole, or the folder in use file by file."""
        if self.check_mode:
            return
        try:
            _service_files.stage(paths.staging, wanted, secrets)
            if saving:
                _service_files.put_aside(paths.staging, paths.last_good)
            else:
                _service_files.put_in_place(paths.staging, paths, wanted, secrets)
        finally:
            _service_files.remove(paths.staging)


def _complete(paths: Paths) -> bool:
    return os.path.isdir(paths.folder) and os.path.isdir(paths.secrets)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["saved", "restored"], "required": True},
            "dir": {"type": "path", "default": "/opt/llm-monitor"},
        },
        supports_check_mode=True,
    )
    snapshot = Snapshot(module.check_mode)
    try:
        services = [Paths(module.params["dir"], name) for name in module.params["services"]]
        if module.params["state"] == "saved":
            snapshot.save(services)
        else:
            snapshot.restore(services)
    except FolderError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"The last good state can't be {module.params['state']}: {error}")
    result: dict[str, Any] = {"changed": bool(snapshot.done), "services": snapshot.done, "missing": snapshot.missing}
    if module._diff:
        result["diff"] = snapshot.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
