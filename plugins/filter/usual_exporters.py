# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: usual_exporters
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The exporters that a host runs unless its inventory chooses others
description:
  - Gives C(node); C(container) for a host whose exporters reach the Docker API, by the component
    C(docker_socket_proxy) or by C(exporters_docker_socket); C(gpu) and, with the Docker API or with
    C(exporters_vllm_endpoints), C(vllm) for a host with GPUs; C(vllm) too for any other host with such endpoints;
    C(litellm) for a host with C(exporters_litellm_url), C(langfuse) for one with C(exporters_langfuse_url) or
    C(exporters_langfuse_database), C(llmops) for one with C(exporters_llmops_database) or with the component
    C(event_store); and what C(exporters_mocked) names, with C(mock), which plays it.
  - A host has GPUs if C(llm_monitor_gpu_library) simulates them, or if it is in the group C(gpu_hosts) and the role
    C(nvidia_toolkit) did not find that there are none. A host that was not looked at, being outside of C(--limit) for
    one, is thus taken for what the inventory says.
options:
  _input:
    description: The C(hostvars) of one host.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What does this host run?
  ansible.builtin.debug:
    msg: "{{ hostvars[inventory_hostname] | llmops.monitoring.usual_exporters }}"
"""

RETURN = r"""
_value:
  description: Names of exporters.
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any


def _has_gpus(host: Mapping[str, Any]) -> bool:
    if host.get("llm_monitor_gpu_library"):
        return True
    if "gpu_hosts" not in host.get("group_names", ()):
        return False
    # What gpu_info has returned; a step that was left out returned something else.
    found = host.get("__nvidia_toolkit_gpus") or {}
    return "gpus" not in found or bool(found["gpus"]) or found["pci_gpus"] > 0


def _reaches_docker(host: Mapping[str, Any]) -> bool:
    components = host.get("llm_monitor_components")
    has_proxy = not isinstance(components, (list, tuple)) or "docker_socket_proxy" in components
    return has_proxy or bool(host.get("exporters_docker_socket"))


def _has_event_store(host: Mapping[str, Any]) -> bool:
    components = host.get("llm_monitor_components")
    is_on = isinstance(components, (list, tuple)) and "event_store" in components
    return is_on and "monitoring_hosts" in host.get("group_names", ())


def mocked_exporters(host: Mapping[str, Any]) -> list[str]:
    """Return the exporters that the mock plays on a host, whose own settings are checked only in its own turn."""
    names = host.get("exporters_mocked")
    return list(names) if isinstance(names, (list, tuple)) else []


def usual_exporters(host: Mapping[str, Any]) -> list[str]:
    mocked = mocked_exporters(host)
    has_gpus, reaches_docker = _has_gpus(host), _reaches_docker(host)
    runs = {
        "node": True,
        "gpu": has_gpus,
        "container": reaches_docker,
        "vllm": (has_gpus and reaches_docker) or bool(host.get("exporters_vllm_endpoints")),
        "litellm": bool(host.get("exporters_litellm_url")),
        "langfuse": bool(host.get("exporters_langfuse_url") or host.get("exporters_langfuse_database")),
        "llmops": bool(host.get("exporters_llmops_database")) or _has_event_store(host),
        "mock": bool(mocked),
    }
    return [name for name, is_usual in runs.items() if is_usual or name in mocked]


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"usual_exporters": usual_exporters}
