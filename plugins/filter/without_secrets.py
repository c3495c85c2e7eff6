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
    and replaces each secret value by the path of a file, using the C(..._file) twin of its key.
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

from typing import Any

# Keys whose value is a secret, and the key that takes a file in its place.
# Source: the configuration references of Alertmanager and Prometheus.
FILE_KEYS = {
    "auth_password": "auth_password_file",
    "smtp_auth_password": "smtp_auth_password_file",
    "slack_api_url": "slack_api_url_file",
    "api_key": "api_key_file",
    "bot_token": "bot_token_file",
    "credentials": "credentials_file",
    "password": "password_file",
    "routing_key": "routing_key_file",
    "service_key": "service_key_file",
    "token": "token_file",
    "user_key": "user_key_file",
    "webhook_url": "webhook_url_file",
    "client_secret": "client_secret_file",
}
# Addresses that are secrets, since whoever has one can post: only in these receivers.
URL_FILE_KEYS = {("slack_configs", "api_url"): "api_url_file", ("webhook_configs", "url"): "url_file"}


class _Walk:
    def __init__(self, directory: str, prefix: str) -> None:
        self.directory = directory.rstrip("/")
        self.prefix = prefix
        self.files: dict[str, str] = {}

    def value(self, node: object, path: tuple[str, ...]) -> object:
        if isinstance(node, dict):
            return dict(self._entry(str(key), child, path) for key, child in node.items())
        if isinstance(node, (list, tuple)):
            return [self.value(child, (*path, self._name(child, index))) for index, child in enumerate(node)]
        return node

    def _entry(self, key: str, child: object, path: tuple[str, ...]) -> tuple[str, object]:
        receiver = path[-2] if len(path) > 1 else ""
        file_key = FILE_KEYS.get(key) or URL_FILE_KEYS.get((receiver, key))
        if file_key is None or not isinstance(child, str):
            return key, self.value(child, (*path, key))
        name = "-".join(part for part in (self.prefix, *path, key) if part).replace("/", "_").replace(" ", "_")
        self.files[name] = child
        return file_key, f"{self.directory}/{name}"

    @staticmethod
    def _name(child: object, index: int) -> str:
        name = child.get("name") if isinstance(child, dict) else None
        return name if isinstance(name, str) else str(index)


def without_secrets(value: object, directory: str, prefix: str = "") -> dict[str, Any]:
    walk = _Walk(directory, prefix)
    return {"value": walk.value(value, ()), "files": walk.files}


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"without_secrets": without_secrets}
