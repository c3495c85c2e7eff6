#!/usr/bin/python
# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_dashboards_check
short_description: Wait until a Grafana has its dashboards and can fill every panel
version_added: 0.1.0
description:
  - Waits until Grafana has every dashboard of a folder as the folder has it, and until given data sources answer.
  - Then asks what every panel asks, with the dashboard's variables filled in as somebody sees it who opens it, and
    fails with a list of what Grafana or a data source refuses, in their own words. A query that fails is asked again
    until the time is over.
  - Panels that come up empty are no failure, for a new server has nothing to show yet; they are returned.
  - Panels within rows are asked too. Of what is repeated for each value of a variable, the first is asked.
author:
  - The llmops.monitoring authors (@llmops)
extends_documentation_fragment: [llmops.monitoring.reads_only, llmops.monitoring.grafana_access]
attributes:
  platform:
    description: The systems that it runs on.
    platforms: posix
    support: full
options:
  folder:
    description:
      - The folder on the host that runs the task from which Grafana takes its dashboards, as files
        C(<folder>/<name>.json).
    type: path
    required: true
  data_sources:
    description: The C(uid) of each data source that must be there and answer.
    type: list
    elements: str
    default: []
  queries:
    description: Whether the panels' queries are asked.
    type: bool
    default: true
  timeout:
    description: How many seconds to wait for everything to be as expected. With V(0), it looks once.
    type: int
    default: 60
  interval:
    description: How many seconds to wait between two looks.
    type: float
    default: 2.0
  request_timeout:
    description: How many seconds an answer of Grafana may take.
    type: int
    default: 30
  workers:
    description: How many questions are asked at the same time.
    type: int
    default: 4
"""

EXAMPLES = r"""
- name: Every dashboard is in Grafana and every panel's query runs
  llmops.monitoring.grafana_dashboards_check:
    url: http://127.0.0.1:23000
    username: admin
    password: "{{ grafana_password }}"
    folder: /opt/llm-monitor/grafana/dashboards
    data_sources: [llm-monitor-prometheus, llm-monitor-loki]
    timeout: 120
  register: dashboards

- name: Panels without data are shown
  ansible.builtin.debug:
    msg: "{{ dashboards.empty }}"
"""

RETURN = r"""
attempts:
  description: How often Grafana was looked at.
  returned: always
  type: int
  sample: 2
elapsed:
  description: How many seconds that took.
  returned: always
  type: float
  sample: 6.2
problems:
  description: What is not as expected, one line each.
  returned: always
  type: list
  elements: str
  sample: []
missing:
  description: The C(uid) of each dashboard that Grafana does not have.
  returned: always
  type: list
  elements: str
  sample: []
changed_dashboards:
  description: The C(uid) of each dashboard that Grafana has otherwise than the folder.
  returned: always
  type: list
  elements: str
  sample: []
dashboards:
  description: How many dashboards the folder has.
  returned: always
  type: int
  sample: 12
panels:
  description: How many panels were asked, those of annotations among them.
  returned: always
  type: int
  sample: 214
