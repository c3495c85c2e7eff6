# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold between the variables of the exporters.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.llmops.monitoring.plugins.module_utils._settings_rules import is_ip_address, is_url

# What has a variable of its own: the exporter, and its setting.
_EXPORTERS_SECRETS = (
    ("vllm", "api_key"),
    ("litellm", "api_key"),
    ("langfuse", "secret_key"),
    ("langfuse", "database"),
)


def secret_problems(settings: Any) -> list[str]:
    """Return a complaint for each secret in exporters_settings, whose file anyone on the host can read."""
    if not isinstance(settings, Mapping):
        return []
    lowered = {str(name).lower(): value for name, value in settings.items()}
    held = [("auth", "exporters_bearer_token")] if "auth" in lowered else []
    for exporter, setting in _EXPORTERS_SECRETS:
        section = lowered.get(exporter)
        if isinstance(section, Mapping) and setting in (str(name).lower() for name in section):
            held.append((f"{exporter}.{setting}", f"exporters_{exporter}_{setting}"))
    return [
        f"exporters_settings has {name!r}: its file can be read by anyone on the host; set {variable}, "
        "which is kept in a file of its own"
        for name, variable in held
    ]


def reach_problems(settings: Mapping[str, Any]) -> list[str]:
    """Return a complaint for each address of another service that an exporter's container would take for itself."""
    named = {name: settings.get(name) for name in ("exporters_litellm_url", "exporters_langfuse_url")}
    for index, endpoint in enumerate(settings.get("exporters_vllm_endpoints") or []):
        if isinstance(endpoint, Mapping):
            named[f"exporters_vllm_endpoints[{index}].url"] = endpoint.get("url")
    return [
        f"{name} is {str(url)!r}: in its container the exporter would look for it at itself; use host.docker.internal "
        "for what listens on all addresses of the host, or the container's name with its network in exporters_networks"
        for name, url in named.items()
        if url and is_url(url) and _is_loopback(urlsplit(str(url)).hostname or "")
    ]


def exposure_problems(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[str]:
    """Return a complaint when exporters can be read over the network by anyone."""
    address = settings.get("exporters_listen_address")
    runs = services is None or "exporters" in services
    if not runs or not is_ip_address(address) or settings.get("exporters_bearer_token"):
        return []
    if ipaddress.ip_address(str(address)).is_loopback:
        return []
    return [
        f"exporters_listen_address is {address}: others on the network could read all metrics; set "
        "exporters_bearer_token (openssl rand -hex 32), or leave the address at 127.0.0.1"
    ]


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (is_ip_address(host) and ipaddress.ip_address(host).is_loopback)
