# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What tools/npm.sh has brought from npm, and the Node.js that runs it."""

from __future__ import annotations

from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".cache"


def folder(name: str) -> Path:
    """Return the folder below .cache that has packages in `node_modules`: e2e, logql or tables."""
    return (CACHE / name).resolve()


def is_installed(name: str) -> bool:
    """Tell whether that folder is there and whole; `make .cache/<name>` makes it."""
    return (folder(name) / "done").is_file()


def node() -> str:
    """Return the program: the machine's own, or the one that was installed as that was too old or missing."""
    own = CACHE / "node/bin/node"
    return str(own) if own.exists() else "node"
