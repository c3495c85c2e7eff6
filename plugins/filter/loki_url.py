# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: loki_url
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Where hosts without a Loki send their logs
description:
  - Gives the address of the Loki on the first monitoring host that runs one which takes lines, and its C(loki_port).
    The address is C(exporters_scrape_address), else C(loki_listen_address) where that is one of the network and not all
    of the host's, else C(ansible_host), else the inventory name. Nothing when no host runs one.
positional: monitoring_hosts
options:
  _input:
    description: The C(hostvars) of the play.
    type: dict
    required: true
  monitoring_hosts:
    description: Names of the hosts that may run Loki.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Where do logs go?
  ansible.builtin.debug:
    # -> http://192.0.2.20:23002
    msg: "{{ hostvars | llmops.monitoring.loki_url(groups['monitoring_hosts']) }}"
"""

RETURN = r"""
_value:
  description: The address, or nothing.
  type: str
"""

from ansible_collections.llmops.monitoring.plugins.module_utils._log_places import loki_url


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"loki_url": loki_url}
