# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold between the variables of the exporters.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.llmops.monitoring.plugins.module_utils._address_rules import (
    database_hosts,
    is_database_url,
    is_ip_address,
    is_own_host,
    is_service_url,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._settings_rules import nearest

# What has a variable of its own: the exporter, its setting, and the variable.
_EXPORTERS_SECRETS = (
    ("container", "gpu_exporter_token", "exporters_bearer_token"),
    ("vllm", "gpu_exporter_token", "exporters_bearer_token"),
    ("vllm", "api_key", "exporters_vllm_api_key"),
    ("litellm", "api_key", "exporters_litellm_api_key"),
    ("langfuse", "public_key", "exporters_langfuse_public_key"),
    ("langfuse", "secret_key", "exporters_langfuse_secret_key"),
    ("langfuse", "database", "exporters_langfuse_database"),
    ("llmops", "database", "exporters_llmops_database"),
)

# What of exporters_settings is a URL: the exporter and its setting.
_EXPORTERS_ADDRESSES = (
    ("container", "gpu_exporter"),
    ("vllm", "gpu_exporter"),
    ("litellm", "url"),
    ("langfuse", "url"),
)

# What of mock's settings has a variable of its own, which more than its file follows.
_MOCK_SETTINGS = (
    ("exporters", "exporters_mocked"),
    ("fleet", "exporters_mock_fleet"),
    ("scenarios", "exporters_mock_scenarios"),
)
_SCENARIO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# The engine has these itself, and lets no container of Compose join them beside others.
_BUILT_IN_NETWORKS = ("bridge", "host", "none")
_SERVICE_URL = "must be a URL with http:// or https:// and a host, without user, password, query or fragment"
# The paths that are asked of a vLLM server.
_ASKED = re.compile(r"/(metrics|v1(/.*)?|health|version)/?$")
# As the vLLM exporter takes them.
_ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def secret_problems(settings: Any) -> list[str]:
    """Return a complaint for each secret in exporters_settings, whose file anyone on the host can read."""
    if not isinstance(settings, Mapping):
        return []
    lowered = _lowered(settings)
    held = [("auth", "exporters_bearer_token")] if "auth" in lowered else []
    for exporter, setting, variable in _EXPORTERS_SECRETS:
        if setting in _lowered(lowered.get(exporter)):
            held.append((f"{exporter}.{setting}", variable))
    return [
        f"exporters_settings has {name!r}: its file can be read by anyone on the host; set {variable}, "
        "which is kept in a file of its own"
        for name, variable in held
    ]


def name_problems(settings: Any, exporters: Iterable[str], shared: Iterable[str]) -> list[str]:
    """Return a complaint for each word of exporters_settings that is no exporter and none of their shared settings."""
    known = [*exporters, *shared]
    return [
        f"exporters_settings has {name!r}, which is no exporter and no setting of all: known are {', '.join(known)}."
        f"{nearest(name, known)}"
        for name in _lowered(settings)
        if name not in known
    ]


def reach_problems(settings: Mapping[str, Any]) -> list[str]:
    """Return a complaint for each address of another service that an exporter's container would take for itself."""
    named = {name: settings.get(name) for name in ("exporters_litellm_url", "exporters_langfuse_url")}
    urls = {**named, **_own_addresses(settings), **dict(_of_endpoints(settings.get("exporters_vllm_endpoints")))}
    hosts = [(name, urlsplit(str(url)).hostname or "") for name, url in urls.items() if url and is_service_url(url)]
    for name in ("exporters_langfuse_database", "exporters_llmops_database"):
        database = settings.get(name)
        if is_database_url(database):
            hosts += [(name, host) for host in database_hosts(str(database))]
    return [
        f"{name} leads to {host!r}: in its container the exporter would look for it at itself; use "
        "host.docker.internal for what listens on all addresses of the host, or the container's name with its network "
        "in exporters_networks"
        for name, host in hosts
        if is_own_host(host)
    ]


