# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: without_secrets
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Take the secrets out of an Alertmanager or Prometheus setting
description:
  - Walks a list or dictionary in the form that Alertmanager (receivers) or Prometheus (remote_write) document
    and replaces each secret value by the path of a file, using the C(..._file) twin of its key, which for
    C(http_headers) is C(files). What has no such twin stays; M(llmops.monitoring.settings_check) refuses it.
  - The secrets themselves are given as files, to be written with mode 0600.
positional: directory
options:
  _input:
    description: Receivers or remote_write entries.
    type: raw
    required: true
  directory:
    description: Where the files can be read by the service.
    type: str
    required: true
  prefix:
    description: Start of the files' names.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Receivers whose secrets lie in files
  ansible.builtin.debug:
    msg: "{{ (alertmanager_receivers | llmops.monitoring.without_secrets('/run/secrets')).value }}"
"""

RETURN = r"""
_value:
  description:
    - C(value) is the input with C(..._file) keys in place of secrets, C(files) maps each file's name to its content.
  type: dict
"""

import re
from typing import Any

from ansible_collections.llmops.monitoring.plugins.plugin_utils import _config_secrets as config

_UNFIT_FOR_FILES = re.compile(r"[^A-Za-z0-9_.-]")


class _Walk:
    def __init__(self, directory: str, prefix: str) -> None:
        self.directory = directory.rstrip("/")
        self.prefix = prefix
        self.files: dict[str, str] = {}

    def value(self, node: object, section: str, path: tuple[str, ...]) -> object:
        if isinstance(node, dict):
            if section in config.FREE_SECTIONS:
                return node
            if section == "http_headers":
                return {name: self._header(header, (*path, str(name))) for name, header in node.items()}
            return dict(self._entry(str(key), child, section, path) for key, child in node.items())
        if isinstance(node, (list, tuple)):
            return [self.value(child, section, (*path, self._name(child, index))) for index, child in enumerate(node)]
        return node

    def _entry(self, key: str, child: object, section: str, path: tuple[str, ...]) -> tuple[str, object]:
        file_key = config.file_key(section, key) if config.is_secret_value(child) else None
        if file_key is None:
            return key, self.value(child, key, (*path, key))
        return file_key, self._file(child, (*path, key))

    def _header(self, header: object, path: tuple[str, ...]) -> object:
        """Return a header of http_headers, whose `files` are read as its `secrets` are."""
        if not isinstance(header, dict) or not isinstance(header.get("secrets"), (list, tuple)):
            return header
        files = [self._file(secret, (*path, str(index))) for index, secret in enumerate(header["secrets"])]
        kept = {key: child for key, child in header.items() if key != "secrets"}
        return {**kept, "files": [*(header.get("files") or []), *files]}

    def _file(self, secret: object, path: tuple[str, ...]) -> str:
        """Keep a secret for a file of its own and return the file's path."""
        name = wanted = _UNFIT_FOR_FILES.sub("_", "-".join(part for part in (self.prefix, *path) if part))
        number = 1
        while name in self.files:
            number += 1
            name = f"{wanted}-{number}"
        self.files[name] = str(secret)
        return f"{self.directory}/{name}"

    @staticmethod
    def _name(child: object, index: int) -> str:
        name = child.get("name") if isinstance(child, dict) else None
        return name if isinstance(name, str) else str(index)


def without_secrets(value: object, directory: str, prefix: str = "") -> dict[str, Any]:
    walk = _Walk(directory, prefix)
    return {"value": walk.value(value, "", ()), "files": walk.files}


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"without_secrets": without_secrets}
