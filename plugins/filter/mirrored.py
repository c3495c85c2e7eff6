# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: mirrored
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Point an image reference at a registry mirror
description:
  - Replaces the registry of an image reference by a mirror of it.
positional: mirror
options:
  _input:
    description: An image reference that names its registry, such as V(docker.io/prom/prometheus:v3.14.0).
    type: str
    required: true
  mirror:
    description: The mirror as C(host[:port][/path]). An empty string leaves the reference as it is.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Pull through a mirror
  ansible.builtin.debug:
    # -> registry.example.com:5000/prom/prometheus:v3.14.0
    msg: "{{ 'docker.io/prom/prometheus:v3.14.0' | llmops.monitoring.mirrored('registry.example.com:5000') }}"
"""

RETURN = r"""
_value:
  description: The reference that a host pulls.
  type: str
"""


def mirrored(reference: str, mirror: str) -> str:
    if not mirror:
        return reference
    _registry, _slash, repository = reference.partition("/")
    return mirror.rstrip("/") + "/" + repository


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"mirrored": mirrored}
