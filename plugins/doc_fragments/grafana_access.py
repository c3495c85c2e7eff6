# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options by which a module reaches a Grafana."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Grafana's address, seen from the host that runs the task. Where Grafana is served below a path, it ends with it.
      - Redirects are not followed, so that no credentials go elsewhere.
    type: str
    required: true
  username:
    description: A user that Grafana knows by a password of its own.
    type: str
  password:
    description: The user's password.
    type: str
  api_token:
    description: A service account's token, in place of user and password.
    type: str
  validate_certs:
    description: Whether a certificate must be trusted.
    type: bool
    default: true
  ca_path:
    description: A file with certificates of authorities to trust.
    type: path
  use_proxy:
    description: Whether a proxy in the environment is used. Grafana is usually nearer than any proxy.
    type: bool
    default: false
"""
