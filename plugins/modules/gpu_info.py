#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: What the NVIDIA driver sees of a host's GPUs
description:
  - Tells which NVIDIA GPUs a host has, what the driver says of each, and why the driver can't be asked if it can't.
  - It asks C(nvidia-smi), or NVML through Python's C(pynvml) on a host that has that but no C(nvidia-smi).
  - A host without GPUs or without a driver is no failure. RV(problem) says what is wrong, and RV(pci_gpus) tells a host
    without a GPU from one whose driver does not see its GPUs.
extends_documentation_fragment: [llmops.monitoring.reads_only, llmops.monitoring.asks_driver]
seealso:
  - module: llmops.monitoring.gpu_assert
"""

EXAMPLES = r"""
- name: Which GPUs are there?
  llmops.monitoring.gpu_info:
  register: found

- name: The driver sees all of the host's GPUs
  ansible.builtin.assert:
    that: found.gpus | length == found.pci_gpus
    fail_msg: "{{ found.problem }}"
"""

RETURN = r"""
source:
  description: Who told it, V(nvidia-smi) or V(nvml); the word V(none) when neither is on the host.
  returned: always
  type: str
  sample: nvidia-smi
problem:
  description: Why the driver can't tell of GPUs, in one sentence; null when it can. A single GPU's trouble is in its
    RV(gpus[].error).
  returned: always
  type: str
  sample: "The NVIDIA driver is installed, but not loaded into the kernel (exit code 9: NVIDIA-SMI has failed …)."
pci_gpus:
  description: How many NVIDIA GPUs the PCI bus has, whether the driver sees them or not.
  returned: always
  type: int
  sample: 8
driver_version:
  description: The driver's version; null when there is none.
  returned: always
  type: str
  sample: 590.48.01
cuda_version:
  description: The newest CUDA version that the driver can serve; null when it can't be asked.
  returned: always
  type: str
  sample: "13.1"
gpus:
  description: The GPUs in the driver's order. What a GPU does not have or tell is null.
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Its number, as C(nvidia-smi) counts.
      type: int
      sample: 0
    uuid:
      description: What tells it from every other GPU.
      type: str
      sample: GPU-5c1f0a52-8d27-4b61-9e43-0d7a6b1f2c30
    name:
      description: The model.
      type: str
      sample: NVIDIA H200
    memory_total_bytes:
      description: Its memory.
      type: int
      sample: 150754820096
    pci_bus_id:
      description: Its place on the PCI bus.
      type: str
      sample: "00000000:1B:00.0"
    serial:
      description: The board's serial number.
      type: str
      sample: "1650724012345"
    vbios:
      description: The version of its firmware.
      type: str
      sample: 96.00.A5.00.03
    ecc_enabled:
      description: Whether its memory corrects errors; null when it can't.
      type: bool
      sample: true
    mig_enabled:
      description: Whether MIG mode is on; null when it has none.
      type: bool
      sample: false
    mig_devices:
      description: The parts that it is split into.
      type: list
      elements: dict
      contains:
        index:
          description: The part's number on its GPU.
          type: int
          sample: 0
        uuid:
          description: What tells it from every other part.
          type: str
          sample: MIG-1d6f8a90-52c4-5e0b-8c37-6b1e9f204d11
        profile:
          description: Its share of the GPU.
          type: str
          sample: 3g.20gb
        gpu_instance:
          description: The GPU instance that it belongs to.
          type: int
          sample: 2
        memory_total_bytes:
          description: Its memory.
          type: int
          sample: 20937965568
    persistence_enabled:
      description: Whether the driver stays initialised while nobody uses the GPU.
      type: bool
      sample: true
    power_limit_watts:
      description: The limit of power that is in force.
      type: float
      sample: 700.0
    pcie:
      description: Its PCIe link. An idle GPU may run its link at a lower generation.
      type: dict
      contains:
        generation:
          description: The generation that it runs at.
          type: int
          sample: 5
        generation_max:
          description: The highest that GPU and slot allow.
          type: int
          sample: 5
        width:
          description: The lanes that it uses.
          type: int
          sample: 16
        width_max:
          description: The most lanes that GPU and slot allow.
          type: int
          sample: 16
    nvlinks_active:
      description: How many NVLinks are up; null when it has none.
      type: int
      sample: 18
    fabric_state:
      description: How far it has joined the fabric of NVSwitches.
      type: str
      sample: Completed
    fabric_status:
      description: How joining the fabric went.
      type: str
      sample: Success
    fabric_health:
      description: What the driver says of the fabric's health, with the aspects that are not well. NVML is not asked.
      type: str
      sample: Healthy
    error:
      description: Why the GPU can't be used, such as one that fell off the bus; null when it can.
      type: str
      sample: GPU is lost
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import _gpu_source


def main() -> None:
    module = AnsibleModule(argument_spec=_gpu_source.OPTIONS, supports_check_mode=True)
    found = _gpu_source.host_inventory(module)
    module.exit_json(changed=False, pci_gpus=_gpu_source.pci_gpus(), **found.facts())


if __name__ == "__main__":
    main()
