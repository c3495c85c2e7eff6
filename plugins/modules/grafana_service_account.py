#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_service_account
short_description: A program has an account in Grafana, and a token
version_added: 0.1.0
description:
  - Makes, changes or removes a service account of Grafana, and issues a token for it.
  - Grafana tells a token once, when it is made. It is kept in O(token_file), and a new one is issued only when Grafana
    no longer takes that one, because it was removed, has expired or belongs to another Grafana.
  - Of the account's tokens only the one with the name O(token_name) is ever replaced.
author:
  - The llmops.monitoring authors (@llmops)
extends_documentation_fragment: [llmops.monitoring.grafana_access]
attributes:
  check_mode:
    description: Tells what would change. No token is issued.
    support: full
  diff_mode:
    description: Shows the account before and after. Of tokens only the names are shown.
    support: full
  platform:
    description: The systems that it runs on.
    platforms: posix
    support: full
options:
  name:
    description: The account's name.
    type: str
    required: true
  role:
    description: Its role in the organization to which the user belongs.
    type: str
    choices: ["None", Viewer, Editor, Admin]
    default: Viewer
  disabled:
    description: Whether its tokens are refused.
    type: bool
    default: false
  state:
    description: Whether it shall be there. With V(absent) its tokens go too.
    type: str
    choices: [present, absent]
    default: present
  token_file:
    description:
      - Where the account's token is kept on the machine that runs Ansible, an absolute path. The file has mode 0600.
        With O(state=absent) it is removed. Without it, the account's tokens are left as they are.
    type: path
  token_name:
    description: The name of this token in Grafana.
    type: str
    default: llm-monitor
  token:
    description: The token that is kept, which is read from O(token_file). It is not for tasks to set.
    type: str
  timeout:
    description: How many seconds an answer of Grafana may take.
    type: int
    default: 10
seealso:
  - module: llmops.monitoring.grafana_dashboards_check
"""

EXAMPLES = r"""
- name: A program may read dashboards
  llmops.monitoring.grafana_service_account:
    url: http://127.0.0.1:23000
    username: admin
    password: "{{ grafana_password }}"
    name: reports
    token_file: "{{ llm_monitor_generated_secrets }}/grafana_reports"

- name: A program that is gone has no account
  llmops.monitoring.grafana_service_account:
    url: http://127.0.0.1:23000
    username: admin
    password: "{{ grafana_password }}"
    name: reports
    state: absent
    token_file: "{{ llm_monitor_generated_secrets }}/grafana_reports"
"""

RETURN = r"""
account:
  description: The account as it is now.
  returned: when it is there
  type: dict
  contains:
    id:
      description: Its number, V(null) where check mode would make it.
      type: int
      sample: 3
    name:
      description: Its name.
      type: str
      sample: reports
    role:
      description: Its role.
      type: str
      sample: Viewer
    disabled:
      description: Whether its tokens are refused.
      type: bool
      sample: false
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils._grafana import (
    ARGUMENTS,
    RULES,
    GrafanaClient,
    GrafanaError,
)

PAGE = 100


class Unexpected(Exception):
    """Grafana answered with something that is no account or token."""


