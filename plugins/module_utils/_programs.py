# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which programs a host has, which packages they belong to, and which Compose its docker command calls.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import os
import re

from ansible.module_utils.basic import AnsibleModule

# Where distributions and Docker's own packages put an engine; the path of a remote login often lacks them.
_SBIN = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/local/bin"]


def find(module: AnsibleModule, name: str) -> str | None:
    """Return a program's path, or None."""
    path: str | None = module.get_bin_path(name, opt_dirs=_SBIN)
    return path


def package_of(module: AnsibleModule, path: str) -> str | None:
    """Return the package that a program belongs to, as dpkg or rpm know it; None when it belongs to none."""
    path = os.path.realpath(path)
    dpkg = module.get_bin_path("dpkg-query")
    if dpkg is not None:
        _code, out, _err = module.run_command([dpkg, "--search", path])
        # A diversion of the file comes before its owner, as a sentence.
        owner = re.search(rf"^([^:\s]+)(?::\w+)?: {re.escape(path)}$", out, re.MULTILINE)
        return owner[1] if owner else None
    rpm = module.get_bin_path("rpm")
    if rpm is not None:
        code, out, _err = module.run_command([rpm, "--query", "--queryformat=%{NAME}\n", "--file", path])
        return out.split()[0] if code == 0 else None
    return None


def compose_version(module: AnsibleModule) -> str | None:
    """Return the version of the Compose that `docker compose` calls, such as 2.24.6; None when there is none."""
    docker = module.get_bin_path("docker")
    if docker is None:
        return None
    code, out, _err = module.run_command([docker, "compose", "version", "--short"])
    return out.strip().removeprefix("v") if code == 0 and out.strip() else None
