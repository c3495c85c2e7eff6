#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon_config
short_description: Merge settings into the Docker engine's daemon.json
version_added: 0.1.0
description:
  - Merges settings into the Docker engine's configuration file and leaves everything else in it as it is.
  - Tells whether a running engine takes up the change by a reload (C(SIGHUP)) or only by a restart.
  - Never restarts or reloads anything itself. It refuses to write a change that needs a restart while a container
    that uses a GPU runs, because a restart can stop that container or cut it off from its GPUs.
  - A file that is not a JSON object is never touched.
author:
  - The llmops.monitoring authors (@llmops)
attributes:
  check_mode:
    description: Can run in check mode, does every check there, and says what would change.
    support: full
  diff_mode:
    description: Shows the file before and after as JSON, with passwords, tokens and credentials in URLs hidden.
    support: full
  platform:
    description: The systems that it runs on.
    platforms: linux
    support: full
options:
  path:
    description:
      - The engine's configuration file. A symbolic link is followed.
      - A new file gets the mode 0644; one that is there keeps its owner and mode.
    type: path
    default: /etc/docker/daemon.json
  settings:
    description:
      - What the file must hold. Objects are merged name by name, other values are replaced.
      - Lists are treated as O(lists) says.
      - Put C(no_log=true) on the task when it carries a proxy's password; the diff hides it, but a log of the
        task's arguments might not.
    type: dict
    default: {}
  lists:
    description:
      - How a list in O(settings) is merged with a list in the file.
      - V(union) keeps the entries that are there, in their order, and adds those that are missing behind them. It
        applies to the lists that dockerd reads as a set (C(allow-nondistributable-artifacts),
        C(authorization-plugins), C(cdi-spec-dirs), C(dns), C(dns-opts), C(dns-search), C(hosts),
        C(insecure-registries), C(node-generic-resources), C(registry-mirrors)). In C(labels), C(exec-opts) and
        C(storage-opts) an entry takes the place of the one with the same name before its C(=). Any other list,
        such as C(default-address-pools), is replaced.
      - V(replace) replaces every list.
    type: str
    choices:
      - union
      - replace
    default: union
  absent:
    description:
      - Dotted names of what the file must not hold, such as C(log-opts.max-file). They are removed before O(settings)
        are merged.
      - The last part may be an entry of a list, as in C(insecure-registries.registry.example.com:5000).
    type: list
    elements: str
    default: []
  backup:
    description:
      - Keeps the file as it was beside it, as C(daemon.json.20260131T235959000000Z.bak). The last five are kept.
    type: bool
    default: true
  validate:
    description:
      - Checks the merged configuration before it is written. A dockerd that can (23.0 and later) checks it itself
        with C(dockerd --validate). Otherwise the changed settings are checked against those that this dockerd, or
        without one any from 20.10 to 29, knows, and against their types.
      - A setting that the running dockerd was also given as a flag is refused in any case, because dockerd then
        does not start again.
    type: bool
    default: true
  allow_restart:
    description:
      - Whether a change that needs a restart may be written while containers that use a GPU run.
      - The roles set it from C(llm_monitor_allow_docker_restart).
    type: bool
    default: false
  docker_socket:
    description:
      - The engine's socket, which is asked for running containers. Asked only when a change needs a restart.
      - When no engine runs there, nothing needs protecting.
    type: path
    default: /var/run/docker.sock
notes:
  - A container counts as using a GPU when it has a device request for one, runs on an NVIDIA runtime with
    C(NVIDIA_VISIBLE_DEVICES) set to anything but V(void) or V(none), was given C(/dev/nvidia*) as a device or mount,
    or names a CDI device C(nvidia.com/gpu=...). A privileged container alone does not count.
  - A reload does not take up that a setting is gone, with few exceptions, so removing one needs a restart. An empty
    list in its place is taken up.
seealso:
  - name: dockerd reference
    description: Every setting, and which of them a reload takes up.
    link: https://docs.docker.com/reference/cli/dockerd/
"""

EXAMPLES = r"""
- name: Images come through the registry's mirror and logs are rotated
  llmops.monitoring.docker_daemon_config:
    settings:
      registry-mirrors:
        - https://mirror.example.com
      log-driver: json-file
      log-opts:
        max-size: 50m
        max-file: "3"
    allow_restart: "{{ llm_monitor_allow_docker_restart }}"
  register: daemon_config

- name: The former registry is no longer trusted without TLS
  llmops.monitoring.docker_daemon_config:
    absent:
      - insecure-registries.registry.example.com:5000

