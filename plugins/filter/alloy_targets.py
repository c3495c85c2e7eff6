# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: alloy_targets
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Prometheus targets of the log shippers, from the inventory
description:
  - Gives the target groups of the job C(alloy), as Prometheus' C(static_configs) has them.
  - The host's own Alloy is reached over the compose network. That of another host is among them if the inventory lets
    it listen on an address that is not loopback (C(alloy_listen_address)), for else nobody reaches it. It is reached at
    its C(exporters_scrape_address), else at that address where it isn't all of the host's, else at C(ansible_host),
    else at its inventory name.
positional: hosts, this_host, services
options:
  _input:
    description: The C(hostvars) of the play.
    type: dict
    required: true
  hosts:
    description: Names of the hosts that send logs.
    type: list
    elements: str
    required: true
  this_host:
    description: Name of the host that runs Prometheus.
    type: str
    required: true
  services:
    description: The components that this host runs.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Every Alloy that can be scraped
  ansible.builtin.debug:
    msg: >-
      {{ hostvars | llmops.monitoring.alloy_targets(groups['gpu_hosts'], inventory_hostname, llm_monitor_services) }}
"""

RETURN = r"""
_value:
  description: Dictionaries with C(targets) and C(labels).
  type: list
  elements: dict
"""

from ansible_collections.llmops.monitoring.plugins.module_utils._log_places import alloy_targets


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"alloy_targets": alloy_targets}
