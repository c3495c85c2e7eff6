#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_assert
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: A host, or a container on it, has the GPUs that it should have
description:
  - Asks the NVIDIA driver for its GPUs, on the host or in a container, and fails with a table of what was expected and
    what was found, one line for each difference, and what to do about it.
  - That the driver answers and that no GPU is lost is always expected; all else is only if it is named here.
  - In a container, the GPUs must also be the same as on the host. The container is started from O(image), runs
    C(nvidia-smi) once or twice, and is removed in every case. It has no network, no capabilities, a read-only root and
    at most 512 MiB of memory, and the label C(llm-monitor.run). Nothing is pulled.
extends_documentation_fragment: [llmops.monitoring.asks_driver]
attributes:
  check_mode:
    description:
      - It does the same in check mode, since the container leaves nothing behind. If no container can be started then,
        such as on a host that would get its engine only now, it warns, and says so in RV(not_checked).
    support: full
  diff_mode:
    description: It changes nothing, so there is nothing to show.
    support: none
options:
  where:
    description: Whether the driver is asked on the host or in a container.
    type: str
    choices: [host, container]
    default: host
  count:
    description: How many GPUs there are that can be used. With V(0), no driver has to be there.
    type: int
  name:
    description: A regular expression that is found in the name of each GPU, such as V(H[12]00).
    type: str
  min_memory_bytes:
    description: The memory that each GPU has at least.
    type: int
  min_driver_version:
    description: The oldest driver that will do. Quote it in YAML.
    type: str
  ecc:
    description: Whether the memory of each GPU corrects errors. A GPU that can't does not.
    type: bool
  mig:
    description: Whether MIG mode of each GPU is on. A GPU without it has it off.
    type: bool
  persistence:
    description: Whether the driver keeps each GPU initialised while nobody uses it.
    type: bool
  nvlinks:
    description: How many NVLinks of each GPU are active at least.
    type: int
  fabric:
    description: Whether each GPU has joined the fabric of NVSwitches, and the fabric is well. GPUs before Hopper don't
      tell.
    type: bool
  image:
    description: The image of the container. Any will do that has a C library, for the rest comes from the host.
    type: str
  gpu_access:
    description:
      - How the container gets its GPUs. V(runtime) is by the runtime C(nvidia), V(cdi) by the device
        C(nvidia.com/gpu=all) of the Container Device Interface, V(device_request) as C(docker run --gpus all) does.
    type: str
    choices: [runtime, cdi, device_request]
    default: runtime
  socket_path:
    description: The Docker engine's socket.
    type: path
    default: /var/run/docker.sock
seealso:
  - module: llmops.monitoring.gpu_info
"""

EXAMPLES = r"""
- name: The host has eight H200 that are ready for work
  llmops.monitoring.gpu_assert:
    count: 8
    name: H200
    min_memory_bytes: 150000000000
    min_driver_version: "570.86"
    ecc: true
    mig: false
    persistence: true
    nvlinks: 18
    fabric: true

- name: Containers see all of them
  llmops.monitoring.gpu_assert:
    where: container
    image: "{{ llm_monitor_images.exporters }}"
    gpu_access: cdi
    count: 8
"""

RETURN = r"""
checks:
  description: What was expected and what was found.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description:
        - The option that expects it, or V(driver), V(health) or V(same_gpus), which are always expected.
      type: str
      sample: persistence
    where:
      description: The host or the container, and which of its GPUs.
      type: str
      sample: host, GPU 3 (GPU-5c1f0a52-8d27-4b61-9e43-0d7a6b1f2c30)
    gpus:
      description: The indexes of these GPUs; empty when it is about no single one.
      type: list
      elements: int
      sample: [3]
    expected:
      description: What was expected, in words.
      type: str
      sample: "on"
    found:
      description: What was found, in words.
      type: str
      sample: "off"
    ok:
      description: Whether that is the same.
      type: bool
      sample: false
    hint:
      description: What to do when it is not; null when it is.
      type: str
      sample: "`systemctl enable --now nvidia-persistenced`; where there is no such service, …"
not_checked:
  description: Why no container was asked.
  returned: in check mode, when none could be started
  type: str
source:
  description: As M(llmops.monitoring.gpu_info) returns it, of the place that was asked.
  returned: always
  type: str
  sample: nvidia-smi
problem:
  description: As M(llmops.monitoring.gpu_info) returns it, of the place that was asked.
  returned: always
  type: str
pci_gpus:
  description: As M(llmops.monitoring.gpu_info) returns it.
  returned: always
  type: int
  sample: 8
driver_version:
  description: As M(llmops.monitoring.gpu_info) returns it, of the place that was asked.
  returned: always
  type: str
  sample: 590.48.01
cuda_version:
  description: As M(llmops.monitoring.gpu_info) returns it, of the place that was asked.
  returned: always
  type: str
  sample: "13.1"
