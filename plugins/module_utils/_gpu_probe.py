# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks nvidia-smi in a one-shot container which GPUs a container gets, and tells why when it gets none.

Facts: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/ , and the words in which Docker 20.10
to 29 and the container toolkit refuse.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    ApiError,
    DockerClient,
    NotFound,
    RunTimeout,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_inventory import Inventory
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_problems import Problem, shortened
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_source import NoAnswer, by_nvidia_smi

REFUSED = "refused"
# With all clocks that they support, eight GPUs take about 5,000 lines.
_OUTPUT_LINES = 20_000
_HOST_CONFIGS: dict[str, dict[str, Any]] = {
    "runtime": {"Runtime": "nvidia"},
    "cdi": {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]},
    "device_request": {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu", "utility"]]}]},
}
_ENVIRONMENTS = {"runtime": ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=utility"]}
ACCESS_HINTS = {
    "runtime": "`docker info` must list the runtime nvidia, and `nvidia-container-cli info` the GPUs; "
    "`nvidia-ctk runtime configure --runtime=docker` registers the runtime.",
    "cdi": "`nvidia-ctk cdi list` must show nvidia.com/gpu=all. After a change of driver or GPUs, write the "
    "specification again: `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`.",
    "device_request": "`nvidia-container-cli info` must show the GPUs; it comes with the container toolkit "
    "(nvidia-container-toolkit).",
}
# What the engine says when it refuses, what that means, and what to do; without the last, the hint of the access.
_REFUSALS = (
    (
        r"unknown (or invalid )?runtime",
        "The Docker engine does not know the runtime nvidia",
        "`nvidia-ctk runtime configure --runtime=docker` writes it into daemon.json, `systemctl reload docker` makes "
        "the engine read that.",
    ),
    (
        r'could not select device driver "?cdi',
        "The Docker engine knows no CDI",
        "CDI needs Docker 25 or later; before 28.2, features.cdi must be true in daemon.json, which takes a restart of "
        "the engine. Restart it only when no container uses a GPU, or choose gpu_access: runtime.",
    ),
    (
        r"could not select device driver",
        "The Docker engine finds no container toolkit",
        "Install nvidia-container-toolkit; the engine looks for it only at its start. Restart it only when no "
        "container uses a GPU, or choose gpu_access: runtime.",
    ),
    (r"unresolvable cdi devices", "No CDI specification names the GPUs", ""),
    (r"nvidia-container-cli|nvidia-container-runtime", "NVIDIA's container toolkit can't give GPUs", ""),
    (r"executable file not found", "The driver's programs, such as nvidia-smi, did not get into the container", ""),
)
# What is wrong inside only, since the host's driver answers.
_OF_THE_CONTAINER = ("not_loaded", "no_library", "no_gpu", "forbidden", "no_access", "failed", "unreadable")


def container_inventory(
    client: DockerClient, image: str, access: str, timeout: float, nvlinks: bool = False
) -> Inventory:
    """Return what nvidia-smi tells in a container of an image that gets all GPUs by one of the ways ACCESS_HINTS.

    That no such container can be started is a problem of the kind REFUSED. Raises NotFound when the image is not on
    the host, and other errors of the client when the engine can't be asked.
    """
    found = by_nvidia_smi(lambda arguments: _ask(client, image, access, arguments, timeout), nvlinks)
    if found.problem is None or found.problem.kind not in _OF_THE_CONTAINER:
        return found
    advice = f"The host's driver answers, so look at how the container gets its GPUs: {ACCESS_HINTS[access]}"
    return replace(found, problem=replace(found.problem, advice=advice))


def _ask(client: DockerClient, image: str, access: str, arguments: Sequence[str], timeout: float) -> tuple[int, str]:
    try:
        return client.run(
            image,
            arguments,
            entrypoint=["nvidia-smi"],
            environment=_ENVIRONMENTS.get(access, ()),
            host_config=_HOST_CONFIGS[access],
            timeout=timeout,
            output_lines=_OUTPUT_LINES,
        )
    except NotFound:
        raise
    except RunTimeout:
        text = f"nvidia-smi {' '.join(arguments)} in a container did not end within {timeout:g} s."
        raise NoAnswer(Problem("timeout", text)) from None
    except ApiError as error:
        raise NoAnswer(_refusal(access, error.reason)) from None


def _refusal(access: str, reason: str) -> Problem:
    words = shortened(reason).rstrip(".")
    for sign, meaning, hint in _REFUSALS:
        if re.search(sign, reason, re.IGNORECASE):
            return Problem(REFUSED, f"{meaning} ({words}).", hint or ACCESS_HINTS[access])
    return Problem(REFUSED, f"The Docker engine does not start a container with GPUs ({words}).", ACCESS_HINTS[access])
