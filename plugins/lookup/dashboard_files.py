# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: dashboard_files
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The dashboards of a folder, as Grafana's folder will hold them
description:
  - Reads the files C(<folder>/<name>.json) below a folder on the machine that runs Ansible. Each folder becomes a
    folder in Grafana. Files elsewhere, such as the programs that write the dashboards, do not count.
  - A file that is no dashboard with a C(uid) and a C(title), or a C(uid) that two files have, is an error.
options:
  _terms:
    description: Folders. One that is not there has no dashboards.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Which dashboards are there?
  ansible.builtin.debug:
    msg: "{{ lookup('llmops.monitoring.dashboard_files', 'dashboards').keys() }}"
"""

RETURN = r"""
_raw:
  description: Per folder, C(dashboards/<folder>/<name>.json) and the file's content.
  type: list
  elements: dict
"""

import json
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


def dashboard_files(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    owners: dict[str, Path] = {}
    for path in sorted(folder.glob("*/*.json")):
        text = path.read_text(encoding="utf-8")
        uid = _uid(path, text)
        if uid in owners:
            raise AnsibleError(
                f"{path} and {owners[uid]} have the same uid {uid!r}: Grafana would take only one of them."
            )
        owners[uid] = path
        found[f"dashboards/{path.relative_to(folder).as_posix()}"] = text
    return found


def _uid(path: Path, text: str) -> str:
    try:
        dashboard = json.loads(text)
    except ValueError as error:
        raise AnsibleError(f"{path} is no JSON: {error}") from error
    if not isinstance(dashboard, dict) or not dashboard.get("uid") or not dashboard.get("title"):
        raise AnsibleError(f"{path} is no dashboard: it needs a uid and a title.")
    return str(dashboard["uid"])


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: object = None, **kwargs: object) -> list[dict[str, str]]:
        return [dashboard_files(Path(term)) for term in terms]
