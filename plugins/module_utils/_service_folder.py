# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of a service on a host: where its parts stand, how two states differ, and what a change asks for.

Nothing here touches the file system; _service_files.py does.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

COMPOSE_FILE = "compose.yaml"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_RESERVED_NAMES = ("secrets",)

Contents = Mapping[str, bytes]
"""Path inside a folder → what the file holds."""


class FolderError(Exception):
    """A service's folder can't be what it should be; the text says what an operator can do."""


@dataclass(frozen=True)
class Paths:
    """Where the parts of one service stand below `llm_monitor_dir`."""

    base: str
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED_NAMES:
            raise FolderError(
                f"{self.name!r} can't be the name of a service: use lower-case letters, digits, hyphens and "
                f"underscores, starting with a letter or digit, and none of: {', '.join(_RESERVED_NAMES)}."
            )

    @property
    def folder(self) -> str:
        return os.path.join(self.base, self.name)

    @property
    def secrets(self) -> str:
        return os.path.join(self.base, "secrets", self.name)

    @property
    def staging(self) -> Paths:
        """Where the same service is written before it is checked; nothing is left here after a task."""
        return Paths(os.path.join(self.base, ".staging"), self.name)

    @property
    def last_good(self) -> Paths:
        """Where the copy stands of what the same service had when it was last seen ready."""
        return Paths(os.path.join(self.base, ".last-good"), self.name)


@dataclass(frozen=True)
class State:
    """What one service has or should have: the files of its folder, and its secrets."""

    files: Contents
    secrets: Contents


@dataclass(frozen=True)
class Change:
    """One file that is not as wanted; before or after is None where it doesn't exist."""

    path: str
    before: bytes | None
    after: bytes | None


# ---------------------------------------------------------------- contents


def check_path(path: str) -> str:
    """Return the path of a file inside a service's folder as it is, or raise FolderError when it leads out."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise FolderError(f"{path!r} is no path inside the service's folder: it must be relative and without '..'.")
    return path


def changes(before: Contents, after: Contents) -> list[Change]:
    """Return what differs between two folders' contents, in the order of the paths."""
    paths = sorted(set(before) | set(after))
    return [Change(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)]


def fingerprint(state: State) -> str:
    """Return one sha256 over the paths and contents of files and secrets."""
    digest = hashlib.sha256()
    for contents in (state.files, state.secrets):
        for path in sorted(contents):
            for part in (path.encode("utf-8"), contents[path]):
                digest.update(b"%d:" % len(part) + part)
        digest.update(b";")
    return digest.hexdigest()


def needed_action(before: State, after: State, can_reload: bool) -> str:
    """Return what a running service needs to get from one state to another.

    `recreate` when its compose.yaml differs or, for a service that can't reload, any other file;
    `reload` when other files differ; `none` when nothing does.
    """
    differing = changes(before.files, after.files)
    if any(change.path == COMPOSE_FILE for change in differing):
        return "recreate"
    if differing or changes(before.secrets, after.secrets):
        return "reload" if can_reload else "recreate"
    return "none"


# ---------------------------------------------------------------- diffs


def diff_of(paths: Paths, before: State, after: State) -> list[dict[str, str]]:
    """Return Ansible's diff: each file by content, the secrets by name only."""
    files = changes(before.files, after.files)
    found = [_file_diff(change, os.path.join(paths.folder, change.path)) for change in files]
    secrets = [_secret_diff(change) for change in changes(before.secrets, after.secrets)]
    if secrets:
        found.append({"prepared": f"{paths.secrets} (contents are never shown):\n" + "".join(secrets)})
    return found


def _file_diff(change: Change, header: str) -> dict[str, str]:
    return {
        "before_header": header,
        "after_header": header,
        "before": _text(change.before),
        "after": _text(change.after),
    }


def _secret_diff(change: Change) -> str:
    verb = "is new" if change.before is None else "goes" if change.after is None else "changes"
    return f"  {change.path} {verb}\n"


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", errors="replace")