gpus:
  description:
    - As M(llmops.monitoring.gpu_info) returns them, of the place that was asked. In a container, the NVLinks are known
      only if O(nvlinks) asks for them.
  returned: always
  type: list
  elements: dict
"""

import re
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import (
    _gpu_probe,
    _gpu_source,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    DEFAULT_SOCKET,
    DEFAULT_TIMEOUT,
    DockerClient,
    DockerError,
    NotFound,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_expectations import (
    CONTAINER,
    HOST,
    Check,
    checks_of,
    same_gpus,
    table,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import (
    Inventory,
)


def check_options(module: AnsibleModule) -> None:
    """Fail when an option can't be understood."""
    name, version = module.params["name"], module.params["min_driver_version"]
    try:
        re.compile(name or "")
    except re.error as error:
        module.fail_json(msg=f"name is {name!r}, which is no regular expression: {error}.")
    if version is not None and not re.fullmatch(r"\d+(\.\d+)*", version):
        module.fail_json(msg=f"min_driver_version is {version!r}; it must be a version such as 570.86.15.")


class NotAsked(Exception):
    """No container could be started to look from; the text says why."""


class GpuAssert:
    """Holds what is expected against what the host, and a container on it, tell."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.pci_gpus = _gpu_source.pci_gpus()
        self.host = _gpu_source.host_inventory(module)
        self.result: dict[str, Any] = {"changed": False, "pci_gpus": self.pci_gpus}

    def run(self) -> None:
        if self.params["where"] == HOST:
            found, checks = self.host, checks_of(self.host, self.params, HOST, self.pci_gpus)
        else:
            found, checks = self.in_container()
        self.result.update(found.facts(), checks=[asdict(check) for check in checks])
        failed = sum(not check.ok for check in checks)
        if failed:
            summary = f"The GPUs of the {self.place()} are not as expected, {failed} of {len(checks)} checks failed"
            self.module.fail_json(msg=f"{summary}:\n{table(checks)}", **self.result)
        self.module.exit_json(**self.result)

    def place(self) -> str:
        if self.params["where"] == HOST:
            return HOST
        return f"{CONTAINER} of {self.params['image']} (gpu_access: {self.params['gpu_access']})"

    def in_container(self) -> tuple[Inventory, list[Check]]:
        """Return what a container sees and how that is expected; of the host, where it has nothing to give."""
        expected = {} if self.host.gpus else {"count": self.params["count"]}
        checks = checks_of(self.host, expected, HOST, self.pci_gpus)
        if not self.host.usable:
            return self.host, checks
        try:
            found = self.ask_container()
        except NotAsked as error:
            if not self.module.check_mode:
                self.module.fail_json(msg=f"The GPUs in a container could not be checked: {error}")
            self.module.warn(f"The GPUs in a container were not checked: {error}")
            self.result["not_checked"] = str(error)
            return self.host, checks
        checks += checks_of(found, self.params, CONTAINER, self.pci_gpus)
        if found.gpus or found.problem is None:
            checks.append(same_gpus(self.host, found, _gpu_probe.ACCESS_HINTS[self.params["gpu_access"]]))
        return found, checks

    def ask_container(self) -> Inventory:
        timeout = float(self.params["timeout"])
        client = DockerClient(self.params["socket_path"], max(DEFAULT_TIMEOUT, timeout))
        try:
            found = _gpu_probe.container_inventory(
                client,
                self.params["image"],
                self.params["gpu_access"],
                timeout,
                nvlinks=self.params["nvlinks"] is not None,
            )
        except NotFound as error:
            raise NotAsked(f"{error}. Nothing is pulled: bring the image onto this host first.") from error
        except DockerError as error:
            raise NotAsked(str(error)) from error
        # In check mode, what would let the engine start it has not been done.
        if self.module.check_mode and found.problem and found.problem.kind == _gpu_probe.REFUSED:
            raise NotAsked(found.problem.text)
        return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "where": {"type": "str", "choices": [HOST, CONTAINER], "default": HOST},
            "count": {"type": "int"},
            "name": {"type": "str"},
            "min_memory_bytes": {"type": "int"},
            "min_driver_version": {"type": "str"},
            "ecc": {"type": "bool"},
            "mig": {"type": "bool"},
            "persistence": {"type": "bool"},
            "nvlinks": {"type": "int"},
            "fabric": {"type": "bool"},
            "image": {"type": "str"},
            "gpu_access": {"type": "str", "choices": list(_gpu_probe.ACCESS_HINTS), "default": "runtime"},
            "socket_path": {"type": "path", "default": DEFAULT_SOCKET},
            **_gpu_source.OPTIONS,
        },
        required_if=[("where", CONTAINER, ["image"])],
        supports_check_mode=True,
    )
    check_options(module)
    GpuAssert(module).run()


if __name__ == "__main__":
    main()