def network_problems(names: Any) -> list[str]:
    """Return a complaint for each name in exporters_networks that containers can't join a network by."""
    listed = _listed(names)
    problems = [
        f"exporters_networks has {name!r}: must be the name of a network that `docker network ls` shows, but none of "
        f"the engine's own: {', '.join(_BUILT_IN_NETWORKS)}"
        for name in listed
        if name in _BUILT_IN_NETWORKS or not _NETWORK.fullmatch(name)
    ]
    twice = sorted({name for name in listed if listed.count(name) > 1})
    return problems + [f"exporters_networks has {name!r} twice" for name in twice]


def endpoint_problems(endpoints: Any) -> list[str]:
    """Return a complaint for each of exporters_vllm_endpoints that the exporter would refuse; a URL is never told."""
    listed = [one for one in endpoints if isinstance(one, Mapping)] if isinstance(endpoints, list) else []
    problems = []
    for index, endpoint in enumerate(listed):
        if "name" in endpoint and not _ENDPOINT.fullmatch(str(endpoint["name"])):
            problems.append(
                f"exporters_vllm_endpoints[{index}].name is {str(endpoint['name'])!r}: must be letters, digits, dots, "
                "dashes and underscores, at most 128, and begin with a letter or digit"
            )
        if "url" in endpoint and not is_service_url(endpoint["url"]):
            problems.append(
                f"exporters_vllm_endpoints[{index}].url {_SERVICE_URL}; a key goes into exporters_vllm_api_key"
            )
        elif "url" in endpoint and _ASKED.search(urlsplit(endpoint["url"]).path):
            problems.append(
                f"exporters_vllm_endpoints[{index}].url ends with what the exporter adds itself: it must be without a "
                "path such as /metrics or /v1"
            )
    names = [str(one.get("name")) for one in listed]
    twice = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"exporters_vllm_endpoints has the name {name!r} twice" for name in twice]


def address_problems(settings: Mapping[str, Any]) -> list[str]:
    """Return a complaint for each address in exporters_settings that an exporter would refuse; a URL is never told."""
    return [f"{name} {_SERVICE_URL}" for name, url in _own_addresses(settings).items() if not is_service_url(url)]


def mock_problems(settings: Mapping[str, Any], exporters: Iterable[str]) -> list[str]:
    """Return a complaint for each variable of the mock that would have no effect, or only half of it."""
    known = list(exporters)
    enabled, mocked = _listed(settings.get("exporters_enabled")), _listed(settings.get("exporters_mocked"))
    problems = [
        f"exporters_mocked has {name!r}, which exporters_enabled lacks: add it there, or leave exporters_enabled unset"
        for name in mocked
        if name in known and name not in enabled
    ]
    if mocked and "mock" not in enabled:
        problems.append(
            f"exporters_mocked has {', '.join(mocked)}, but exporters_enabled lacks 'mock', which plays that: add it "
            "there, or leave exporters_enabled unset"
        )
    section = _lowered(_lowered(settings.get("exporters_settings")).get("mock"))
    problems += [
        f"exporters_settings has 'mock.{setting}': set {variable} instead"
        for setting, variable in _MOCK_SETTINGS
        if setting in section
    ]
    scenarios = settings.get("exporters_mock_scenarios")
    return problems + [
        f"exporters_mock_scenarios has {str(name)!r}: a scenario's name must be letters, digits, dashes and "
        "underscores, and begin with a letter or digit"
        for name in (scenarios if isinstance(scenarios, Mapping) else ())
        if not _SCENARIO.fullmatch(str(name))
    ]


