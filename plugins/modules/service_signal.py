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
  - With O(metrics), it also waits until the services say in their own metrics that they took their configuration.
    What a checker accepts, a service can still refuse, such as the name of a certificate's file that is not there.
attributes:
  check_mode:
    description:
      - Tells which containers would get the signal, without a look at O(metrics). Services that don't run are no
        failure.
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
  metrics:
    description:
      - Where services tell how their last reload went, by the service's name, as an address seen from the host that
        runs the task. Each of O(services) that is named here is waited for.
      - They tell it by C(<service>_config_last_reload_successful) and
        C(<service>_config_last_reload_success_timestamp_seconds), as Prometheus and Alertmanager do.
      - The task fails when a service refuses its configuration. The service goes on running, and may have taken a part
        of it, so it should get the signal again when its files are mended.
    type: dict
    default: {}
  timeout:
    description: How many seconds the services together may take to say that they took their configuration.
    type: int
    default: 60
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
    metrics:
      prometheus: http://127.0.0.1:23001/metrics
      alertmanager: http://127.0.0.1:23003/metrics
"""

RETURN = r"""
containers:
  description: The names of the containers that got the signal.
  returned: success, and when a service did not take its configuration
  type: list
  elements: str
  sample: [llm-monitor-prometheus-1]
problems:
  description: Why services did not take their configuration, one line each.
  returned: when one did not
  type: list
  elements: str
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    DockerClient,
    DockerError,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._reloads import (
    Reloads,
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
    """Send the signal, and return the names of the containers that got it and did what they were told."""
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
    containers = {item["Id"]: item["Names"][0].lstrip("/") for service in services for item in found[service]}
    if not module.check_mode:
        signal_and_wait(module, client, containers)
    return list(containers.values())


def signal_and_wait(module: AnsibleModule, client: DockerClient, containers: Mapping[str, str]) -> None:
    """Send the signal to containers, given as id → name, and fail unless their services say that they reloaded."""
    services, signal = module.params["services"], module.params["signal"]
    urls = {service: str(url) for service, url in module.params["metrics"].items() if service in services}
    reloads = Reloads(urls, module.params["timeout"])
    problems = reloads.remember()
    if problems:
        module.fail_json(
            msg="\n".join([f"Nothing got {signal}, since it could not be told what came of it:", *problems]),
            problems=problems,
        )
    for container in containers:
        client.kill_container(container, signal)
    problems = reloads.problems()
    if problems:
        log = f"See `docker compose --project-name {module.params['project']} logs`."
        module.fail_json(
            msg="\n".join([f"After {signal}, the configuration was not taken:", *problems, log]),
            problems=problems,
            changed=True,
            containers=list(containers.values()),
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "str", "required": True},
            "project": {"type": "str", "default": "llm-monitor"},
            "signal": {"type": "str", "default": "SIGHUP"},
            "metrics": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 60},
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
