#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: service_folder
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: One service's folder and secrets are on a host, checked before they replace what runs
description:
  - Renders every file of a service's templates on the controller, brings them to a staging folder on the host, runs the
    service's own checkers over it in one-shot containers of the service's pinned image, and only when all pass puts the
    files in place, one by one. A configuration that fails its check changes nothing.
  - The folder is replaced file by file because a running container has it bind-mounted. Files in it that the templates
    no longer bring are removed.
  - Nothing is checked when nothing differs.
  - Tells in RV(action) what the running service needs. This is judged against the state that was last seen ready
    (M(llmops.monitoring.service_snapshot)), not against what was there before the task. So a rollout that was
    interrupted after the files were in place is made good by the next one.
  - C(compose.yaml.j2) is rendered last and sees C(service_config_hash), a sha256 over the other files and the
    secrets. A service that can't reload puts it into a label, so that Compose recreates it.
attributes:
  check_mode:
    description:
      - Shows what would change. The checkers run over a temporary folder when the engine answers and holds the image;
        otherwise a warning says that the configuration was not checked.
    support: full
  diff_mode:
    description: Shows each file before and after. Of secrets only the names are shown.
    support: full
options:
  name:
    description: The service's name, which is also the name of its folder.
    type: str
    required: true
  dir:
    description: The folder that holds all services' folders (C(llm_monitor_dir)).
    type: path
    default: /opt/llm-monitor
  state:
    description:
      - With V(absent), the folder, the secrets and the copy of the last good state are removed. Volumes stay.
    type: str
    choices: [present, absent]
    default: present
  src:
    description:
      - The folder on the controller that holds the service's templates. Files that end in C(.j2) are rendered with the
        task's variables and lose that ending, others are copied as they are.
      - The default is the folder C(templates/<name>) of the collection. A relative path is searched as
        M(ansible.builtin.template) does.
    type: str
  files:
    description: More files, as path inside the folder → content. One of the same path replaces that of O(src).
    type: dict
    default: {}
  secrets:
    description:
      - File name → content, below C(<dir>/secrets/<name>/), for the container's C(/run/secrets). That folder (0700)
        is always there, so that it can always be mounted; its files have mode 0600.
    type: dict
    default: {}
  secrets_owner:
    description:
      - Numeric C(uid) or C(uid:gid) that the container runs as and that owns the secrets; if empty, who runs the task.
    type: str
  mount:
    description: Where the container, and so the checker, sees the folder, such as C(/etc/prometheus).
    type: path
    default: /config
  checks:
    description: Checkers to run over a changed folder; each must end with 0. They get no network and no capabilities.
    type: list
    elements: dict
    default: []
    suboptions:
      image:
        description: The image, which must be on the host already.
        type: str
        required: true
      command:
        description: The arguments.
        type: list
        elements: str
        default: []
      entrypoint:
        description: The program, when it isn't the image's own entry point.
        type: list
        elements: str
      user:
        description: The user (numeric C(uid) or C(uid:gid)); by default the image's own.
        type: str
      timeout:
        description: Seconds after which the checker is stopped and counts as failed.
        type: int
        default: 60
  reload:
    description: Whether the service reads its files and secrets again on SIGHUP.
    type: bool
    default: false
  socket_path:
    description: The Docker engine's socket.
    type: path
    default: /var/run/docker.sock
seealso:
  - module: llmops.monitoring.service_snapshot
  - module: llmops.monitoring.service_signal
"""

EXAMPLES = r"""
- name: Prometheus' folder is in place
  llmops.monitoring.service_folder:
    name: prometheus
    dir: "{{ llm_monitor_dir }}"
    files:
      rules/own.yml: "{{ own_rules | to_nice_yaml }}"
    secrets:
      exporter_token: "{{ llm_monitor_exporter_token }}"
    secrets_owner: "65534:65534"
    mount: /etc/prometheus
    checks:
      - image: "{{ llm_monitor_images.prometheus }}"
        entrypoint: [/bin/promtool]
        command: [check, config, /etc/prometheus/prometheus.yml]
    reload: true
  register: prometheus_folder

- name: Alertmanager is switched off
  llmops.monitoring.service_folder:
    name: alertmanager
    state: absent
"""

RETURN = r"""
action:
  description:
    - What the running service needs to get from its last good state to what is in place now. V(recreate) when there is
      no last good state or C(compose.yaml) differs, V(reload) or V(recreate) when other files or secrets differ,
      V(none) when nothing does.
  returned: success
  type: str
  sample: reload
changed_files:
  description: Paths below O(dir) that differ from what was there, secrets among them.
  returned: success
  type: list
  elements: str
  sample: [prometheus/prometheus.yml, secrets/prometheus/exporter_token]
checked:
  description: Whether the checkers ran, and so have passed.
  returned: success
  type: bool
  sample: true
not_checked:
  description: Why the checkers did not run although the configuration would change. Only in check mode.
  returned: when so
  type: str
