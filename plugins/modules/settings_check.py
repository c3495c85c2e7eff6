#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: settings_check
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: A host's variables are known and make sense
description:
  - Checks, on the controller, every variable of a host that belongs to the roles of this collection, set or default,
    and fails with one list of all that is wrong, before anything on the host changes. It never connects to the host.
  - Types, choices and required variables come from the roles' C(meta/argument_specs.yml). What a value must be beyond
    that follows from its name, for example C(_port), C(_interval), C(_size) or C(_listen_address).
  - Variables must also fit together. No port may be used twice on a host, a scrape may not take longer than its
    interval, the image source must have what it needs (a bundle holds the images of the host's services), exporters
    must have something to ask at an address that leads out of their own container, and those that listen on the network
    need a token.
  - A secret in C(alertmanager_receivers), C(alertmanager_global), C(prometheus_remote_write) or
    C(prometheus_extra_scrape_configs) that Alertmanager or Prometheus can't read from a file is refused, with what to
    do instead, for anyone on the host could read it.
  - A variable that starts with the name of one of the roles, but that no role knows, is a mistake in typing, and so is
    one that a role computes itself. Names of O(roles) are common words, so C(llm_monitor_ignored_variables), a list of
    patterns, names what belongs to something else. The roles register results under C(__<role>_<noun>), which starts
    with no role's name.
  - Values of variables that their spec marks with C(no_log) are never shown.
extends_documentation_fragment: [llmops.monitoring.reads_only]
attributes:
  action:
    description: It runs on the controller, as an action plugin.
    support: full
options:
  roles:
    description:
      - The roles whose variables are checked; by default all roles of the collection. What the image source needs is
        looked at with the role P(llmops.monitoring.images#role).
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Every variable of ours is known and makes sense
  llmops.monitoring.settings_check:
  register: __preflight_settings
"""

RETURN = r"""
problems:
  description: What is wrong, one entry for each problem.
  returned: failure
  type: list
  elements: str
  sample:
    - "prometheus_port is 0 (group_vars/all.yml:3): must be a port, which is a whole number from 1 to 65535"
    - "grafana_prot (group_vars/all.yml:4) is no variable of this collection. Did you mean grafana_port?"
ports:
  description: The ports that this host's services will listen on, for M(llmops.monitoring.host_check).
  returned: success
  type: list
  elements: dict
  contains:
    variable:
      description: The variable that sets the port.
      type: str
      sample: prometheus_port
    port:
      description: The port.
      type: int
      sample: 23001
    address:
      description: The address that the service listens on.
      type: str
      sample: 127.0.0.1
"""
