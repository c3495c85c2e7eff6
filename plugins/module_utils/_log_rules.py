# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold between the variables of Loki and Alloy.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils import _log_places
from ansible_collections.llmops.monitoring.plugins.module_utils._address_rules import is_ip_address
from ansible_collections.llmops.monitoring.plugins.module_utils._settings_rules import nearest, seconds

_DAY = 86400
_BARE_GROUP = re.compile(r"(?<!\\)\((?!\?)")
# What Python's expressions have and RE2's don't.
_NOT_RE2 = re.compile(r"(?<!\\)\(\?(?:[=!>]|<[=!])|(?<!\\)\\[1-9]")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def loki_problems(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[str]:
    """Return what doesn't fit together among the variables of a host that runs Loki."""
    if services is not None and "loki" not in services:
        return []
    return [*_retention(settings), *_store(settings), *_spread(settings, services)]


def _retention(settings: Mapping[str, Any]) -> Iterator[str]:
    time = settings.get("loki_retention_time")
    length = seconds(time)
    if length and length < _DAY:
        yield f"loki_retention_time is {time}: must be a day (24h) or more, for Loki deletes by days"


def _store(settings: Mapping[str, Any]) -> Iterator[str]:
    key, secret = settings.get("loki_s3_access_key_id"), settings.get("loki_s3_secret_access_key")
    if bool(key) != bool(secret):
        given, lacking = ("access_key_id", "secret_access_key") if key else ("secret_access_key", "access_key_id")
        yield f"loki_s3_{given} is set, but not loki_s3_{lacking}: a key needs both"
    if not settings.get("loki_s3_bucket"):
        lost = [f"loki_s3_{name}" for name in ("endpoint", "access_key_id", "from") if settings.get(f"loki_s3_{name}")]
        if lost:
            yield f"{lost[0]} is set, but loki_s3_bucket is not: name the bucket"
    begin = settings.get("loki_s3_from")
    if begin and not _is_day(begin):
        yield f"loki_s3_from is {str(begin)!r}: must be a day after 2024-01-01, such as '2026-12-01', in quotes"


def _is_day(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return False
    try:
        return datetime.date.fromisoformat(value) > datetime.date(2024, 1, 1)
    except ValueError:
        return False


def _spread(settings: Mapping[str, Any], services: Sequence[str] | None) -> Iterator[str]:
    target, members = settings.get("loki_target"), settings.get("loki_ring_members")
    address = settings.get("loki_ring_address")
    if target in ("read", "write", "backend"):
        needed = ["loki_s3_bucket", "loki_ring_members"] + (["loki_backend_address"] if target == "read" else [])
        lacking = [name for name in needed if not settings.get(name)]
        if lacking:
            yield f"loki_target is {target}, one part of a Loki on several hosts, which needs {' and '.join(lacking)}"
        yield from _users_of_part(settings, services, str(target))
    if members and not (is_ip_address(address) and not _log_places.is_loopback(address)):
        yield (
            "loki_ring_members is set: loki_ring_address must be this host's IP address that they reach, not "
            f"{address!r}"
        )


def _users_of_part(settings: Mapping[str, Any], services: Sequence[str] | None, target: str) -> Iterator[str]:
    """Yield a problem for each service beside a part of Loki that asks it for what another part does."""
    if target != "write" and "alloy" in (services or ()) and not settings.get("alloy_loki_url"):
        yield (
            f"loki_target is {target}, which takes no log lines, so those of this host would be lost: set "
            "alloy_loki_url to the proxy in front of the parts, or to one whose loki_target is write"
        )
    if target != "read" and "grafana" in (services or ()):
        yield (
            f"loki_target is {target}, which answers no questions, and this host's Grafana would ask it: run grafana "
            "on a host whose loki_target is read, and take it off this one's llm_monitor_components"
        )


def alloy_problems(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[str]:
    """Return what doesn't fit together among the variables of a host that runs Alloy."""
    if services is None or "alloy" not in services:
        return []
    problems = []
    if bool(settings.get("alloy_loki_username")) != bool(settings.get("alloy_loki_password")):
        problems.append("alloy_loki_username and alloy_loki_password go together: set both or none")
    if settings.get("alloy_containers") is True and "docker_socket_proxy" not in services:
        problems.append(
            "alloy_containers is true, but nothing lets Alloy read containers' logs: add docker_socket_proxy to "
            "llm_monitor_components, or set it to false"
        )
    for number, file in enumerate(_mappings(settings.get("alloy_files"))):
        problems += [f"alloy_files[{number}] {complaint}" for complaint in _of_file(file)]
    for number, rule in enumerate(_mappings(settings.get("alloy_scrub_rules"))):
        problems += [f"alloy_scrub_rules[{number}] {complaint}" for complaint in _of_rule(rule)]
    return problems


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, (list, tuple)) else []


def _of_file(file: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(file, ("path", "service"))
    path, service = file.get("path"), file.get("service")
    if not isinstance(path, str) or not re.fullmatch(r"/[^/\s*?\[{]+/\S+", path):
        yield f"has the path {path!r}: must be an absolute path below a folder, such as /var/log/nginx/*.log"
    if not isinstance(service, str) or not _SERVICE.fullmatch(service):
        yield f"has the service {service!r}: must be a name of letters, digits and . _ -, such as nginx"


def _of_rule(rule: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(rule, ("expression", "replace"))
    expression = rule.get("expression")
    if not isinstance(expression, str) or not _BARE_GROUP.search(expression):
        yield "needs an expression with a group in parentheses, which is what goes: customer=(\\d+)"
    elif _NOT_RE2.search(expression):
        yield f"has the expression {expression!r}: RE2 knows neither lookaround nor back-references"
    if not isinstance(rule.get("replace", ""), str):
        yield f"has the replacement {rule['replace']!r}: must be text"


def _unknown(given: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    for name in given:
        if name not in known:
            yield f"has {str(name)!r}; known are {', '.join(known)}.{nearest(str(name), known)}"


def reach_problems(
    settings: Mapping[str, Any],
    services: Sequence[str] | None,
    hosts: _log_places.Hosts,
    monitoring_hosts: Sequence[str],
) -> list[str]:
    """Return a complaint where a host's logs have no way to a Loki."""
    if services is None or "alloy" not in services or "loki" in services or settings.get("alloy_loki_url"):
        return []
    name = _log_places.loki_host(hosts, monitoring_hosts)
    if name is None:
        return [
            "alloy is among llm_monitor_components, but no monitoring host runs a loki that takes log lines: set "
            "alloy_loki_url, or take alloy off the list"
        ]
    address = _log_places.loki_listens_on(hosts[name])
    if not _log_places.is_loopback(address):
        return []
    return [
        f"Loki on {name} listens on {address}, where this host's Alloy can't reach it: give {name} a "
        "loki_listen_address that only your hosts reach, or set alloy_loki_url to a proxy in front of it, or take "
        "alloy off llm_monitor_components (docs/logs.md)"
    ]
