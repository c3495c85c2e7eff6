#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prometheus_check
short_description: Wait until a Prometheus scrapes, evaluates and answers as expected
version_added: 0.1.0
description:
  - Waits until given targets are up, given rules are loaded and healthy, and assertions in PromQL hold, all at once.
  - Fails with a list of what is not so, one line each, with what was expected, what was found and a hint.
  - Without any expectation, it waits until Prometheus answers.
  - What waiting can't mend, such as refused credentials or a malformed expression, fails at once.
author:
  - The llmops.monitoring authors (@llmops)
extends_documentation_fragment: [llmops.monitoring.reads_only]
attributes:
  platform:
    description: The systems that it runs on.
    platforms: posix
    support: full
options:
  url:
    description:
      - Prometheus' address, seen from the host that runs the task. Behind a reverse proxy, it ends with the path at
        which Prometheus is served.
      - Redirects are not followed, so that no credentials go elsewhere.
    type: str
    required: true
  username:
    description: The user for basic authentication.
    type: str
  password:
    description: The password for basic authentication.
    type: str
  bearer_token:
    description: A token, sent in the header C(Authorization) in place of user and password.
    type: str
  validate_certs:
    description: Whether a certificate must be trusted.
    type: bool
    default: true
  ca_path:
    description: A file with certificates of authorities to trust.
    type: path
  use_proxy:
    description:
      - Whether a proxy in the environment is used. Prometheus is usually nearer than any proxy.
    type: bool
    default: false
  timeout:
    description: How many seconds to wait for everything to be as expected. With V(0), it looks once.
    type: int
    default: 60
  interval:
    description: How many seconds to wait between two looks.
    type: float
    default: 2.0
  targets:
    description: Targets that must be there and up.
    type: list
    elements: dict
    default: []
    suboptions:
      job:
        description: The scrape job's name.
        type: str
        required: true
      instance:
        description: The target's label C(instance). Without it, the job must have a target and all of them be up.
        type: str
  targets_all_up:
    description: Whether every target that Prometheus has must be up, and there must be one.
    type: bool
    default: false
  targets_absent:
    description: Targets that must not be there, such as those of a host that left the inventory.
    type: list
    elements: dict
    default: []
    suboptions:
      job:
        description: The scrape job's name. Without it, any job.
        type: str
      instance:
        description: The target's label C(instance). Without it, any instance.
        type: str
  rules:
    description: Names of rule groups, alerts or recorded series that must be loaded and evaluated without an error.
    type: list
    elements: str
    default: []
  rules_all_ok:
    description: Whether every rule must have been evaluated without an error, and there must be one.
    type: bool
    default: false
  assertions:
    description: What must hold for the results of PromQL expressions.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What holds, in words; it starts the line of a failure.
        type: str
        required: true
      expr:
        description: An expression that gives an instant vector or a scalar.
        type: str
        required: true
      expect:
        description:
          - V(non_empty), V(empty), or a comparison with a number such as V(== 1) or V(>= 3). Quote it in YAML.
          - A comparison must hold for the value of every series, and there must be one. NaN fulfils no comparison.
        type: str
        default: non_empty
"""

EXAMPLES = r"""
- name: Prometheus scrapes every host and evaluates every rule
  llmops.monitoring.prometheus_check:
    url: http://127.0.0.1:23001
    targets:
      - job: prometheus
      - job: node
        instance: gpu01
    targets_all_up: true
    rules_all_ok: true
    timeout: 120

- name: The figures are plausible
  llmops.monitoring.prometheus_check:
    url: http://127.0.0.1:23001
    assertions:
      - name: Every host tells its memory
        expr: llm_monitor_node_memory_total_bytes
        expect: "> 0"
      - name: No rule failed within five minutes
        expr: increase(prometheus_rule_evaluation_failures_total[5m])
        expect: "== 0"
      - name: No host is down
        expr: ALERTS{alertname="HostDown", alertstate="firing"}
        expect: empty

- name: A host that left the inventory is no longer scraped
  llmops.monitoring.prometheus_check:
    url: https://prometheus.example.com
    bearer_token: "{{ prometheus_token }}"
    targets_absent:
      - instance: gpu07
"""

RETURN = r"""
attempts:
  description: How often Prometheus was looked at.
  returned: always
  type: int
  sample: 3
elapsed:
  description: How many seconds that took.
  returned: always
  type: float
  sample: 4.1
problems:
  description: What is not as expected, one line each.
  returned: always
  type: list
  elements: str
  sample: []
targets:
  description: The active targets, as they were at the last look.
  returned: when Prometheus answered
  type: list
  elements: dict
  contains:
    job:
      description: The scrape job's name.
      type: str
      sample: node
    instance:
      description: The target's label C(instance).
      type: str
      sample: gpu01
    health:
      description: V(up), V(down), or V(unknown) before the first scrape.
      type: str
      sample: up
    last_error:
      description: Why the last scrape failed; empty when it did not.
      type: str
      sample: ""
    scrape_url:
      description: Where it is scraped.
      type: str
      sample: http://10.0.0.7:9100/metrics
rules:
  description: How many rules there are, and how they do.
  returned: when Prometheus answered
  type: dict
  contains:
    groups:
      description: The number of groups.
      type: int
      sample: 4
    total:
      description: The number of rules.
      type: int
      sample: 31
    ok:
      description: Those evaluated without an error.
      type: int
      sample: 31
    err:
      description: Those whose evaluation fails.
      type: int
      sample: 0
    unknown:
      description: Those not evaluated yet.
      type: int
      sample: 0
