# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where logs are sent and who sends them, by what the inventory says of other hosts.

Only the inventory's variables of another host count, never facts, so that one that is down or outside of --limit keeps
its place.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

LOKI_PORT = 23002
ALLOY_PORT = 23004
_LOOPBACK = "127.0.0.1"

Hosts = Mapping[str, Mapping[str, Any]]


def is_loopback(address: Any) -> bool:
    """Tell whether an address is one that other hosts can't reach."""
    try:
        return ipaddress.ip_address(str(address).strip("[]")).is_loopback
    except ValueError:
        return False


def _is_of_network(address: Any) -> bool:
    """Tell whether an address is a single one of the network, and not all of a host's."""
    try:
        found = ipaddress.ip_address(str(address).strip("[]"))
    except ValueError:
        return False
    return not found.is_unspecified and not found.is_loopback


def runs(component: str, host: Mapping[str, Any]) -> bool:
    """Tell whether a host's inventory lets it run Loki or Alloy, which no Debian package brings."""
    components = host.get("llm_monitor_components")
    if isinstance(components, (list, tuple)):
        return component in components
    return str(host.get("llm_monitor_image_source")) != "distro"


def address_of(name: str, host: Mapping[str, Any], listens_on: Any) -> str:
    """Return the address at which other hosts reach what listens on an address of a host, fit for a URL."""
    own = listens_on if _is_of_network(listens_on) else ""
    address = str(host.get("exporters_scrape_address") or own or host.get("ansible_host") or name)
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def loki_listens_on(host: Mapping[str, Any]) -> str:
    """Return the address on which a host's Loki listens."""
    return str(host.get("loki_listen_address") or host.get("llm_monitor_listen_address") or _LOOPBACK)


def loki_host(hosts: Hosts, monitoring_hosts: Sequence[str]) -> str | None:
    """Return the name of the first monitoring host whose Loki takes log lines; of several hosts' parts some don't."""
    takes_lines = ("all", "write")
    return next(
        (
            name
            for name in monitoring_hosts
            if runs("loki", hosts[name]) and (hosts[name].get("loki_target") or "all") in takes_lines
        ),
        None,
    )


def loki_url(hosts: Hosts, monitoring_hosts: Sequence[str]) -> str:
    """Return the address of the Loki to which hosts without one send their logs; empty when there is none."""
    name = loki_host(hosts, monitoring_hosts)
    if not name:
        return ""
    host = hosts[name]
    return f"http://{address_of(name, host, loki_listens_on(host))}:{host.get('loki_port') or LOKI_PORT}"


def alloy_targets(
    hosts: Hosts, names: Sequence[str], this_host: str, own_services: Sequence[str]
) -> list[dict[str, Any]]:
    """Return Prometheus' target groups of the Alloys that one host can scrape: its own, and those that let it."""
    found = []
    for name in sorted(set(names)):
        host = hosts[name]
        listens_on = host.get("alloy_listen_address") or _LOOPBACK
        if name == this_host:
            address = "alloy:12345" if "alloy" in own_services else ""
        elif runs("alloy", host) and not is_loopback(listens_on):
            address = f"{address_of(name, host, listens_on)}:{host.get('alloy_port') or ALLOY_PORT}"
        else:
            address = ""
        if address:
            found.append({"targets": [address], "labels": {"instance": name}})
    return found
