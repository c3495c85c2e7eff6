#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: service_signal
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Running services have got a signal
description:
  - Sends a signal to the containers of some services of a Compose project, such as SIGHUP, on which Prometheus and
    Alertmanager read their configuration again. Compose itself can't do that with a running service.
  - If one of the services does not run, none gets the signal and the task fails.
attributes:
  check_mode:
    description: Tells which containers would get the signal. Services that don't run are no failure.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  services:
    description: The names of the services in their C(compose.yaml).
    type: list
    elements: str
    required: true
  project:
    description: The Compose project.
    type: str
    default: llm-monitor
  signal:
    description: The signal.
    type: str
    default: SIGHUP
  socket_path:
    description: The Docker engine's socket.
    type: path
    default: /var/run/docker.sock
seealso:
  - module: llmops.monitoring.service_folder
"""

EXAMPLES = r"""
- name: Services with a new configuration have read it
  llmops.monitoring.service_signal:
    services: [prometheus, alertmanager]
"""

RETURN = r"""
containers:
  description: The names of the containers that got the signal.
  returned: success
  type: list
  elements: str
  sample: [llm-monitor-prometheus-1]
"""

from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    DockerClient,
    DockerError,
)

_PROJECT_LABEL = "com.docker.compose.project"
_SERVICE_LABEL = "com.docker.compose.service"


def running(client: DockerClient, project: str, services: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return service → its running containers, for every one of the services."""
    found: dict[str, list[dict[str, Any]]] = {service: [] for service in services}
    for container in client.containers(filters={"label": [f"{_PROJECT_LABEL}={project}"]}):
        found.get(container["Labels"].get(_SERVICE_LABEL, ""), []).append(container)
    return found


def send(module: AnsibleModule) -> list[str]:
    """Send the signal, and return the names of the containers that got it."""
    services, project = module.params["services"], module.params["project"]
    if not services:
        return []
    client = DockerClient(module.params["socket_path"])
    try:
        found = running(client, project, services)
    except DockerError:
        if module.check_mode:
            return []
        raise
    stopped = [service for service, containers in found.items() if not containers]
    if stopped and not module.check_mode:
        module.fail_json(
            msg=f"No container of {', '.join(stopped)} runs in the Compose project {project}, so nothing got "
            f"{module.params['signal']}. See `docker compose --project-name {project} ps --all`, and start it."
        )
    containers = [container for service in services for container in found[service]]
    if not module.check_mode:
        for container in containers:
            client.kill_container(container["Id"], module.params["signal"])
    return [container["Names"][0].lstrip("/") for container in containers]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "str", "required": True},
            "project": {"type": "str", "default": "llm-monitor"},
            "signal": {"type": "str", "default": "SIGHUP"},
            "socket_path": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    try:
        names = send(module)
    except DockerError as error:
        module.fail_json(msg=f"{module.params['signal']} could not be sent: {error}")
    module.exit_json(changed=bool(names), containers=names)


if __name__ == "__main__":
    main()