assertions:
  description: The assertions with what they found at the last look.
  returned: when Prometheus answered
  type: list
  elements: dict
  contains:
    name:
      description: The assertion's name.
      type: str
      sample: Every host tells its memory
    ok:
      description: Whether it holds.
      type: bool
      sample: true
    series:
      description: How many series the expression gave.
      type: int
      sample: 1
    result:
      description: The first twenty of these series, with their labels and value.
      type: list
      elements: dict
      sample:
        - labels:
            instance: gpu01
          value: "1"
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils._expectations import (
    assertion_problem,
    expectation,
    rule_problems,
    target_problems,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._prometheus import (
    Access,
    PrometheusClient,
    PrometheusError,
    Rule,
    Sample,
)

REQUEST_TIMEOUT = 10.0
SERIES_RETURNED = 20


class PrometheusCheck:
    """Looks at one Prometheus until it is as expected or the time is over."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.result: dict[str, Any] = {"changed": False, "attempts": 0, "elapsed": 0.0, "problems": []}
        self._start = time.monotonic()

    def run(self) -> None:
        try:
            for assertion in self.params["assertions"]:
                expectation(assertion["expect"])
            client = PrometheusClient(self._access(), REQUEST_TIMEOUT)
            self._wait(client)
        except (PrometheusError, ValueError) as error:
            self.result["problems"] = [str(error)]
            self.module.fail_json(msg=str(error), **self.result)
        if self.result["problems"]:
            waited = f"{self.result['elapsed']:g} s ({self.result['attempts']} looks)"
            lines = "\n".join(f"- {problem}" for problem in self.result["problems"])
            self.module.fail_json(
                msg=f"Prometheus at {self.params['url']} is not as expected after {waited}:\n{lines}", **self.result
            )
        self.module.exit_json(**self.result)

    def _access(self) -> Access:
        options: dict[str, Any] = {name: self.params[name] for name in ("validate_certs", "ca_path", "use_proxy")}
        if self.params["username"]:
            options.update(
                url_username=self.params["username"], url_password=self.params["password"], force_basic_auth=True
            )
        return Access(self.params["url"], self.params["bearer_token"], options)

    def _wait(self, client: PrometheusClient) -> None:
        """Look until nothing is missing; raise the last error if Prometheus could not be looked at in the end."""
        deadline = self._start + self.params["timeout"]
        while True:
            failure: PrometheusError | None = None
            self.result["attempts"] += 1
            try:
                self.result["problems"] = self._look(client)
            except PrometheusError as error:
                failure = error
            self._count_time()
            left = deadline - time.monotonic()
            if (failure is None and not self.result["problems"]) or left <= 0 or (failure and failure.final):
                break
            time.sleep(min(self.params["interval"], left))
        if failure:
            raise failure

    def _count_time(self) -> None:
        self.result["elapsed"] = round(time.monotonic() - self._start, 1)

    def _look(self, client: PrometheusClient) -> list[str]:
        targets = client.targets()
        rules = client.rules()
        self.result.update(targets=[asdict(target) for target in targets], rules=_summary(rules), assertions=[])
        problems = target_problems(
            targets, self.params["targets"], self.params["targets_absent"], self.params["targets_all_up"]
        )
        problems += rule_problems(rules, self.params["rules"], self.params["rules_all_ok"])
        for assertion in self.params["assertions"]:
            try:
                samples = client.query(assertion["expr"])
            except PrometheusError as error:
                raise type(error)(f"{assertion['name']}: {error} Query: {assertion['expr']}") from error
            problem = assertion_problem(assertion, samples)
            self.result["assertions"].append(_outcome(assertion["name"], samples, problem is None))
            problems += [problem] if problem else []
        return problems


def _summary(rules: Sequence[Rule]) -> dict[str, int]:
    health = Counter(rule.health for rule in rules)
    return {
        "groups": len({(rule.file, rule.group) for rule in rules}),
        "total": len(rules),
        **{state: health[state] for state in ("ok", "err", "unknown")},
    }


def _outcome(name: str, samples: Sequence[Sample], ok: bool) -> dict[str, Any]:
    shown = [{"labels": dict(sample.labels), "value": sample.value} for sample in samples[:SERIES_RETURNED]]
    return {"name": name, "ok": ok, "series": len(samples), "result": shown}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "bearer_token": {"type": "str", "no_log": True},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
            "use_proxy": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 60},
            "interval": {"type": "float", "default": 2.0},
            "targets": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"job": {"type": "str", "required": True}, "instance": {"type": "str"}},
            },
            "targets_all_up": {"type": "bool", "default": False},
            "targets_absent": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"job": {"type": "str"}, "instance": {"type": "str"}},
                "required_one_of": [("job", "instance")],
            },
            "rules": {"type": "list", "elements": "str", "default": []},
            "rules_all_ok": {"type": "bool", "default": False},
            "assertions": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "expr": {"type": "str", "required": True},
                    "expect": {"type": "str", "default": "non_empty"},
                },
            },
        },
        required_together=[("username", "password")],
        mutually_exclusive=[("username", "bearer_token")],
        supports_check_mode=True,
    )
    PrometheusCheck(module).run()


if __name__ == "__main__":
    main()