failed_queries:
  description: The queries that Grafana or a data source refused.
  returned: always
  type: list
  elements: dict
  contains:
    dashboard:
      description: The dashboard's C(uid).
      type: str
      sample: gpu-usage
    panel:
      description: The panel's title.
      type: str
      sample: Power
    query:
      description: The query as it was sent.
      type: str
      sample: sum(llm_monitor_gpu_power_watts{instance=~".+")
    error:
      description: What was said to it.
      type: str
      sample: "bad_data: invalid parameter \"query\": 1:47: parse error: unexpected right parenthesis ')'"
empty:
  description: The panels of which no query gave a value.
  returned: always
  type: list
  elements: dict
  contains:
    dashboard:
      description: The dashboard's C(uid).
      type: str
      sample: gpu-usage
    panel:
      description: The panel's title.
      type: str
      sample: XID errors
    query:
      description: Its first query as it was sent.
      type: str
      sample: increase(llm_monitor_gpu_xid_errors_total[24h])
    reason:
      description: Why it was not sent, such as a data source that is switched off; empty when it was.
      type: str
      sample: ""
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmops.monitoring.plugins.module_utils import _dashboards
from ansible_collections.llmops.monitoring.plugins.module_utils._dashboard_queries import Asker, Outcome
from ansible_collections.llmops.monitoring.plugins.module_utils._dashboards import Dashboard, DashboardError, Panel
from ansible_collections.llmops.monitoring.plugins.module_utils._grafana import (
    ARGUMENTS,
    RULES,
    FinalError,
    GrafanaClient,
    GrafanaError,
)

LINES = 20
_T = TypeVar("_T")
_R = TypeVar("_R")


class DashboardsCheck:
    """Looks at one Grafana until it is as expected or the time is over."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.client = GrafanaClient(module.params, module.params["request_timeout"])
        self.dashboards = _dashboards.load(module.params["folder"])
        self.sources: list[dict[str, Any]] = []
        self.outcomes: dict[tuple[int, int], list[Outcome]] = {}
        self.result: dict[str, Any] = {
            "changed": False,
            "attempts": 0,
            "missing": [],
            "changed_dashboards": [],
            "dashboards": len(self.dashboards),
        }

    def run(self) -> dict[str, Any]:
        """Return what was found; GrafanaError when Grafana could not be looked at in the end."""
        start = time.monotonic()
        deadline = start + self.params["timeout"]
        failure: GrafanaError | None = None
        while True:
            failure = self._looked()
            left = deadline - time.monotonic()
            if (failure is None and not self.result["problems"]) or left <= 0 or (failure and failure.final):
                break
            time.sleep(min(self.params["interval"], left))
        self.result["elapsed"] = round(time.monotonic() - start, 1)
        if failure:
            raise failure
        return self.result

    def _looked(self) -> GrafanaError | None:
        self.result["attempts"] += 1
        try:
            with ThreadPoolExecutor(max_workers=max(1, self.params["workers"])) as pool:
                problems = [*self._of_sources(), *self._of_dashboards(pool)]
                # Queries are asked once everything else is there, for without it they can only fail.
                if self.params["queries"] and not any(problems):
                    self._ask(pool)
            self._tell([problem for problem in problems if problem])
        except GrafanaError as error:
            self._tell([str(error)])
            return error
        return None

    def _tell(self, problems: list[str]) -> None:
        found = [outcome for outcomes in self.outcomes.values() for outcome in outcomes]
        failed = [outcome for outcome in found if outcome.error]
        problems += [
            f"{outcome.dashboard}, panel {outcome.panel}: {outcome.error} Query: {outcome.query}" for outcome in failed
        ]
        self.result.update(
            problems=problems,
            panels=len(self.outcomes),
            failed_queries=[_shown(outcome, "error") for outcome in failed],
            empty=[
                _shown(outcomes[0], "reason")
                for outcomes in self.outcomes.values()
                if _is_empty(outcomes) and not outcomes[0].panel.startswith("annotation ")
            ],
        )

    # ------------------------------------------------------------ what must be there

    def _of_sources(self) -> list[str]:
        answer = self.client.get("datasources")
        if not isinstance(answer, list) or not all(isinstance(source, dict) for source in answer):
            raise GrafanaError(f"What answers at {self.client.url} is no Grafana: its list of data sources is none.")
        self.sources = answer
        return [self._of_source(uid) for uid in self.params["data_sources"]]

    def _of_source(self, uid: str) -> str:
        source = next((source for source in self.sources if source.get("uid") == uid), None)
        if source is None:
            there = _dashboards.listed(sorted(str(source.get("uid")) for source in self.sources)) or "none"
            return f"data source {uid}: Grafana does not have it. It has {there}; its log says what it refused."
        try:
            if source.get("type") == "alertmanager":
                # Grafana can't test this one by itself.
                self.client.get("datasources", "proxy", "uid", uid, "api", "v2", "status")
            else:
                self.client.get("datasources", "uid", uid, "health")
        except FinalError:
            raise
        except GrafanaError as error:
            return f"data source {uid} ({source.get('url')}) does not answer: {error}"
        return ""

    def _of_dashboards(self, pool: ThreadPoolExecutor) -> list[str]:
        compared = _each(pool, self._compared, self.dashboards)
        for kind in ("missing", "changed_dashboards"):
            self.result[kind] = [
                dashboard.uid for dashboard, found in zip(self.dashboards, compared) if found[1] == kind
            ]
        return [problem for problem, _kind in compared]

    def _compared(self, dashboard: Dashboard) -> tuple[str, str]:
        """Return what is wrong with a dashboard, and in which list of the result it is named."""
        told = f"dashboard {dashboard.uid} ({dashboard.path})"
        try:
            answer = self.client.get("dashboards", "uid", dashboard.uid)
        except GrafanaError as error:
            if error.status != 404:
                raise
            return f"{told}: Grafana does not have it. Its log says why it did not take the file.", "missing"
        if not isinstance(answer, dict):
            raise GrafanaError(f"What answers at {self.client.url} is no Grafana: a dashboard of it is none.")
        if not _dashboards.mapping(answer.get("meta")).get("provisioned"):
            where = "Grafana has another one of this uid, which somebody made by hand. Give that one another uid."
            return f"{told}: {where}", "changed_dashboards"
        where = _dashboards.difference(dashboard.body, answer.get("dashboard"))
        return (f"{told}: Grafana has another version of it: {where}.", "changed_dashboards") if where else ("", "")

    # ------------------------------------------------------------ what must be answered

    def _ask(self, pool: ThreadPoolExecutor) -> None:
        """Ask all panels at the first look, and at later ones those that failed."""
        now = time.time()
        again = [place for place, outcomes in self.outcomes.items() if any(outcome.error for outcome in outcomes)]
        places = again or [
            (number, index)
            for number, dashboard in enumerate(self.dashboards)
            for index in range(len(dashboard.panels))
        ]
        askers = {
            number: Asker(self.client, self.sources, self.dashboards[number], now)
            for number in sorted({number for number, _index in places})
        }
        _each(pool, Asker.fill, askers.values())

        def ask(place: tuple[int, int]) -> list[Outcome]:
            panel: Panel = self.dashboards[place[0]].panels[place[1]]
            return askers[place[0]].ask(panel)

        for place, outcomes in zip(places, _each(pool, ask, places)):
            self.outcomes[place] = outcomes


def _each(pool: ThreadPoolExecutor, work: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    return list(pool.map(work, items))


def _is_empty(outcomes: list[Outcome]) -> bool:
    return bool(outcomes) and not any(outcome.values or outcome.error for outcome in outcomes)


def _shown(outcome: Outcome, detail: str) -> dict[str, str]:
    return {name: getattr(outcome, name) for name in ("dashboard", "panel", "query", detail)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **{name: dict(option) for name, option in ARGUMENTS.items()},
            "folder": {"type": "path", "required": True},
            "data_sources": {"type": "list", "elements": "str", "default": []},
            "queries": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 60},
            "interval": {"type": "float", "default": 2.0},
            "request_timeout": {"type": "int", "default": 30},
            "workers": {"type": "int", "default": 4},
        },
        supports_check_mode=True,
        **RULES,
    )
    try:
        check = DashboardsCheck(module)
    except (GrafanaError, DashboardError) as error:
        module.fail_json(msg=str(error))
    try:
        result = check.run()
    except GrafanaError as error:
        module.fail_json(msg=str(error), **check.result)
    if result["problems"]:
        lines = "\n".join(f"- {problem}" for problem in result["problems"][:LINES])
        more = len(result["problems"]) - LINES
        rest = f"\n- and {more} more" if more > 0 else ""
        waited = f"{result['elapsed']:g} s ({result['attempts']} looks)"
        module.fail_json(
            msg=f"Grafana at {module.params['url']} is not as expected after {waited}:\n{lines}{rest}", **result
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