def source_problems(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[str]:
    """Return a complaint for each exporter that has nothing to ask, or two ways to ask one thing."""
    if services is not None and "exporters" not in services:
        return []
    # What mock plays asks nobody.
    mocked = _listed(settings.get("exporters_mocked"))
    started = [name for name in _listed(settings.get("exporters_enabled")) if name not in mocked]
    sections = _lowered(settings.get("exporters_settings"))
    asked = [name for name in started if name not in sections]
    problems = _docker_problems(settings, services, started, sections)
    if "litellm" in asked and not settings.get("exporters_litellm_url"):
        problems.append("exporters_enabled has 'litellm': set exporters_litellm_url, or take it off the list")
    has_event_store = services is not None and "event_store" in services
    if "llmops" in asked and not has_event_store and not settings.get("exporters_llmops_database"):
        problems.append(
            "exporters_enabled has 'llmops': set exporters_llmops_database, add event_store to llm_monitor_components, "
            "or take it off the list"
        )
    return problems + (_langfuse_problems(settings) if "langfuse" in asked else [])


def _docker_problems(
    settings: Mapping[str, Any], services: Sequence[str] | None, enabled: Sequence[str], sections: Mapping[str, Any]
) -> list[str]:
    if services is None or "docker_socket_proxy" in services or settings.get("exporters_docker_socket"):
        return []
    container, vllm = _lowered(sections.get("container")), _lowered(sections.get("vllm"))
    lets_it = "add docker_socket_proxy to llm_monitor_components, or set exporters_docker_socket"
    problems = []
    if "container" in enabled and not container.get("docker"):
        problems.append(
            f"exporters_enabled has 'container', which asks the Docker API, but nothing lets it: {lets_it}, or take it "
            "off the list"
        )
    listed = settings.get("exporters_vllm_endpoints") or vllm.get("endpoints")
    if "vllm" in enabled and not listed and not vllm.get("docker"):
        problems.append(
            "exporters_enabled has 'vllm', which finds servers by the Docker API, but nothing lets it, and no server "
            f"is named: {lets_it} or exporters_vllm_endpoints, or take it off the list"
        )
    return problems


def _langfuse_problems(settings: Mapping[str, Any]) -> list[str]:
    url, database = settings.get("exporters_langfuse_url"), settings.get("exporters_langfuse_database")
    keys = [settings.get(f"exporters_langfuse_{key}_key") for key in ("public", "secret")]
    if url and database:
        return ["exporters_langfuse_url and exporters_langfuse_database are both set: one of them is asked"]
    if database and any(keys):
        return ["exporters_langfuse_database is set: a database takes no public and secret key of Langfuse's API"]
    if not url and not database:
        return [
            "exporters_enabled has 'langfuse': set exporters_langfuse_url or exporters_langfuse_database, or take it "
            "off the list"
        ]
    if url and is_service_url(url) and not all(keys):
        return [
            "exporters_langfuse_url is set: Langfuse tells nothing without exporters_langfuse_public_key and "
            "exporters_langfuse_secret_key"
        ]
    return []


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


def _own_addresses(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the URLs that stand in exporters_settings, by their place there."""
    sections = _lowered(settings.get("exporters_settings"))
    found = {
        f"exporters_settings.{exporter}.{setting}": _lowered(sections.get(exporter)).get(setting)
        for exporter, setting in _EXPORTERS_ADDRESSES
    }
    found.update(_of_endpoints(_lowered(sections.get("vllm")).get("endpoints"), "exporters_settings.vllm.endpoints"))
    return {name: url for name, url in found.items() if url}


def _of_endpoints(endpoints: Any, name: str = "exporters_vllm_endpoints") -> Iterator[tuple[str, Any]]:
    """Yield the place and the URL of each vLLM server of a list."""
    for index, endpoint in enumerate(endpoints if isinstance(endpoints, list) else ()):
        if isinstance(endpoint, Mapping):
            yield f"{name}[{index}].url", endpoint.get("url")


def _listed(names: Any) -> list[str]:
    return [str(name) for name in names] if isinstance(names, list) else []


def _lowered(section: Any) -> dict[str, Any]:
    """Return a group of settings by their names, which the exporters read in either case."""
    return {str(name).lower(): value for name, value in section.items()} if isinstance(section, Mapping) else {}
