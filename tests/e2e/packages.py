# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What tools/e2e.sh has brought from npm, and the Node.js that runs it."""

from __future__ import annotations

from pathlib import Path

FOLDER = (Path(__file__).resolve().parents[2] / ".cache/e2e").resolve()
PACKAGES = FOLDER / "node_modules"


def node() -> str:
    """Return the program: the machine's own, or the one that was installed as that was too old or missing."""
    own = FOLDER / "node/bin/node"
    return str(own) if own.exists() else "node"
