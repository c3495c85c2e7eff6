# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: own_address
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The address at which a host reaches its own service
description:
  - Turns the address that a service listens on into one for a URL on the same host. An address that means all of them
    becomes loopback, one of IPv6 gets its brackets.
options:
  _input:
    description: The address that the service listens on.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Is it ready?
  ansible.builtin.uri:
    # -> http://127.0.0.1:9100/ready
    url: "http://{{ '0.0.0.0' | llmops.monitoring.own_address }}:9100/ready"
"""

RETURN = r"""
_value:
  description: The address for a URL.
  type: str
"""

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def own_address(listen_address: str) -> str:
    address = LOOPBACK.get(listen_address.strip("[]"), listen_address.strip("[]"))
    return f"[{address}]" if ":" in address else address


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"own_address": own_address}
