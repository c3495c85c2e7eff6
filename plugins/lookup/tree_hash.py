# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: tree_hash
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: A short hash over the files of a folder
description:
  - Hashes names and contents of the files below a folder on the machine that runs Ansible, so that an image that is
    built from it gets a new tag when, and only when, something in it changed.
  - Tests, caches and documentation, which are no part of an image, do not count.
options:
  _terms:
    description: Folders.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Tag of an image that is built from a folder
  ansible.builtin.debug:
    msg: "exporters:{{ lookup('llmops.monitoring.tree_hash', 'files/exporters') }}"
"""

RETURN = r"""
_raw:
  description: The first 12 hexadecimal digits of a SHA-256 per folder.
  type: list
  elements: str
"""

import hashlib
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.llmops.monitoring.plugins.plugin_utils._source_tree import source_files


def tree_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in source_files(folder):
        if path.suffix == ".md":
            continue
        content = (folder / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: object = None, **kwargs: object) -> list[str]:
        hashes = []
        for term in terms:
            folder = Path(term)
            if not folder.is_dir():
                raise AnsibleError(f"{term} is not a folder on the machine that runs Ansible.")
            hashes.append(tree_hash(folder))
        return hashes
