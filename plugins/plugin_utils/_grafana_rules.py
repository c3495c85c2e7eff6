# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold between the settings of Grafana, beyond each one's kind.

Note that this is a private plugin utility: it may change in any release of the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.llmops.monitoring.plugins.plugin_utils import _grafana_ini

_CERTIFICATE = ("grafana_tls_certificate", "grafana_tls_key")


def problems(settings: Mapping[str, Any], is_file: Callable[[str], bool]) -> list[str]:
    """Return what doesn't fit together; `is_file` looks on the controller."""
    return [
        *_of_certificate(settings, is_file),
        *_grafana_ini.problems(settings.get("grafana_ini")),
        *_of_accounts(settings.get("grafana_service_accounts")),
    ]


def _of_certificate(settings: Mapping[str, Any], is_file: Callable[[str], bool]) -> Iterator[str]:
    given = {name: settings.get(name) for name in _CERTIFICATE}
    for name, path in given.items():
        if path and not is_file(str(path)):
            yield f"{name} is {str(path)!r}: there is no such file on the machine that runs Ansible"
        elif not path and any(given.values()):
            yield f"{name} is empty: Grafana speaks TLS only with both, {' and '.join(_CERTIFICATE)}"
    if all(given.values()) and not str(settings.get("grafana_external_url")).startswith("https:"):
        yield "grafana_external_url must begin with https://, for Grafana speaks TLS by grafana_tls_certificate"


def _of_accounts(accounts: Any) -> Iterator[str]:
    entries = [entry for entry in accounts or () if isinstance(entry, Mapping)] if isinstance(accounts, list) else []
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
