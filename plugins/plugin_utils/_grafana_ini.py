# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Grafana's settings as text, with its secrets apart; and what may not be among them.

Grafana reads them with gopkg.in/ini.v1, for which `#` and `;` begin a comment even within a value, and quotes around a
value are no part of it. Then `$__file{path}` becomes the content of a file, without white space at its ends.

Note that this is a private plugin utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECTION = re.compile(r"[A-Za-z0-9_.-]+")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@, -]*")
_UNFIT_FOR_FILES = re.compile(r"[^A-Za-z0-9_.-]")
_SECRET_NAME = re.compile(r"(?:passw(?:or)?d|secret|token|credentials?|(?:secret|access|api|private|write)_?key)$")
_SECRET_WITHIN = re.compile(r"://[^/?#\s]*:[^/?#\s]*@|(?:^|[,;\s])password=", re.IGNORECASE)
_REFERENCE = re.compile(r"\$__(?:file|env|vault)\{.*\}")
_SCALARS = (str, int, float, bool)

_BY_VARIABLE = {
    ("server", "protocol"): "set grafana_certificate and grafana_certificate_key",
    ("server", "cert_file"): "set grafana_certificate",
    ("server", "cert_key"): "set grafana_certificate_key",
    ("server", "http_port"): "set grafana_port",
    ("server", "http_addr"): "set grafana_listen_address",
    ("server", "domain"): "set grafana_external_url",
    ("server", "root_url"): "set grafana_external_url",
    ("server", "serve_from_sub_path"): "give grafana_external_url a path",
    ("security", "admin_user"): "it is admin; give people accounts of their own",
    ("security", "admin_password"): "set grafana_admin_password",
    ("security", "secret_key"): "set grafana_secret_key",
}


def rendered(settings: Mapping[str, Any], directory: str) -> tuple[str, dict[str, str]]:
    """Return the text of grafana.ini and its secrets, file name → content, which Grafana reads in `directory`.

    Raises ValueError, with what is wrong, for settings that can't be written down.
    """
    wrong = [f"{where}: {complaint}" for where, complaint in _malformed(settings)]
    if wrong:
        raise ValueError("; ".join(wrong))
    files: dict[str, str] = {}
    parts = []
    for section, entries in settings.items():
        lines = [f"[{section}]"]
        for name, value in entries.items():
            if _is_secret(str(name), value):
                file = _UNFIT_FOR_FILES.sub("_", f"{section}-{name}")
                files[file] = str(value)
                value = f"$__file{{{directory.rstrip('/')}/{file}}}"
            lines.append(f"{name} = {_written(value)}".rstrip())
        parts.append("\n".join(lines))
    return "\n\n".join(parts), files


def problems(settings: Any) -> Iterator[str]:
    """Yield what is wrong with `grafana_ini`; a value is never told, for it may be a secret."""
    if not isinstance(settings, Mapping):
        return
    for where, complaint in _malformed(settings):
        yield f"grafana_ini.{where}: {complaint}"
    for section, entries in settings.items():
        for name in entries if isinstance(entries, Mapping) else ():
            if section == "paths":
                yield f"grafana_ini.paths.{name} can't be set: the container's folders are fixed"
            elif (section, name) in _BY_VARIABLE:
                yield f"grafana_ini.{section}.{name} can't be set here: {_BY_VARIABLE[section, name]}"
            elif (section, name) == ("auth.basic", "enabled") and str(entries[name]).lower() not in (
                "true",
                "1",
                "yes",
            ):
                yield "grafana_ini.auth.basic.enabled must stay true: rollouts and verify.yml log in by it"


def _malformed(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section, entries in settings.items():
        if not _SECTION.fullmatch(str(section)):
            yield repr(str(section)), "must be the name of a section, of letters, digits, dots, _ and -"
        elif not isinstance(entries, Mapping):
            yield str(section), "must be a mapping of names to values"
        else:
            for name, value in entries.items():
                complaint = _complaint(str(name), value)
                if complaint:
                    yield f"{section}.{name}", complaint


def _complaint(name: str, value: Any) -> str:
    if not _NAME.fullmatch(name):
        return "must be a setting's name, of letters, digits, dots, _ and -"
    if value is not None and not isinstance(value, _SCALARS):
        return "must be text, a number, true or false; a list is written as text, as Grafana's documentation shows it"
    if "\n" in str(value).strip("\n") and not _is_secret(name, value):
        return "must be one line"
    return (
        "" if '"""' not in str(value) or "`" not in str(value) else 'has """ and `, which Grafana can\'t read together'
    )


def _is_secret(name: str, value: Any) -> bool:
    """Tell whether a value must not lie open; a flag may. A path of a secret does no harm in a file."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    text = str(value)
    if not text or _REFERENCE.fullmatch(text):
        return False
    return bool(_SECRET_NAME.search(name.lower()) or _SECRET_WITHIN.search(text))


def _written(value: Any) -> str:
    """Return a value as Grafana reads it back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).strip("\n")
    if _PLAIN.fullmatch(text) or _REFERENCE.fullmatch(text):
        return text
    return f"`{text}`" if '"""' in text or text.endswith('"') else f'"""{text}"""'
