# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: host_services
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The components that one host runs
description:
  - Of a catalogue of components and the inventory groups that run them, gives those that are switched on
    and belong on a host of the given groups, in the order of the catalogue.
positional: components, group_names
options:
  _input:
    description: Component names, each with the list of inventory groups that run it.
    type: dict
    required: true
  components:
    description: The components that are switched on.
    type: list
    elements: str
    required: true
  group_names:
    description: The inventory groups of the host.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: What does this host run?
  ansible.builtin.debug:
    msg: "{{ llm_monitor_catalogue | llmops.monitoring.host_services(llm_monitor_components, group_names) }}"
"""

RETURN = r"""
_value:
  description: Names of components.
  type: list
  elements: str
"""


def host_services(catalogue: dict[str, list[str]], components: list[str], group_names: list[str]) -> list[str]:
    return [
        name for name, groups in catalogue.items() if name in components and not set(groups).isdisjoint(group_names)
    ]


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"host_services": host_services}
