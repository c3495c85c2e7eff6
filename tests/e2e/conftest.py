# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""A Chromium of the system's for pytest-playwright, without a screen and without calls of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Return how Chromium is started: Debian's, or the one that CHROMIUM names."""
    found = subprocess.run([ROOT / "tools/chromium.sh"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.fail(found.stderr)
    return {
        **browser_type_launch_args,
        "executable_path": found.stdout.splitlines()[-1],
        # Chromium's own sandbox refuses to work as root.
        "chromium_sandbox": os.getuid() != 0,
        "args": [
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-gpu",
            "--disable-quic",
            "--disable-sync",
            "--no-first-run",
        ],
    }
