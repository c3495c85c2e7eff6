# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a service on a host: what is there, and how what should be there gets there.

Containers have a service's folder bind-mounted, so it keeps its inode for as long as it lives:
files are written to a staging folder on the same file system and moved over, one by one.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.llmops.monitoring.plugins.module_utils._service_folder import (
    Contents,
    FolderError,
    Paths,
    State,
    changes,
)


@dataclass(frozen=True)
class Policy:
    """Modes and owner of everything in one folder; an owner of None is whoever writes it."""

    file_mode: int
    folder_mode: int
    uid: int | None = None
    gid: int | None = None


CONFIGURATION = Policy(file_mode=0o644, folder_mode=0o755)
PRIVATE = Policy(file_mode=0o600, folder_mode=0o700)


def secrets_policy(uid: int | None, gid: int | None) -> Policy:
    return Policy(PRIVATE.file_mode, PRIVATE.folder_mode, uid, gid)


# ---------------------------------------------------------------- a service


def read_state(paths: Paths) -> State:
    return State(files=_read(paths.folder), secrets=_read(paths.secrets))


def is_in_order(paths: Paths, wanted: State, secrets: Policy) -> bool:
    """Tell whether a service has just the wanted files and secrets, with the right modes and owners."""
    return _folder_in_order(paths.folder, wanted.files, CONFIGURATION) and _folder_in_order(
        paths.secrets, wanted.secrets, secrets
    )


def exists(paths: Paths) -> bool:
    """Tell whether anything of a service is there."""
    return os.path.lexists(paths.folder) or os.path.lexists(paths.secrets)


def stage(staging: Paths, wanted: State, secrets: Policy) -> None:
    """Write a state to a staging place, in which nothing else of the service may be left."""
    remove(staging)
    os.makedirs(os.path.dirname(staging.base), 0o755, exist_ok=True)
    _make_folder(staging.base, PRIVATE)
    _make_folder(os.path.dirname(staging.secrets), PRIVATE)
    _write_new(staging.folder, wanted.files, CONFIGURATION)
    _write_new(staging.secrets, wanted.secrets, secrets)


def put_in_place(staging: Paths, paths: Paths, wanted: State, secrets: Policy) -> None:
    """Move what was staged to where the service reads it, file by file, and remove what isn't wanted there."""
    _make_folder(os.path.dirname(paths.secrets), PRIVATE)
    _move_into(staging.secrets, paths.secrets, wanted.secrets, secrets)
    _move_into(staging.folder, paths.folder, wanted.files, CONFIGURATION)
    remove(staging)


def put_aside(staging: Paths, copy: Paths) -> None:
    """Make what was staged the copy of a service, as a whole.

    When this is cut short, there is no copy: a service's copy counts only if its folder is there.
    """
    _remove_path(copy.folder)
    _remove_path(copy.secrets)
    _make_folder(copy.base, PRIVATE)
    _make_folder(os.path.dirname(copy.secrets), PRIVATE)
    os.rename(staging.secrets, copy.secrets)
    os.rename(staging.folder, copy.folder)
    remove(staging)


def remove(paths: Paths) -> None:
    """Remove everything of a service from one place, and the place itself when it holds no other service."""
    _remove_path(paths.folder)
    _remove_path(paths.secrets)
    for folder in (os.path.dirname(paths.secrets), paths.base):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)


def owner_of_secrets(paths: Paths) -> Policy:
    """Return the policy by which a service's secrets are kept where they are."""
    found = os.stat(paths.secrets)
    return secrets_policy(found.st_uid, found.st_gid)


# ---------------------------------------------------------------- one folder


def _folder_in_order(root: str, wanted: Contents, policy: Policy) -> bool:
    """Tell whether a folder holds just the wanted files, with the modes and the owner of the policy."""
    if not os.path.isdir(root) or os.path.islink(root):
        return False
    if set(_entries(root)) != set(wanted) or changes(_read(root), wanted):
        return False
    folders = [root, *(os.path.join(root, folder) for folder in _folders(wanted))]
    files = [os.path.join(root, path) for path in wanted]
    return all(_has(path, policy.folder_mode, policy) for path in folders) and all(
        _has(path, policy.file_mode, policy) for path in files
    )


