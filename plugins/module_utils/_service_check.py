# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a service's own checkers over its staged folder, and tells what they say in the operator's terms.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    DockerClient,
    RunTimeout,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._service_folder import (
    Contents,
    Paths,
)

SECRETS_MOUNT = "/run/secrets"
_LINES_AROUND = 2
_MENTIONS_SHOWN = 5
# promtool: `x.yml: 5:9: group`, yaml: `x.yml: yaml: line 5:`, Loki: `x.yaml: yaml: unmarshal errors:\n  line 5:`,
# amtool: `'x.yml'  FAILED: yaml: line 5:`.
_LINE_NUMBER = r"['\"]?:?\s*(?:FAILED:\s*)?(?:yaml:\s*)?(?:unmarshal errors:\s*)?(?:line\s+)?(\d+)"


def failures(
    client: DockerClient, checks: Sequence[Mapping[str, Any]], staged: Paths, mount: str, files: Contents
) -> list[str]:
    """Run every check over a staged service and return what the failed ones say; DockerError when one can't run."""
    binds = [f"{staged.folder}:{mount}:ro", f"{staged.secrets}:{SECRETS_MOUNT}:ro"]
    said = [_complaint(client, check, binds) for check in checks]
    return [explain(words, staged.name, mount, files) for words in said if words is not None]


def _complaint(client: DockerClient, check: Mapping[str, Any], binds: Sequence[str]) -> str | None:
    command = [*(check["entrypoint"] or []), *check["command"]]
    try:
        exit_code, output = client.run(
            check["image"],
            check["command"],
            entrypoint=check["entrypoint"],
            binds=binds,
            user=check["user"],
            timeout=check["timeout"],
        )
    except RunTimeout as error:
        return f"{error}\n{error.output}".strip()
    if exit_code == 0:
        return None
    return f"{' '.join(command)} ({check['image']}) ended with {exit_code}:\n{output.strip() or 'It said nothing.'}"


def explain(words: str, name: str, mount: str, files: Contents) -> str:
    """Return a checker's words with paths as they stand below llm_monitor_dir, and the lines that it names."""
    mapped = _rebase(_rebase(words, mount, name), SECRETS_MOUNT, f"secrets/{name}")
    excerpts = [_excerpt(f"{name}/{path}", files[path], line) for path, line in _mentions(mapped, name, files)]
    return "\n".join([mapped, *excerpts])


def _rebase(words: str, mount: str, place: str) -> str:
    return re.sub(rf"{re.escape(mount.rstrip('/'))}(?=$|[/\s:'\",])", place, words)


def _mentions(words: str, name: str, files: Contents) -> list[tuple[str, int]]:
    """Return the files and line numbers that a checker names, each once."""
    found = {}
    for path in files:
        for match in re.finditer(re.escape(f"{name}/{path}") + _LINE_NUMBER, words):
            found[path, int(match.group(1))] = True
    return list(found)[:_MENTIONS_SHOWN]


def _excerpt(title: str, content: bytes, line: int) -> str:
    lines = content.decode("utf-8", errors="replace").splitlines()
    first, last = max(1, line - _LINES_AROUND), min(len(lines), line + _LINES_AROUND)
    numbered = [
        f"  {'>' if number == line else ' '} {number:4} {lines[number - 1]}" for number in range(first, last + 1)
    ]
    return "\n".join([f"{title}, line {line}:", *numbered])