- name: The list of mirrors is exactly this one
  llmops.monitoring.docker_daemon_config:
    lists: replace
    settings:
      registry-mirrors:
        - https://mirror.example.com
"""

RETURN = r"""
path:
  description: The file that was, or would be, written; a symbolic link's target.
  returned: always
  type: str
  sample: /etc/docker/daemon.json
changed_keys:
  description: Dotted names of the settings that differ from before.
  returned: success
  type: list
  elements: str
  sample:
    - log-opts.max-size
    - registry-mirrors
restart_required:
  description: Whether a running engine takes up the change only when it is restarted.
  returned: success
  type: bool
restart_keys:
  description: Those of RV(changed_keys) that need the restart.
  returned: success
  type: list
  elements: str
  sample:
    - log-opts.max-size
reload_sufficient:
  description: Whether there is a change and a reload (C(SIGHUP)) makes a running engine take up all of it.
  returned: success
  type: bool
validated_by:
  description: What checked the configuration, V(dockerd), V(structure) or V(none).
  returned: when something changed
  type: str
  sample: dockerd
backup_file:
  description: The file as it was before.
  returned: when the file was there, has changed and O(backup=true), not in check mode
  type: str
  sample: /etc/docker/daemon.json.20260131T235959000000Z.bak
gpu_containers:
  description:
    - Running containers that use a GPU, with the way they got it. One with the label C(llm-monitor.may-lose-gpus=true),
      as the GPU exporter has it, does not count.
    - Asked for only when the change needs a restart.
  returned: when the change needs a restart
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
"""

import datetime
import os
import re
import shutil
import tempfile
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils._daemon_config import (
    ConfigError,
    changed_keys,
    masked,
    merge,
    parse,
    remove,
    render,
    secrets,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    DockerClient,
    DockerError,
    EngineStopped,
    SocketMissing,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._dockerd import (
    clashing_flags,
    needing_restart,
    running_arguments,
    structure_errors,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._gpu_containers import gpu_containers

BACKUPS_KEPT = 5
DOCKERD_FOLDERS = ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
DEFAULT_PIDFILE = "/var/run/docker.pid"


class DaemonConfig:
    """Brings one daemon.json to what it must hold, or fails before anything is written."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.path: str = os.path.realpath(self.params["path"])
        self.result: dict[str, Any] = {"path": self.path, "changed": False}

    def run(self) -> None:
        before = self._read()
        after = self._wanted(before)
        self.module.no_log_values.update(secrets(before) | secrets(after))
        keys = changed_keys(before, after)
        restart_keys = needing_restart(keys, after)
        self.result.update(
            changed=bool(keys),
            changed_keys=keys,
            restart_keys=restart_keys,
            restart_required=bool(restart_keys),
            reload_sufficient=bool(keys) and not restart_keys,
        )
        if keys:
            self.result["diff"] = self._diff(before, after)
            self._validate(before, after, keys)
            self._protect_gpus(restart_keys)
            if not self.module.check_mode:
                self._write(after)
        self.module.exit_json(**self.result)

    def _fail(self, message: str) -> NoReturn:
        self.result["changed"] = False
        self.module.fail_json(msg=message, **self.result)
        raise AssertionError("fail_json has not ended the module")

    # ------------------------------------------------------------ what is there and what must be

    def _read(self) -> dict[str, Any]:
        try:
            with open(self.path, "rb") as file:
                return parse(file.read())
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._fail(f"{self.path} can't be read: {error.strerror}. Nothing has been written.")
        except ConfigError as error:
            self._fail(
                f"{self.path} is not a configuration that the Docker engine could read: {error}. It is left as it is. "
                "Correct it by hand, or move it away to start from an empty one."
            )

    def _wanted(self, before: dict[str, Any]) -> dict[str, Any]:
        try:
            kept = remove(before, self.params["absent"])
            return merge(kept, self.params["settings"], unite=self.params["lists"] == "union")
        except ConfigError as error:
            self._fail(f"The settings for {self.path} make no sense: {error}.")

    def _diff(self, before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
        there = os.path.exists(self.path)
        return {
            "before_header": self.path,
            "after_header": self.path,
            "before": render(masked(before)) if there else "",
            "after": render(masked(after, before)),
        }

    # ------------------------------------------------------------ checks

    def _validate(self, before: dict[str, Any], after: dict[str, Any], keys: list[str]) -> None:
        top_level = {key.split(".", 1)[0] for key in keys} & set(after)
        arguments = running_arguments(str(before.get("pidfile", DEFAULT_PIDFILE)))
        clashing = clashing_flags(top_level, arguments)
        if clashing:
            self._fail(
                f"The running dockerd was given {', '.join(clashing)} as a flag too, and with a setting in both places "
                f"it does not start again. Take the flag out of the engine's unit (`systemctl cat docker`) or the "
                f"setting out of what is asked for. {self.path} is left as it is."
            )
        if not self.params["validate"]:
            self.result["validated_by"] = "none"
            return
        dockerd = self.module.get_bin_path("dockerd", opt_dirs=DOCKERD_FOLDERS)
        dockerd_help = self._dockerd_help(dockerd) if dockerd else None
        if dockerd and dockerd_help and "--validate" in dockerd_help:
            self.result["validated_by"] = "dockerd"
            self._ask_dockerd(dockerd, after)
            return
        self.result["validated_by"] = "structure"
        errors = structure_errors(after, top_level, dockerd_help)
        if errors:
            self._fail(
                f"The Docker engine would refuse the settings for {self.path}, which is left as it is:\n"
                + "\n".join(f"- {error}" for error in errors)
            )

    def _dockerd_help(self, dockerd: str) -> str | None:
        code, output, _errors = self.module.run_command([dockerd, "--help"])
        return str(output) if code == 0 else None

    def _ask_dockerd(self, dockerd: str, after: dict[str, Any]) -> None:
        staged = self._stage(after)
        code, output, errors = self.module.run_command([dockerd, "--validate", "--config-file", staged])
        if code != 0:
            words = (errors or output).strip().replace(staged, self.path)
            self._fail(f"dockerd refuses the settings for {self.path}, which is left as it is: {words}")

    def _protect_gpus(self, restart_keys: list[str]) -> None:
        if not restart_keys:
            return
        try:
            users = gpu_containers(DockerClient(self.params["docker_socket"]).inspect_containers())
        except (SocketMissing, EngineStopped):
            users = []
        except DockerError as error:
            if not self.params["allow_restart"]:
                self._fail(
                    f"Changing {', '.join(restart_keys)} needs a restart of the Docker engine, and whether a container "
                    f"that uses a GPU runs can't be told: {error} {self.path} is left as it is. "
                    "Mend that first, or set llm_monitor_allow_docker_restart to true if such containers may stop."
                )
            users = []
        self.result["gpu_containers"] = users
        if users and not self.params["allow_restart"]:
            names = ", ".join(f"{user['name']} ({user['gpu']})" for user in users)
            self._fail(
                f"Changing {', '.join(restart_keys)} needs a restart of the Docker engine, which can stop containers "
                f"that use a GPU or cut them off from it, and these are running: {names}. {self.path} is left as it "
                "is. Drain and stop these containers first, or set llm_monitor_allow_docker_restart to true if they "
                "may stop now."
            )

    # ------------------------------------------------------------ writing

    def _stage(self, config: dict[str, Any]) -> str:
        descriptor, staged = tempfile.mkstemp(prefix="daemon.json.", dir=self.module.tmpdir)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(render(config))
        return staged

    def _write(self, after: dict[str, Any]) -> None:
        there = os.path.exists(self.path)
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            if there and self.params["backup"]:
                self.result["backup_file"] = self._back_up()
        except OSError as error:
            self._fail(f"{self.path} can't be written: {error}. It is left as it is.")
        self.module.atomic_move(self._stage(after), self.path)
        if not there:
            self.module.set_mode_if_different(self.path, 0o644, False)

    def _back_up(self) -> str:
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S%fZ")
        backup = f"{self.path}.{moment}.bak"
        status = os.stat(self.path)
        shutil.copy2(self.path, backup)
        os.chown(backup, status.st_uid, status.st_gid)
        for old in self._backups()[:-BACKUPS_KEPT]:
            os.unlink(old)
        return backup

    def _backups(self) -> list[str]:
        folder, name = os.path.split(self.path)
        ours = re.compile(rf"{re.escape(name)}\.\d{{8}}T\d{{12}}Z\.bak")
        return sorted(os.path.join(folder, entry) for entry in os.listdir(folder) if ours.fullmatch(entry))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "settings": {"type": "dict", "default": {}},
            "lists": {"type": "str", "choices": ["union", "replace"], "default": "union"},
            "absent": {"type": "list", "elements": "str", "default": []},
            "backup": {"type": "bool", "default": True},
            "validate": {"type": "bool", "default": True},
            "allow_restart": {"type": "bool", "default": False},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    DaemonConfig(module).run()


if __name__ == "__main__":
    main()
