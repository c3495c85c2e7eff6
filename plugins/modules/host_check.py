#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Nothing on a host stands in the way of a rollout
description:
  - Looks at a host and fails with one list of all that would stop a rollout, before anything changes. It needs nothing
    on the host but Python.
  - An operating system or processor that the collection does not know; an engine that refuses us, hangs or is older
    than 20.10 (one that is not installed or does not run is fine, for the role P(llmops.monitoring.docker#role) sees to
    that); a Compose that is too old (none is fine, too); packages that the distribution doesn't have; references of
    images that the engine refuses; too little disk; ports that something else listens on, with its process; registries
    that can't be reached.
  - A port is free when one of the project's own containers holds it, or when something listens on another address.
extends_documentation_fragment: [llmops.monitoring.reads_only]
options:
  ports:
    description: The ports that will be listened on, as M(llmops.monitoring.settings_check) returns them.
    type: list
    elements: dict
    default: []
    suboptions:
      variable:
        description: The variable that sets the port, for the message.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
      address:
        description: The address to listen on.
        type: str
        default: 127.0.0.1
  project:
    description: The Compose project whose containers may hold the ports already.
    type: str
    default: llm-monitor
  dir:
    description: The folder of the services' configuration (C(llm_monitor_dir)); it need not exist.
    type: path
    default: /opt/llm-monitor
  min_free_bytes:
    description: Bytes that must be free where O(dir) is.
    type: int
    default: 0
  engine_min_free_bytes:
    description: Bytes that must be free where the engine keeps images and volumes; by default as O(min_free_bytes).
    type: int
  registries:
    description: Registries that images will be pulled from, as host[:port][/path]; V(docker.io) is Docker Hub.
    type: list
    elements: str
    default: []
  insecure_registries:
    description: Registries and networks that the engine will be told to trust without a valid certificate.
    type: list
    elements: str
    default: []
  images:
    description: If the engine holds all of these images, O(registries) are not asked, for nothing will be pulled.
    type: list
    elements: str
    default: []
  networks:
    description: Networks of the engine that containers will join, which have to be there (C(exporters_networks)).
    type: list
    elements: str
    default: []
  min_compose:
    description: The oldest Compose that will do, where there is one. C(include) in a compose file needs 2.20.
    type: str
    default: 2.20.0
  engine_source:
    description:
      - Where a host without an engine gets one from (C(docker_engine_source)). V(distribution) can't be where there is
        no package. Without this option, nothing is said.
    type: str
    choices: [distribution, docker]
  image_source:
    description:
      - Where images come from (C(llm_monitor_image_source)). For V(distro), a host that lacks one of O(images) must
        have apt. Without this option, nothing is said.
    type: str
    choices: [registry, bundle, distro]
  timeout:
    description: Seconds that a registry may take to answer.
    type: int
    default: 10
  socket_path:
    description: The Docker engine's socket.
    type: path
    default: /var/run/docker.sock
seealso:
  - module: llmops.monitoring.settings_check
"""

EXAMPLES = r"""
- name: The host can take what is asked for
  llmops.monitoring.host_check:
    ports:
      - {variable: prometheus_port, port: 23001, address: 127.0.0.1}
    min_free_bytes: 5000000000
    registries: [docker.io]
"""

RETURN = r"""
problems:
  description: What stands in the way, one entry for each problem.
  returned: failure
  type: list
  elements: str
  sample: ["prometheus_port is 23001, but nginx (process 812) listens on 0.0.0.0:23001"]
registries_reachable:
  description: Those of O(registries) that answered. Empty when nothing was asked, because no image is missing.
  returned: always
  type: list
  elements: str
  sample: [docker.io]
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import (
    _listeners,
    _programs,
    _registries,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    ApiError,
    DockerClient,
    DockerError,
    EngineStopped,
    NotFound,
    SocketMissing,
)

_SYSTEMS = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
_RED_HAT_FAMILY = ("rhel", "centos", "rocky", "almalinux", "ol")
_RED_HAT_RELEASE = "9"
_PROCESSORS = ("x86_64", "aarch64")
_OLDEST_ENGINE = (20, 10)
_USUAL_DATA_ROOT = "/var/lib/docker"
_REFERENCES = "See what llm_monitor_registry_images and llm_monitor_registry_mirror make of the reference"
_PROJECT_LABEL = "com.docker.compose.project"


class Engine:
    """What the engine says of itself, as far as it answers."""

    def __init__(self, socket_path: str) -> None:
        self._client = DockerClient(socket_path)
        self.info: dict[str, Any] | None = None
        self.containers: list[dict[str, Any]] = []
        self.networks: list[str] = []
        self.problems: list[str] = []
        try:
            version = str(self._client.version()["Version"])
            self.info = self._client.info()
            self.containers = self._client.containers()
            self.networks = sorted(str(one["Name"]) for one in self._client.networks())
        except (SocketMissing, EngineStopped):
            return
        except DockerError as error:
            self.problems.append(str(error))
            return
        if _numbers(version) < list(_OLDEST_ENGINE):
            self.problems.append(f"The Docker engine is {version}; it must be 20.10 or later. Upgrade it.")

    @property
    def data_root(self) -> str:
        return str((self.info or {}).get("DockerRootDir") or _USUAL_DATA_ROOT)

    def has_all(self, images: Sequence[str]) -> bool:
        """Tell whether the engine holds all of some images, of which there must be one.

        What it refuses to tell is a problem, and not worth asking a registry.
        """
        if self.info is None or not images:
            return False
        try:
            for image in images:
                self._client.inspect_image(image)
        except NotFound:
            return False
        except ApiError as error:
            self.problems.append(f"{error}. {_REFERENCES}")
        except DockerError as error:
            self.problems.append(str(error))
        return True


# ---------------------------------------------------------------- the system


def system_problems(os_release: str, processor: str) -> list[str]:
    """Return what the collection does not know of a system, from the text of os-release and the kernel's word."""
    found = _fields(os_release)
    kind, release = found.get("ID", ""), found.get("VERSION_ID", "")
    is_known = release in _SYSTEMS.get(kind, ()) or (
        kind in _RED_HAT_FAMILY and release.split(".", 1)[0] == _RED_HAT_RELEASE
    )
    problems = []
    if not is_known:
        name = found.get("PRETTY_NAME", kind or "of no known kind")
        problems.append(
            f"The operating system is {name}; supported are Debian 12 and 13, Ubuntu 22.04 and 24.04, "
            "and the RHEL family's release 9"
        )
    if processor not in _PROCESSORS:
        problems.append(f"The processor is {processor}; supported are {' and '.join(_PROCESSORS)}")
    return problems


def package_problems(
    os_release: str, engine_source: str | None, image_source: str | None, program: Callable[[str], str | None]
) -> list[str]:
    """Return what can't be installed from a distribution's packages; `program` finds one of the host's programs."""
    problems = []
    is_red_hat = _fields(os_release).get("ID") in _RED_HAT_FAMILY
    if is_red_hat and engine_source == "distribution" and not program("dockerd"):
        problems.append("The RHEL family has no package of the Docker engine. Set docker_engine_source: docker")
    if image_source == "distro" and not program("apt-get"):
        problems.append(
            "llm_monitor_image_source is distro, but this host has no apt, with which images are made from Debian's "
            "packages. Set it to registry or bundle"
        )
    return problems


def compose_problems(version: str | None, oldest: str) -> list[str]:
    """Return a complaint about a Compose that is too old; None stands for one that is not there yet."""
    if version is None or _numbers(version) >= _numbers(oldest):
        return []
    return [
        f"Compose is {version}; it must be {oldest} or later. Upgrade the package that brought it "
        "(docker-compose-plugin or docker-compose-v2), or remove it, so that the role docker brings another"
    ]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _fields(os_release: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, value in pairs}


def _read_os_release() -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return file.read()
    return ""


# ---------------------------------------------------------------- disk


def disk_problems(needs: Sequence[tuple[str, str, int]]) -> list[str]:
    """Return a complaint for each file system with less space free than (what for, path, bytes) need of it."""
    problems: dict[int, str] = {}
    for purpose, path, wanted in sorted(needs, key=lambda need: -need[2]):
        there = _nearest_existing(path)
        free = shutil.disk_usage(there).free
        if free < wanted:
            told = (
                f"{purpose} at {path} needs {_size(wanted)} of free disk, but its file system has {_size(free)}. "
                "Make room, or lower llm_monitor_min_free_bytes"
            )
            problems.setdefault(os.stat(there).st_dev, told)
    return list(problems.values())


def _nearest_existing(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


# ---------------------------------------------------------------- ports


def port_problems(
    ports: Sequence[Mapping[str, Any]],
    listeners: Sequence[_listeners.Listener],
    containers: Sequence[Mapping[str, Any]],
    project: str,
) -> list[str]:
    """Return a complaint for each wanted port that something else has on an address that gets in the way."""
    problems = []
    for wanted in ports:
        holder = _holder(wanted, listeners, containers, project)
        if holder:
            problems.append(
                f"{wanted['variable']} is {wanted['port']}, but {holder}. Stop that, or choose another port"
            )
    return problems


def _holder(
    wanted: Mapping[str, Any],
    listeners: Sequence[_listeners.Listener],
    containers: Sequence[Mapping[str, Any]],
    project: str,
) -> str | None:
    """Return who has a wanted port, unless it is the project itself."""
    for container in containers:
        for published in container.get("Ports") or []:
            if _clashes(wanted, published.get("PublicPort"), published.get("IP") or "0.0.0.0"):
                return None if _is_of(container, project) else f"{_container_words(container)} publishes it"
    for listener in listeners:
        if _clashes(wanted, listener.port, listener.address):
            around = next((container for container in containers if container["Id"] == listener.container), None)
            if around is None or not _is_of(around, project):
                return _listener_words(listener, around)
    return None


def _clashes(wanted: Mapping[str, Any], port: Any, address: str) -> bool:
    return bool(wanted["port"] == port and _listeners.clash(wanted["address"], address))


def _is_of(container: Mapping[str, Any], project: str) -> bool:
    return bool((container.get("Labels") or {}).get(_PROJECT_LABEL) == project)


def _container_words(container: Mapping[str, Any]) -> str:
    return f"the container {container['Names'][0].lstrip('/')} ({container['Image']})"


def _listener_words(listener: _listeners.Listener, container: Mapping[str, Any] | None) -> str:
    address = f"[{listener.address}]" if ":" in listener.address else listener.address
    where = f"listens on {address}:{listener.port}"
    if listener.pid is None:
        return f"a process that can't be seen from here {where}"
    inside = f" in {_container_words(container)}" if container else ""
    return f"{listener.process or 'a process'} (process {listener.pid}){inside} {where}"


# ---------------------------------------------------------------- registries


def network_problems(wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """Return a complaint for each network that is not there; the engine itself has three that nobody can join."""
    others = [name for name in there if name not in ("bridge", "host", "none")]
    known = f"it has {', '.join(others)}" if others else "it has none that containers could join"
    return [
        f"exporters_networks has {name!r}, but the Docker engine has no such network: {known}. Start what brings it "
        "first, or take it off the list."
        for name in wanted
        if name not in there
    ]


def registry_problem(registry: str, reason: str) -> str:
    return (
        f"The registry {registry} can't be reached: {reason}. Open the way to it, set llm_monitor_registry_mirror to a "
        "mirror that this host reaches, or bring the images without a registry: llm_monitor_image_source can be bundle "
        "(an archive made elsewhere) or distro (built from Debian and PyPI packages)"
    )


def main() -> None:
    port = {
        "variable": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "address": {"type": "str", "default": "127.0.0.1"},
    }
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "dict", "default": [], "options": port},
            "project": {"type": "str", "default": "llm-monitor"},
            "dir": {"type": "path", "default": "/opt/llm-monitor"},
            "min_free_bytes": {"type": "int", "default": 0},
            "engine_min_free_bytes": {"type": "int"},
            "registries": {"type": "list", "elements": "str", "default": []},
            "insecure_registries": {"type": "list", "elements": "str", "default": []},
            "images": {"type": "list", "elements": "str", "default": []},
            "networks": {"type": "list", "elements": "str", "default": []},
            "min_compose": {"type": "str", "default": "2.20.0"},
            "engine_source": {"type": "str", "choices": ["distribution", "docker"]},
            "image_source": {"type": "str", "choices": ["registry", "bundle", "distro"]},
            "timeout": {"type": "int", "default": 10},
            "socket_path": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    try:
        problems, reached = check(module)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"This host can't be checked: {error}", registries_reachable=[])
    if problems:
        listed = "".join(f"\n- {problem}" for problem in problems)
        count = "One thing stands" if len(problems) == 1 else f"{len(problems)} things stand"
        module.fail_json(msg=f"{count} in the way:{listed}", problems=problems, registries_reachable=reached)
    module.exit_json(changed=False, registries_reachable=reached)


def check(module: AnsibleModule) -> tuple[list[str], list[str]]:
    """Return what stands in the way, and the registries that answered."""
    params = module.params
    engine = Engine(params["socket_path"])
    least = params["min_free_bytes"]
    engine_least = least if params["engine_min_free_bytes"] is None else params["engine_min_free_bytes"]
    listeners = _listeners.listeners(wanted["port"] for wanted in params["ports"])
    refused = {}
    has_all = engine.has_all(params["images"])
    asked = [] if has_all else params["registries"]
    way = _registries.way_of_engine(engine.info, params["insecure_registries"])
    for registry in asked:
        reason = _registries.problem(registry, way, params["timeout"])
        if reason is not None:
            refused[registry] = reason
    os_release = _read_os_release()
    sources = (None if engine.info else params["engine_source"], None if has_all else params["image_source"])
    problems = [
        *system_problems(os_release, os.uname().machine),
        *engine.problems,
        *compose_problems(_programs.compose_version(module), params["min_compose"]),
        *package_problems(os_release, *sources, lambda name: _programs.find(module, name)),
        *disk_problems([("The configuration", params["dir"], least), ("Docker", engine.data_root, engine_least)]),
        *port_problems(params["ports"], listeners, engine.containers, params["project"]),
        *(network_problems(params["networks"], engine.networks) if engine.info else []),
        *(registry_problem(registry, reason) for registry, reason in refused.items()),
    ]
    return problems, [registry for registry in asked if registry not in refused]


if __name__ == "__main__":
    main()
