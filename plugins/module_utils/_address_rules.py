# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a URL must be that a service is told of, and where it leads.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

# As the exporters of Langfuse and of the event store take them. In a password SQLAlchemy allows all but `@`, of which
# urlsplit knows nothing.
_DATABASE = re.compile(
    r"(?P<kind>postgresql(?:\+\w+)?|clickhouse(?:db)?(?:\+(?:https?|connect))?)://"
    r"(?:[^:/\s]*(?::[^@\s]*)?@)?"
    r"(?P<host>\[[^\]/@\s]+\]|[^:/@?#\s\[\]]*)(?::(?P<port>\d+))?(?:/[^?\s]*)?(?:\?(?P<query>\S*))?",
    re.IGNORECASE,
)
# By which Docker lets a container find itself, beside its own name.
_OWN_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")


def is_ip_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return isinstance(value, str)


def is_url(value: Any) -> bool:
    try:
        parts = urlsplit(str(value))
        has_port = parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and has_port and not re.search(r"\s", str(value))


def is_service_url(value: Any) -> bool:
    if not is_url(value):
        return False
    parts = urlsplit(str(value))
    return "@" not in parts.netloc and not parts.query and not parts.fragment


def is_database_url(value: Any) -> bool:
    match = _DATABASE.fullmatch(value) if isinstance(value, str) else None
    if not match or not all(database_hosts(value)) or not 1 <= int(match["port"] or 1) <= 65535:
        return False
    if match["kind"].lower().startswith("postgresql"):
        return True
    try:
        # The exporter takes that of ClickHouse apart as any other, so the password may not hold a `/` either.
        return bool(urlsplit(value).hostname == match["host"].strip("[]").lower())
    except ValueError:
        return False


def is_postgresql_url(value: Any) -> bool:
    return is_database_url(value) and value.lower().startswith("postgresql")


def database_hosts(url: str) -> list[str]:
    """Return the hosts that a database's URL leads to: those of its query, else that before its path."""
    match = _DATABASE.fullmatch(url)
    if not match:
        return []
    listed = [name for text in parse_qs(match["query"] or "").get("host", []) for name in text.split(",")]
    return [re.sub(r"^([^:]*):\d*$", r"\1", name) for name in listed] or [match["host"].strip("[]")]


def is_own_host(host: str) -> bool:
    """Tell whether a host is whoever asks for it, a container for one, however it is written."""
    name = host.lower().rstrip(".")
    # A path is that of a socket.
    if name in _OWN_NAMES or name.endswith(".localhost") or name.startswith("/"):
        return True
    try:
        # As the C library reads it: 127.1 is 127.0.0.1.
        address: Any = ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        if not is_ip_address(name):
            return False
        address = ipaddress.ip_address(name)
        address = getattr(address, "ipv4_mapped", None) or address
    return bool(address.is_loopback or address.is_unspecified)
