# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the inventory may say about models and their cost: objectives, targets, prices, and what must run.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

# The bounds of vLLM's vllm:time_to_first_token_seconds between which a target makes sense. With another one, nobody
# could tell which answers were in time.
TTFT_TARGETS = (0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)


def _number(value: Any) -> float | None:
    """Return the number that a value is, or that Jinja made text of."""
    try:
        number = None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if number is not None and math.isfinite(number) else None


def is_objective(value: Any) -> bool:
    number = _number(value)
    return number is not None and 0 < number < 1


def is_ttft_target(value: Any) -> bool:
    return _number(value) in TTFT_TARGETS


def is_amount(value: Any) -> bool:
    number = _number(value)
    return number is not None and number >= 0


def is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def each(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a test of mappings whose keys are names and whose values pass the given one."""

    def accepts_mapping(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            isinstance(key, str) and key and accepts(one) for key, one in value.items()
        )

    return accepts_mapping


_TARGETS = ", ".join(f"{target:g}" for target in TTFT_TARGETS)

# (end of the name, type in the spec) → what is allowed, in words and as a test, as in _settings_rules.RULES.
RULES: Mapping[tuple[str, str], tuple[str, Callable[[Any], bool]]] = {
    ("_objective", "float"): ("a share above 0 and below 1, such as 0.99", is_objective),
    ("_objectives", "dict"): (
        "a mapping of models to shares above 0 and below 1, such as {llama-70b: 0.999}",
        each(is_objective),
    ),
    ("_ttft_target", "float"): (f"one of {_TARGETS} seconds", is_ttft_target),
    ("_ttft_targets", "dict"): (
        f"a mapping of models to one of {_TARGETS} seconds, such as {{llama-70b: 5}}",
        each(is_ttft_target),
    ),
    ("_usd", "float"): ("an amount of US dollars, 0 or more", is_amount),
    ("_usd_per_hour", "float"): ("an amount of US dollars, 0 or more", is_amount),
    ("_usd_per_hour", "dict"): (
        "a mapping of hosts to amounts of US dollars, 0 or more, such as {gpu1: 2.2}",
        each(is_amount),
    ),
    ("_expected_containers", "dict"): (
        "a mapping of hosts to lists of containers' names, such as {gpu1: [litellm, vllm-llama]}",
        each(is_list_of_names),
    ),
}


def host_problems(settings: Mapping[str, Any], hosts: Collection[str]) -> list[str]:
    """Return a complaint for each host that a setting names and the inventory doesn't have."""
    problems = []
    for variable in ("prometheus_host_gpu_costs_usd_per_hour", "prometheus_expected_containers"):
        named = settings.get(variable)
        for host in named if isinstance(named, Mapping) else ():
            if host not in hosts:
                alike = difflib.get_close_matches(str(host), list(hosts), n=1, cutoff=0.6)
                hint = f" Did you mean {alike[0]}?" if alike else ""
                problems.append(f"{variable} has {str(host)!r}, which is no host of the inventory.{hint}")
    return problems