class ServiceAccount:
    """One account of one Grafana, as the task wants it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.client = GrafanaClient(module.params, module.params["timeout"])
        self.result: dict[str, Any] = {"changed": False}

    def run(self) -> dict[str, Any]:
        found = self._find()
        if self.params["state"] == "absent":
            self._remove(found)
        else:
            self._keep(found)
        return self.result

    def _find(self) -> dict[str, Any] | None:
        """Return the account of exactly this name; Grafana's own search also finds similar ones."""
        page, seen = 1, 0
        while True:
            answer = self.client.get("serviceaccounts", "search", query=self.params["name"], perpage=PAGE, page=page)
            accounts = _entries(answer.get("serviceAccounts") if isinstance(answer, dict) else None)
            for account in accounts:
                if account.get("name") == self.params["name"]:
                    return account
            page, seen = page + 1, seen + len(accounts)
            total = answer.get("totalCount")
            if not accounts or not isinstance(total, int) or seen >= total:
                return None

    def _remove(self, found: dict[str, Any] | None) -> None:
        if found is None:
            return
        self._changes(_shown(found), {})
        if not self.module.check_mode:
            self.client.ask("DELETE", ("serviceaccounts", found["id"]))

    def _keep(self, found: dict[str, Any] | None) -> None:
        wanted = {"name": self.params["name"], "role": self.params["role"], "disabled": self.params["disabled"]}
        before = {} if found is None else _shown(found)
        after = dict(wanted)
        tokens = self._tokens(found)
        needs_token = self._needs_token(found, tokens)
        if needs_token:
            after["new token"] = self.params["token_name"]
        account = found
        if before != wanted and not self.module.check_mode:
            account = self._write(found, wanted)
        if before != after:
            self._changes(before, after)
        self.result["account"] = {"id": account["id"] if account else None, **wanted}
        if needs_token and account and not self.module.check_mode:
            self.result["token"] = self._issue(account, tokens)

    def _write(self, found: dict[str, Any] | None, wanted: dict[str, Any]) -> dict[str, Any]:
        body = {"name": wanted["name"], "role": wanted["role"], "isDisabled": wanted["disabled"]}
        if found is not None:
            self.client.ask("PATCH", ("serviceaccounts", found["id"]), body)
            return found
        made = self.client.ask("POST", ("serviceaccounts",), body)
        if not isinstance(made, dict) or not isinstance(made.get("id"), int):
            raise Unexpected(f"Grafana made the account {wanted['name']} but does not tell its number.")
        return made

    def _tokens(self, found: dict[str, Any] | None) -> list[dict[str, Any]]:
        if found is None or self.params["token"] is None:
            return []
        return _entries(self.client.get("serviceaccounts", found["id"], "tokens"))

    def _needs_token(self, found: dict[str, Any] | None, tokens: list[dict[str, Any]]) -> bool:
        """Tell whether the token that is kept is no longer one of the account's that Grafana takes.

        Without a file to keep one in, the token is None. The tokens of an account that is disabled can't be tried:
        there the name has to do.
        """
        if self.params["token"] is None:
            return False
        usable = [token for token in tokens if token.get("name") == self.params["token_name"] and _is_usable(token)]
        if not usable or not self.params["token"]:
            return True
        if found is None or found.get("isDisabled"):
            return False
        tried = {**self.params, "username": None, "password": None, "api_token": self.params["token"]}
        try:
            GrafanaClient(tried, self.params["timeout"]).get("search", limit=1)
        except GrafanaError as error:
            if error.status == 401:
                return True
            raise
        return False

    def _issue(self, account: dict[str, Any], tokens: list[dict[str, Any]]) -> str:
        name = self.params["token_name"]
        for token in tokens:
            if token.get("name") == name:
                self.client.ask("DELETE", ("serviceaccounts", account["id"], "tokens", token["id"]))
        made = self.client.ask("POST", ("serviceaccounts", account["id"], "tokens"), {"name": name})
        key = made.get("key") if isinstance(made, dict) else None
        if not isinstance(key, str) or not key:
            raise Unexpected(f"Grafana made the token {name} but does not tell it. Run the task again for another one.")
        return key

    def _changes(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        self.result["changed"] = True
        if self.module._diff:
            self.result["diff"] = {"before": before, "after": after}


def _entries(listed: Any) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or not all(isinstance(entry, dict) and "id" in entry for entry in listed):
        raise Unexpected("What answers is no Grafana: its list of accounts or tokens is none. Correct the url.")
    return listed


def _shown(account: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": account.get("name"),
        "role": account.get("role"),
        "disabled": bool(account.get("isDisabled")),
    }


def _is_usable(token: dict[str, Any]) -> bool:
    return not token.get("hasExpired") and not token.get("isRevoked")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **{name: dict(option) for name, option in ARGUMENTS.items()},
            "name": {"type": "str", "required": True},
            "role": {"type": "str", "choices": ["None", "Viewer", "Editor", "Admin"], "default": "Viewer"},
            "disabled": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "token_file": {"type": "path", "no_log": False},
            "token_name": {"type": "str", "default": "llm-monitor", "no_log": False},
            "token": {"type": "str", "no_log": True},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
        **RULES,
    )
    try:
        result = ServiceAccount(module).run()
    except (GrafanaError, Unexpected) as error:
        module.fail_json(msg=f"The account {module.params['name']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
