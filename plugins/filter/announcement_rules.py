# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: announcement_rules
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Prometheus rules that tell of announcements
description:
  - Turns announcements to the people who use the models into recording rules. C(llm_monitor_announcement_info) is 1
    from the start of an announcement to its end. C(llm_monitor_announcement_start_timestamp_seconds) and, if it has an
    end, C(llm_monitor_announcement_end_timestamp_seconds) are there before and after too, as long as it is listed.
  - All carry the labels C(id), C(kind), C(title) and, if there is one, C(text); one series for each model, with the
    label C(model), or a single one without that label where no models are named.
  - The rules are valid in Prometheus 2.42 and later.
options:
  _input:
    description: The announcements, as C(llm_monitor_announcements) has them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: What will Prometheus tell?
  ansible.builtin.debug:
    msg: "{{ llm_monitor_announcements | llmops.monitoring.announcement_rules | to_nice_yaml }}"
"""

RETURN = r"""
_value:
  description: The content of a file of rules, with no groups where nothing is announced.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmops.monitoring.plugins.module_utils._announcements import Announcement, announcements

_PREFIX = "llm_monitor_announcement"


def _rules_of(one: Announcement) -> list[dict[str, Any]]:
    words = {"id": one.id, "kind": one.kind, "title": one.title, "text": one.text}
    start = int(one.start.timestamp())
    active = f"vector(1) and vector(time()) >= {start}"
    told = [(f"{_PREFIX}_start_timestamp_seconds", f"vector({start})")]
    if one.end:
        end = int(one.end.timestamp())
        active += f" and vector(time()) < {end}"
        told.append((f"{_PREFIX}_end_timestamp_seconds", f"vector({end})"))
    told.insert(0, (f"{_PREFIX}_info", active))
    # An empty label is none to Prometheus, and promtool wants to see that.
    labels = [{name: text for name, text in {**words, "model": model}.items() if text} for model in one.models or ("",)]
    return [{"record": name, "expr": expr, "labels": dict(its)} for its in labels for name, expr in told]


def announcement_rules(value: Any) -> dict[str, Any]:
    """Return a file of recording rules; raise AnsibleFilterError with all that is wrong."""
    try:
        found = announcements(value)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    rules = [rule for one in found for rule in _rules_of(one)]
    return {"groups": [{"name": "announcements", "rules": rules}] if rules else []}


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"announcement_rules": announcement_rules}
