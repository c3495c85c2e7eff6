#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: docker_engine_info
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: What a host has of Docker
description:
  - Tells whether a Docker engine is installed and answers, which package brought it, whether Compose can be called,
    which of the given images the engine lacks, and which running containers use a GPU. It needs nothing on the host but
    Python, so it can be asked before anything is installed.
extends_documentation_fragment: [llmops.monitoring.reads_only]
options:
  socket_path:
    description: The engine's socket.
    type: path
    default: /var/run/docker.sock
  images:
    description: References of images that the engine should hold.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Which images have to be brought?
  llmops.monitoring.docker_engine_info:
    images:
      - docker.io/prom/prometheus:v3.14.0
  register: engine
"""

RETURN = r"""
installed:
  description: An engine's program (C(dockerd)) is on the host.
  returned: always
  type: bool
program:
  description: Where that program lies; V(none) when there is none.
  returned: always
  type: str
  sample: /usr/sbin/dockerd
package:
  description: The package that brought it, as dpkg or rpm know it; V(none) when none did.
  returned: always
  type: str
  sample: docker.io
running:
  description: An engine answers at the socket.
  returned: always
  type: bool
version:
  description: The engine's version.
  returned: when one answers
  type: str
  sample: 20.10.24
data_root:
  description: Where the engine keeps images and volumes.
  returned: when one answers
  type: str
  sample: /var/lib/docker
problem:
  description: Why no engine answers, and what can be done.
  returned: when none answers
  type: str
gpu_containers:
  description:
    - Running containers that use a GPU, as M(llmops.monitoring.docker_daemon_config) tells them; none when no engine
      answers.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The container's name.
      type: str
      sample: vllm-llama
    id:
      description: The container's id.
      type: str
      sample: 4f1c9be0d1a4
    gpu:
      description: How it got its GPUs.
      type: str
      sample: device request for all GPUs
compose_version:
  description: The version of Compose that C(docker compose) calls; V(none) when there is none.
  returned: always
  type: str
  sample: 5.6.1
missing_images:
  description: Those of O(images) that the engine does not hold; all of them when no engine answers.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import _programs
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    DEFAULT_SOCKET,
    DockerClient,
    DockerError,
    NotFound,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_containers import gpu_containers


def missing_images(client: DockerClient, images: list[str]) -> list[str]:
    missing = []
    for image in images:
        try:
            client.inspect_image(image)
        except NotFound:
            missing.append(image)
    return missing


def engine_state(client: DockerClient, images: list[str]) -> dict[str, Any]:
    """Return what an engine says of itself; DockerError when it answers, but not about images and containers."""
    try:
        state = {"running": True, "version": client.version()["Version"], "data_root": client.info()["DockerRootDir"]}
    except DockerError as error:
        return {"running": False, "problem": str(error), "missing_images": images, "gpu_containers": []}
    return {
        **state,
        "missing_images": missing_images(client, images),
        "gpu_containers": gpu_containers(client.inspect_containers()),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "socket_path": {"type": "path", "default": DEFAULT_SOCKET},
            "images": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        state = engine_state(DockerClient(module.params["socket_path"]), module.params["images"])
    except DockerError as error:
        module.fail_json(msg=str(error))
    program = _programs.find(module, "dockerd")
    module.exit_json(
        changed=False,
        installed=program is not None,
        program=program,
        package=program and _programs.package_of(module, program),
        compose_version=_programs.compose_version(module),
        **state,
    )


if __name__ == "__main__":
    main()
