# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: bundle_images
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The images in a bundle
description:
  - Reads the table of contents of an archive that C(playbooks/bundle.yml) made, without unpacking it.
options:
  _terms:
    description: Paths of bundles on the machine that runs Ansible.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: What does the bundle hold?
  ansible.builtin.debug:
    msg: "{{ lookup('llmops.monitoring.bundle_images', 'llm-monitor.tar') }}"
"""

RETURN = r"""
_raw:
  description: Per bundle, the name of each image and the reference under which it is loaded.
  type: list
  elements: dict
"""

import json
import tarfile

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

PREFIX = "llm-monitor/"


def bundle_images(path: str) -> dict[str, str]:
    try:
        with tarfile.open(path) as archive:
            manifest = archive.extractfile("manifest.json")
            entries = json.load(manifest) if manifest else []
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise AnsibleError(
            f"llm_monitor_bundle: {path or '(not set)'} can't be read as a bundle of playbooks/bundle.yml: {error}"
        ) from error
    tags = [tag for entry in entries for tag in entry.get("RepoTags") or [] if tag.startswith(PREFIX)]
    return {tag.removeprefix(PREFIX).partition(":")[0]: tag for tag in tags}


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: object = None, **kwargs: object) -> list[dict[str, str]]:
        return [bundle_images(term) for term in terms]
