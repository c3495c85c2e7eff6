# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: exporter_failures
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: What keeps an exporter from reading its source
description:
  - Reads from an exporter's own metrics whether it can read its source, and if it can't, says what went wrong in words.
  - Servers that are asked over HTTP may have failed in more ways since the exporter's start than the one that lasts.
positional: exporter, collectors, servers
options:
  _input:
    description: What the exporter answers at C(/metrics).
    type: str
    required: true
  exporter:
    description: The exporter's name.
    type: str
    required: true
  collectors:
    description: Collectors of which each must have succeeded if it has ended; the exporter has to be up in any case.
    type: list
    elements: str
    default: []
  servers:
    description: The servers that it has to reach, by the names under which it tells of them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Langfuse shows its state to all, but counts only to who has the keys
  ansible.builtin.debug:
    # -> ["it refuses the key (metrics_v2)"]
    msg: "{{ answer.content | llmops.monitoring.exporter_failures('langfuse', ['usage']) }}"

- name: A server that the inventory names has to be there
  ansible.builtin.debug:
    # -> ["llama3-70b: nothing listens there"]
    msg: "{{ answer.content | llmops.monitoring.exporter_failures('vllm', servers=['llama3-70b']) }}"
"""

RETURN = r"""
_value:
  description: What went wrong, a few words each; empty when nothing did.
  type: list
  elements: str
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

# What the values of the label reason mean for who reads them.
WORDS = {
    "connection": "the connection breaks",
    "dns": "its name can't be resolved",
    "encoding": "its answer can't be decoded",
    "not_finite": "some of its values are no numbers",
    "rate_limited": "it wants to be asked less often",
    "redirect": "it redirects to another address",
    "refused": "nothing listens there",
    "status": "it answers with an error",
    "timeout": "it does not answer in time",
    "tls": "its certificate is not trusted, or it does not speak TLS",
    "too_large": "its answer is too large",
    "unauthorized": "it refuses the key",
    "unparsable": "its answer is not what was expected",
}


def exporter_failures(
    metrics: str, exporter: str, collectors: Sequence[str] = (), servers: Sequence[str] = ()
) -> list[str]:
    prefix = f"llm_monitor_{exporter}"
    values = dict(line.rpartition(" ")[::2] for line in metrics.splitlines() if line.startswith(prefix))
    failed = [one for one in collectors if values.get(f'{prefix}_collector_success{{collector="{one}"}}') == "0"]
    if values.get(f"{prefix}_up") != "1" or failed:
        return _whole(values, prefix)
    return [
        f"{name}: {_words(why) or 'it does not answer'}"
        for name in servers
        if values.get(f'{prefix}_up{{container="{name}"}}') == "0"
        for why in [_reasons(values, prefix, "container").get(name, [])]
    ]


def _whole(values: Mapping[str, str], prefix: str) -> list[str]:
    """Return what keeps an exporter from all that it asks."""
    reasons = defaultdict(list)
    for asked, why in _reasons(values, prefix, "endpoint").items():
        for reason in why:
            reasons[reason].append(asked)
    if reasons:
        return [f"{_words([reason])} ({', '.join(asked)})" for reason, asked in reasons.items()]
    up = values.get(f"{prefix}_up")
    return [f"its metrics have {f'{prefix}_up {up}' if up else f'no {prefix}_up yet'}"]


def _reasons(values: Mapping[str, str], prefix: str, label: str) -> dict[str, list[str]]:
    """Return why questions failed, by what `label` says was asked."""
    found = defaultdict(list)
    for series in values:
        match = re.match(rf'{prefix}_upstream_errors_total{{{label}="([^"]+)",reason="([^"]+)"}}', series)
        if match:
            found[match[1]].append(match[2])
    return found


def _words(reasons: Sequence[str]) -> str:
    return ", ".join(WORDS.get(reason, reason) for reason in reasons)


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"exporter_failures": exporter_failures}
