# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings of Alertmanager and Prometheus are secrets, and which of them can be read from a file.

Sources: the configuration references of Alertmanager (to 0.28 and later) and Prometheus (to 3.14), which call
these values <secret>, and prometheus/common/config/http_config.go for what the two share.

Note that this is a private plugin utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Secrets that have a twin `<key>_file`, and the ends of the sections that know it; "" is any section.
_WITH_FILE: Mapping[str, tuple[str, ...]] = {
    # Alertmanager's global section, whose names say what they belong to
    "opsgenie_api_key": ("",),
    "rocketchat_token": ("",),
    "rocketchat_token_id": ("",),
    "slack_api_url": ("",),
    "slack_app_token": ("",),
    "smtp_auth_password": ("",),
    "telegram_bot_token": ("",),
    "victorops_api_key": ("",),
    # Alertmanager's receivers
    "alert_source_token": ("incidentio_configs",),
    "api_key": ("opsgenie_configs", "victorops_configs"),
    "api_url": ("slack_configs",),
    "app_token": ("slack_configs",),
    "auth_password": ("email_configs",),
    "bot_token": ("telegram_configs",),
    "routing_key": ("pagerduty_configs",),
    "service_key": ("pagerduty_configs",),
    "token": ("pushover_configs", "rocketchat_configs"),
    "token_id": ("rocketchat_configs",),
    "url": ("webhook_configs", "incidentio_configs"),
    "user_key": ("pushover_configs",),
    "webhook_url": ("_configs",),
    # what speaks HTTP, in both
    "bearer_token": ("",),
    "client_secret": ("oauth2",),
    "credentials": ("authorization",),
    "key": ("tls_config",),
    "password": ("basic_auth",),
    # Prometheus' service discovery
    "auth_token": ("marathon_sd_configs",),
    "secret_key": ("scaleway_sd_configs",),
}

_BY_PASSWORD = "use the password that goes with PLAIN or LOGIN instead (auth_password, globally smtp_auth_password)"
_BY_WEBHOOK = "send to a webhook_configs entry instead, whose service keeps the secret"
_BY_AWS = "leave access_key and secret_key out, so that the host's own role or the service's role_arn counts"
_BY_HEADER = "use authorization.credentials instead"
_BY_DISCOVERY = "keep the secret outside, for example in a program that writes targets for file_sd_configs"
# Secrets where no file is read in their place, and what to do instead.
_WITHOUT_FILE: Mapping[str, str] = {
    "auth_secret": _BY_PASSWORD,
    "smtp_auth_secret": _BY_PASSWORD,
    "api_secret": _BY_WEBHOOK,
    "wechat_api_secret": _BY_WEBHOOK,
    "secret_key": _BY_AWS,
    "token": _BY_HEADER,
    "api_key": _BY_HEADER,
    "auth_token": _BY_HEADER,
    "application_credential_secret": _BY_DISCOVERY,
    "application_secret": _BY_DISCOVERY,
    "client_secret": _BY_DISCOVERY,
    "consumer_key": _BY_DISCOVERY,
    "password": _BY_DISCOVERY,
    "private_key": _BY_DISCOVERY,
    "service_account_key": _BY_DISCOVERY,
}

# Sections whose keys are names that the user chose.
_PARAMETERS = {
    "endpoint_params": "use client_secret instead, or a grant that needs no more",
    "headers": "use http_headers.<name>.secrets instead",
    "params": "use authorization or http_headers.<name>.secrets instead, if what is scraped takes the secret there",
    "proxy_connect_header": "let the proxy admit this host without it",
}
FREE_SECTIONS = frozenset({*_PARAMETERS, "custom_fields", "details", "labels"})
_SECRET_NAME = re.compile(
    r"(?:passw(?:or)?d|secret|token|api[-_]?key|credentials?|authorization|cookie)$", re.IGNORECASE
)
_URL_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]*:[^/?#\s]*@", re.IGNORECASE)

Path = tuple[str | int, ...]


def is_secret_value(value: Any) -> bool:
    """Tell whether a value can be a secret: text or a number, which YAML makes of a password of digits."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def file_key(section: str, key: str) -> str | None:
    """Return the key that takes a file in place of a secret; None where there is none or it is no secret."""
    return f"{key}_file" if section.endswith(_WITH_FILE.get(key, ())) else None


def section_of(path: Path) -> str:
    """Return the name of the mapping at a path; an entry of a list is called as the list is."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def uncovered(node: Any, path: Path = ()) -> Iterator[tuple[str, str]]:
    """Yield the path of every secret that can't be read from a file, and what to do instead."""
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from _uncovered_entry(str(key), child, path)
    elif isinstance(node, (list, tuple)):
        for index, child in enumerate(node):
            yield from uncovered(child, (*path, index))


def _uncovered_entry(key: str, child: Any, path: Path) -> Iterator[tuple[str, str]]:
    section, here = section_of(path), (*path, key)
    if section in FREE_SECTIONS:
        remedy = _PARAMETERS.get(section)
        if remedy and (section == "proxy_connect_header" or _SECRET_NAME.search(key)):
            yield shown(here), remedy
    elif section == "http_headers":
        if _SECRET_NAME.search(key) and isinstance(child, Mapping) and child.get("values"):
            yield shown((*here, "values")), "write them under secrets instead of values"
    elif not is_secret_value(child):
        yield from uncovered(child, here)
    elif file_key(section, key) is None:
        if key in _WITHOUT_FILE:
            yield shown(here), _WITHOUT_FILE[key]
        elif _URL_WITH_PASSWORD.match(str(child)):
            yield shown(here), _of_url(key)


def _of_url(key: str) -> str:
    if key == "proxy_url":
        return "write the address without a password, and let the proxy admit this host without one"
    return "write the address without a password, and name and password under basic_auth"


def shown(path: Sequence[str | int]) -> str:
    """Return a path as people write it: receivers[0].name."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
