# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a folder an image is built from."""

from __future__ import annotations

from pathlib import Path

_LEFT_OUT = {"tests", "__pycache__", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "build"}


def source_files(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted and relative to it, without tests and caches."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if _counts(path))


def _counts(path: Path) -> bool:
    return (
        _LEFT_OUT.isdisjoint(path.parts)
        and not any(part.endswith(".egg-info") for part in path.parts)
        and path.suffix != ".pyc"
    )
