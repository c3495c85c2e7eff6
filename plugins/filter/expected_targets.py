# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: expected_targets
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: What Prometheus must scrape, from its target groups
description:
  - Turns the target groups of P(llmops.monitoring.exporter_targets#filter) into what
    M(llmops.monitoring.prometheus_check) takes as O(llmops.monitoring.prometheus_check#module:targets).
options:
  _input:
    description: For each job, a list of dictionaries with C(targets) and C(labels).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Every target is up
  llmops.monitoring.prometheus_check:
    url: http://127.0.0.1:23001/
    targets: "{{ prometheus_exporter_targets | llmops.monitoring.expected_targets }}"
"""

RETURN = r"""
_value:
  description: Dictionaries with C(job) and C(instance).
  type: list
  elements: dict
"""


def expected_targets(groups_of_jobs: dict[str, list[dict[str, dict[str, str]]]]) -> list[dict[str, str]]:
    return [
        {"job": job, "instance": group["labels"]["instance"]}
        for job, groups in groups_of_jobs.items()
        for group in groups
    ]


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"expected_targets": expected_targets}
