# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: exporter_targets
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Prometheus targets of all exporters, from the inventory
description:
  - Gives the target groups of every exporter job, as Prometheus' C(static_configs) has them, so that no list of targets
    is written by hand.
  - A host's own exporters are reached over the compose network, those of other hosts at their
    C(exporters_scrape_address), else C(ansible_host), else inventory name. The exporters in C(exporters_mocked) have
    the job and the port that they would have by themselves, but C(mock) answers there.
  - Which exporters a host runs is what the inventory says in C(exporters_enabled), else
    P(llmops.monitoring.usual_exporters#filter).
  - Otherwise only the inventory's variables of a host count (C(llm_monitor_components), C(exporters_mocked),
    C(exporters_<name>_port), C(llm_monitor_exporter_port_base), C(exporters_scrape_address)), never facts, so a host
    that is down or outside of C(--limit) keeps its targets.
positional: hosts, hostvars, this_host
options:
  _input:
    description:
      - The exporters, each with its well-known C(port) and its C(offset) in a consecutive range of ports.
    type: dict
    required: true
  hosts:
    description: Names of the hosts that run exporters.
    type: list
    elements: str
    required: true
  hostvars:
    description: The C(hostvars) of the play.
    type: dict
    required: true
  this_host:
    description: Name of the host that runs Prometheus.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: All targets
  ansible.builtin.debug:
    msg: >-
      {{ exporters_catalogue | llmops.monitoring.exporter_targets(
           groups['gpu_hosts'], hostvars, inventory_hostname) }}
"""

RETURN = r"""
_value:
  description: For each exporter, a list of dictionaries with C(targets) and C(labels).
  type: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.llmops.monitoring.plugins.filter.usual_exporters import mocked_exporters, usual_exporters


def _port(name: str, exporter: dict[str, int], host: dict[str, object]) -> object:
    own = host.get(f"exporters_{name}_port")
    if own:
        return own
    base = int(str(host.get("llm_monitor_exporter_port_base") or 0))
    return base + exporter["offset"] if base else exporter["port"]


def _known(host_name: str, names: object, catalogue: dict[str, dict[str, int]]) -> list[str]:
    """Return the exporters of a host, whose own settings are checked only in its own turn."""
    allowed = ", ".join(catalogue)
    if not isinstance(names, (list, tuple)):
        raise AnsibleFilterError(
            f"exporters_enabled of {host_name} is {str(names)!r}: must be a list of exporters, which are: {allowed}"
        )
    for name in names:
        if name not in catalogue:
            raise AnsibleFilterError(f"exporters_enabled of {host_name} has {str(name)!r}, which is none of: {allowed}")
    return list(names)


def _address(host_name: str, host: dict[str, object]) -> str:
    address = str(host.get("exporters_scrape_address") or host.get("ansible_host") or host_name)
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def exporter_targets(
    catalogue: dict[str, dict[str, int]],
    hosts: list[str],
    hostvars: dict[str, dict[str, object]],
    this_host: str,
) -> dict[str, list[dict[str, object]]]:
    targets: dict[str, list[dict[str, object]]] = {name: [] for name in catalogue}
    for host_name in sorted(set(hosts)):
        host = hostvars[host_name]
        components = host.get("llm_monitor_components", ["exporters"])
        if not isinstance(components, list) or "exporters" not in components:
            continue
        names = host["exporters_enabled"] if "exporters_enabled" in host else usual_exporters(host)
        mocked = mocked_exporters(host)
        for name in _known(host_name, names, catalogue):
            answers = "mock" if name in mocked else name
            address = f"{answers}-exporter" if host_name == this_host else _address(host_name, host)
            port = _port(name, catalogue[name], host)
            targets[name].append({"targets": [f"{address}:{port}"], "labels": {"instance": host_name}})
    return targets


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"exporter_targets": exporter_targets}
