# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells where a variable was set, for messages only.

ansible-core knows this since 2.19 but has no public way to ask. Where a later release moves it, messages
lack the place and nothing else changes.

Note that this is a private plugin utility: it may change in any release of the collection.
"""

from __future__ import annotations

import os
from typing import Any

try:
    from ansible._internal._datatag._tags import Origin
except ImportError:  # pragma: no cover
    Origin = None


def origin_of(value: Any) -> str:
    """Return `path:line` as seen from the working directory, a description such as `<CLI option '-e'>`, or nothing."""
    found = Origin.get_tag(value) if Origin is not None else None
    if found is None:
        return ""
    if not found.path:
        return str(found.description or "")
    path = os.path.relpath(found.path)
    path = found.path if path.startswith("..") else path
    return f"{path}:{found.line_num}" if found.line_num else path