check_output:
  description: What the failed checkers said.
  returned: when one failed
  type: list
  elements: str
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import (
    _service_check,
    _service_files,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._docker import (
    DockerClient,
    DockerError,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._service_folder import (
    Contents,
    FolderError,
    Paths,
    State,
    changes,
    check_path,
    diff_of,
    needed_action,
)

_OWNER = re.compile(r"(\d+)(?::(\d+))?")


class Rejected(Exception):
    """A checker did not accept the new configuration."""

    def __init__(self, said: list[str]) -> None:
        super().__init__("\n\n".join(said))
        self.said = said


class ServiceFolder:
    """One service on this host, as the task wants it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.paths = Paths(self.params["dir"], self.params["name"])
        self.secrets_policy = _owner_policy(self.params["secrets_owner"])

    def present(self) -> dict[str, Any]:
        before = _service_files.read_state(self.paths)
        after = State(_contents(self.params["files"], "file"), _contents(self.params["secrets"], "secret"))
        in_order = _service_files.is_in_order(self.paths, after, self.secrets_policy)
        leftover = _service_files.exists(self.paths.staging)
        result = self._result(before, after)
        result["changed"] = leftover or not in_order
        last_good = _service_files.read_state(self.paths.last_good)
        result["action"] = needed_action(last_good, after, self.params["reload"])
        if self.module.check_mode:
            if result["changed_files"]:
                self._try_check(after, result)
        elif not in_order:
            result["checked"] = self._apply(after, must_check=bool(result["changed_files"]))
        elif leftover:
            _service_files.remove(self.paths.staging)
        return result

    def absent(self) -> dict[str, Any]:
        places = [place for place in self._places() if _service_files.exists(place)]
        result = self._result(_service_files.read_state(self.paths), State({}, {}))
        result.update(changed=bool(places), action="none")
        if not self.module.check_mode:
            for place in places:
                _service_files.remove(place)
        return result

    def _places(self) -> list[Paths]:
        return [self.paths.staging, self.paths.last_good, self.paths]

    def _result(self, before: State, after: State) -> dict[str, Any]:
        result: dict[str, Any] = {
            "checked": False,
            "changed_files": [
                *(f"{self.paths.name}/{change.path}" for change in changes(before.files, after.files)),
                *(f"secrets/{self.paths.name}/{change.path}" for change in changes(before.secrets, after.secrets)),
            ],
            # The whole rendered configuration would otherwise be printed with -vvv.
            "invocation": {"module_args": {"name": self.paths.name, "dir": self.paths.base}},
        }
        if self.module._diff:
            result["diff"] = diff_of(self.paths, before, after)
        return result

    def _apply(self, wanted: State, must_check: bool) -> bool:
        """Stage, check, put in place; return whether checkers ran."""
        staging = self.paths.staging
        try:
            _service_files.stage(staging, wanted, self.secrets_policy)
            checked = must_check and self._check(staging, wanted.files)
            _service_files.put_in_place(staging, self.paths, wanted, self.secrets_policy)
        finally:
            _service_files.remove(staging)
        return checked

    def _try_check(self, wanted: State, result: dict[str, Any]) -> None:
        """Run the checkers over a temporary folder if they can run here now; else say why not."""
        if not self.params["checks"]:
            return
        staging = Paths(os.path.join(self.module.tmpdir, "llm-monitor"), self.paths.name)
        try:
            _service_files.stage(staging, wanted, self.secrets_policy)
            result["checked"] = self._check(staging, wanted.files)
        except (DockerError, PermissionError) as error:
            result["not_checked"] = str(error)
            self.module.warn(f"The new configuration of {self.paths.name} was not checked: {error}")
        finally:
            _service_files.remove(staging)

    def _check(self, staging: Paths, files: Contents) -> bool:
        if not self.params["checks"]:
            return False
        client = DockerClient(self.params["socket_path"])
        said = _service_check.failures(client, self.params["checks"], staging, self.params["mount"], files)
        if said:
            raise Rejected(said)
        return True


def _owner_policy(owner: str | None) -> _service_files.Policy:
    if not owner:
        return _service_files.secrets_policy(None, None)
    match = _OWNER.fullmatch(owner)
    if not match:
        raise FolderError(f"secrets_owner is {owner!r}; it must be a numeric uid or uid:gid, such as '65534:65534'.")
    uid, gid = match.groups()
    return _service_files.secrets_policy(int(uid), None if gid is None else int(gid))


def _contents(given: Mapping[str, Any], kind: str) -> Contents:
    found = {}
    for path, content in given.items():
        if not isinstance(content, str):
            raise FolderError(
                f"The content of the {kind} {path!r} must be text, not {type(content).__name__}. "
                "Quote it, or end its expression with a filter such as string or to_nice_json."
            )
        found[check_path(path)] = content.encode("utf-8", errors="surrogateescape")
    return found


def _argument_spec() -> dict[str, Any]:
    check = {
        "image": {"type": "str", "required": True},
        "command": {"type": "list", "elements": "str", "default": []},
        "entrypoint": {"type": "list", "elements": "str"},
        "user": {"type": "str"},
        "timeout": {"type": "int", "default": 60},
    }
    return {
        "name": {"type": "str", "required": True},
        "dir": {"type": "path", "default": "/opt/llm-monitor"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "src": {"type": "str"},
        "files": {"type": "dict", "default": {}},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "secrets_owner": {"type": "str", "no_log": False},
        "mount": {"type": "path", "default": "/config"},
        "checks": {"type": "list", "elements": "dict", "default": [], "options": check},
        "reload": {"type": "bool", "default": False},
        "socket_path": {"type": "path", "default": "/var/run/docker.sock"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=_argument_spec(), supports_check_mode=True)
    name = module.params["name"]
    try:
        service = ServiceFolder(module)
        result = service.present() if module.params["state"] == "present" else service.absent()
    except Rejected as error:
        module.fail_json(
            msg=f"The new configuration of {name} did not pass its check, so {name} keeps the one it has.\n{error}",
            check_output=error.said,
            invocation={"module_args": {"name": name}},
        )
    except DockerError as error:
        module.fail_json(
            msg=f"The new configuration of {name} could not be checked, so it was not put in place: {error}"
        )
    except FolderError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"The folder of {name} can't be put in order: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
