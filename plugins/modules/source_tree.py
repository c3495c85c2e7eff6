#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: source_tree
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: The source of an image is on the host
description:
  - Brings the files below a folder of the machine that runs Ansible onto the host in one archive, for an image to be
    built from them. M(ansible.builtin.copy) would need a round trip for each of some hundred files.
  - Tests and caches are left out, as the lookup P(llmops.monitoring.tree_hash#lookup) leaves them out.
  - What is on the host and not in the folder stays.
attributes:
  action:
    description: The controller packs, the host unpacks with M(ansible.builtin.unarchive), which needs C(tar) there.
    support: full
  check_mode:
    description: The task is skipped.
    support: none
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  src:
    description: The folder on the machine that runs Ansible.
    type: path
    required: true
  dest:
    description: The folder on the host, which must be there.
    type: path
    required: true
seealso:
  - plugin: llmops.monitoring.tree_hash
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: The source of the exporters is in the build folder
  llmops.monitoring.source_tree:
    src: files/exporters
    dest: /var/tmp/exporters
"""

RETURN = r"""
dest:
  description: The folder on the host.
  returned: success
  type: str
"""
