# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """What a module that asks NVIDIA's driver can be told."""

    DOCUMENTATION = r"""
options:
  nvidia_smi:
    description: The path of C(nvidia-smi) on the host, where it is not on the host's path.
    type: path
  timeout:
    description:
      - How many seconds each question to the driver may take. A driver that hangs hangs whoever asks it; without
        persistence mode, the first answer of a host with many GPUs takes half a minute.
    type: int
    default: 60
"""
