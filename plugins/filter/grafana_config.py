# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: grafana_config
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Grafana's settings as grafana.ini, with the secrets taken out
description:
  - Writes sections and their settings as Grafana reads them, whatever characters a value has.
  - A secret, which its name or a password in an address tells, is replaced by C($__file{...}), and given as a file to
    be written with mode 0600.
options:
  _input:
    description: Section, then name, then value.
    type: dict
    required: true
  directory:
    description: Where Grafana finds the files.
    type: str
    default: /run/secrets
"""

EXAMPLES = r"""
- name: Which settings would lie open?
  ansible.builtin.debug:
    # -> [smtp]
    #    enabled = true
    #    password = $__file{/run/secrets/smtp-password}
    msg: "{{ ({'smtp': {'enabled': true, 'password': 'abc'}} | llmops.monitoring.grafana_config).text }}"
"""

RETURN = r"""
_value:
  description:
    - C(text) is the content of grafana.ini, C(files) maps each secret's file name to its content.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmops.monitoring.plugins.plugin_utils import _grafana_ini


def grafana_config(settings: dict[str, Any], directory: str = "/run/secrets") -> dict[str, Any]:
    try:
        text, files = _grafana_ini.rendered(settings, directory)
    except ValueError as error:
        raise AnsibleFilterError(f"These are no settings of Grafana: {error}") from error
    return {"text": text, "files": files}


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"grafana_config": grafana_config}
