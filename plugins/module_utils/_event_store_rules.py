# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold between the variables of the event store. No password and no key is ever told.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils._address_rules import is_ip_address

_USERS = ("owner", "writer", "reader")
_SUITE = "trixie"
_HEADS = {
    "event_store_certificate": ("-----BEGIN CERTIFICATE-----",),
    "event_store_certificate_key": (
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----",
    ),
}


def problems(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[str]:
    """Return what is wrong between the variables of a host that has, or may have, an event store."""
    if services is not None and "event_store" not in services:
        return []
    return [*_of_passwords(settings), *_of_certificate(settings), *_of_package(settings, services)]


def _of_package(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[str]:
    suite = settings.get("llm_monitor_debian_suite")
    if services is None or settings.get("llm_monitor_image_source") != "distro" or suite == _SUITE:
        return []
    return [
        f"llm_monitor_debian_suite is {suite!r}: the event store is PostgreSQL 17, of which only {_SUITE} has a "
        "package; take event_store off llm_monitor_components, or take its image from a registry or a bundle"
    ]


def _of_passwords(settings: Mapping[str, Any]) -> list[str]:
    given = {f"event_store_{user}_password": settings.get(f"event_store_{user}_password") for user in _USERS}
    found = [
        f"{name} is empty: set a password of 16 characters or more, or leave it unset, and one is made up"
        for name, password in given.items()
        if password == ""
    ]
    names = list(given)
    return found + [
        f"{first} and {second} are the same: whoever has one could do what the other may"
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if given[first] and given[first] == given[second]
    ]


def _of_certificate(settings: Mapping[str, Any]) -> list[str]:
    given = {name: str(settings.get(name) or "") for name in _HEADS}
    found = [
        f"{name} must be PEM text with {heads[0]} and be readable without a passphrase"
        for name, heads in _HEADS.items()
        if given[name] and not any(head in given[name] for head in heads)
    ]
    held = [name for name, text in given.items() if text]
    if len(held) == 1:
        other = next(name for name in given if name not in held)
        found.append(f"{held[0]} is set without {other}: TLS needs both")
    address = settings.get("event_store_listen_address")
    if not held and is_ip_address(address) and not ipaddress.ip_address(str(address)).is_loopback:
        found.append(
            f"event_store_listen_address is {address}: events could be read on their way; set event_store_certificate "
            "and event_store_certificate_key, or leave the address at 127.0.0.1"
        )
    return found