def _write_new(root: str, wanted: Contents, policy: Policy) -> None:
    """Write a folder that must not exist yet; everything in it has its mode and owner before its content."""
    _make_folder(root, policy)
    for folder in _folders(wanted):
        _make_folder(os.path.join(root, folder), policy)
    for path, content in wanted.items():
        full = os.path.join(root, path)
        descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, policy.file_mode)
        with open(descriptor, "wb") as file:
            _set_mode_and_owner(full, policy.file_mode, policy)
            file.write(content)
            file.flush()
            os.fsync(descriptor)


def _move_into(staged: str, root: str, wanted: Contents, policy: Policy) -> None:
    """Bring a folder into order with the files of a staged one; the folder itself stays the same inode."""
    if os.path.islink(root) or (os.path.lexists(root) and not os.path.isdir(root)):
        raise FolderError(f"{root} is in the way: it must be a folder. Move it away.")
    _make_folder(root, policy)
    for folder in _folders(wanted):
        _make_folder(os.path.join(root, folder), policy)
    for path in sorted(wanted):
        target = os.path.join(root, path)
        if os.path.isdir(target) and not os.path.islink(target):
            shutil.rmtree(target)
        if _same_file(target, wanted[path], policy):
            continue
        os.replace(os.path.join(staged, path), target)
    for path in set(_entries(root)) - set(wanted):
        os.unlink(os.path.join(root, path))
    _remove_empty_folders(root, _folders(wanted))


def _remove_path(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _read(root: str) -> dict[str, bytes]:
    """Return the contents of the regular files below a folder; nothing when there is none."""
    found = {}
    for path in _entries(root):
        full = os.path.join(root, path)
        if stat.S_ISREG(os.lstat(full).st_mode):
            with open(full, "rb") as file:
                found[path] = file.read()
    return found


def _entries(root: str) -> Iterator[str]:
    """Yield everything below a folder that is no real folder, as paths relative to it."""
    if not os.path.isdir(root):
        return
    for parent, folders, files in os.walk(root, onerror=_give_up):
        for name in files + [name for name in folders if os.path.islink(os.path.join(parent, name))]:
            yield os.path.relpath(os.path.join(parent, name), root)


def _give_up(error: OSError) -> None:
    raise error


def _folders(paths: Iterable[str]) -> list[str]:
    """Return the folders that some paths need, parents first."""
    needed = set()
    for path in paths:
        parent = os.path.dirname(path)
        while parent:
            needed.add(parent)
            parent = os.path.dirname(parent)
    return sorted(needed)


def _same_file(path: str, content: bytes, policy: Policy) -> bool:
    if not os.path.isfile(path) or os.path.islink(path) or not _has(path, policy.file_mode, policy):
        return False
    with open(path, "rb") as file:
        return file.read() == content


def _has(path: str, mode: int, policy: Policy) -> bool:
    found = os.lstat(path)
    return (
        stat.S_IMODE(found.st_mode) == mode
        and policy.uid in (None, found.st_uid)
        and policy.gid in (None, found.st_gid)
    )


def _set_mode_and_owner(path: str, mode: int, policy: Policy) -> None:
    if _has(path, mode, policy):
        return
    os.chown(path, -1 if policy.uid is None else policy.uid, -1 if policy.gid is None else policy.gid)
    os.chmod(path, mode)


def _make_folder(path: str, policy: Policy) -> None:
    if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
        os.unlink(path)
    if not os.path.isdir(path):
        os.mkdir(path, policy.folder_mode)
    _set_mode_and_owner(path, policy.folder_mode, policy)


def _remove_empty_folders(root: str, wanted: Sequence[str]) -> None:
    for parent, _folder_names, _files in os.walk(root, topdown=False):
        path = os.path.relpath(parent, root)
        if path != "." and path not in wanted:
            os.rmdir(parent)
