# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold between the settings of Grafana, beyond each one's kind.

Note that this is a private plugin utility: it may change in any release of the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils._address_rules import is_ip_address
from ansible_collections.llmops.monitoring.plugins.plugin_utils import _grafana_ini

_HEADS = {
    "grafana_certificate": ("-----BEGIN CERTIFICATE-----",),
    "grafana_certificate_key": (
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----",
    ),
}


def problems(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[str]:
    """Return what is wrong between the variables of a host that has, or may have, Grafana."""
    if services is not None and "grafana" not in services:
        return []
    return [
        *_of_secrets(settings),
        *_of_certificate(settings),
        *_of_reach(settings),
        *_grafana_ini.problems(settings.get("grafana_ini")),
        *_of_accounts(settings.get("grafana_service_accounts")),
    ]


def _of_secrets(settings: Mapping[str, Any]) -> Iterator[str]:
    for name in ("grafana_admin_password", "grafana_secret_key"):
        if settings.get(name) == "":
            yield f"{name} is empty: set one of 16 characters or more, or leave it unset, and one is made up"


def _of_certificate(settings: Mapping[str, Any]) -> Iterator[str]:
    given = {name: str(settings.get(name) or "") for name in _HEADS}
    for name, heads in _HEADS.items():
        if given[name] and not any(head in given[name] for head in heads):
            yield f"{name} must be PEM text with {heads[0]} and be readable without a passphrase"
        elif not given[name] and any(given.values()):
            yield f"{name} is empty: TLS needs {' and '.join(_HEADS)}"
    if given["grafana_certificate"] and not _is_https(settings):
        yield "grafana_external_url must begin with https://, for by grafana_certificate Grafana speaks TLS"


def _of_reach(settings: Mapping[str, Any]) -> Iterator[str]:
    address = settings.get("grafana_listen_address")
    if is_ip_address(address) and not ipaddress.ip_address(str(address)).is_loopback and not _is_https(settings):
        yield (
            f"grafana_listen_address is {address}: passwords could be read on their way; set grafana_certificate and "
            "grafana_certificate_key, or a grafana_external_url with https:// where a proxy speaks TLS, or leave the "
            "address at 127.0.0.1"
        )


def _is_https(settings: Mapping[str, Any]) -> bool:
    return str(settings.get("grafana_external_url")).startswith("https:")


def _of_accounts(accounts: Any) -> Iterator[str]:
    entries = [entry for entry in accounts if isinstance(entry, Mapping)] if isinstance(accounts, list) else []
    for key in ("name", "token_file"):
        values = [str(entry[key]) for entry in entries if entry.get(key)]
        for value in sorted({value for value in values if values.count(value) > 1}):
            yield f"grafana_service_accounts has the {key} {value!r} more than once"
    for entry in entries:
        path = str(entry.get("token_file") or "/")
        if not path.startswith("/"):
            yield (
                f"grafana_service_accounts has the token_file {path!r}: must be an absolute path on the machine that "
                "runs Ansible, such as {{ llm_monitor_generated_secrets }}/grafana_token"
            )
