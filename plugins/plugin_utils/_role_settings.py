# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles of this collection say about their variables: specs, defaults, and names that they compute.

Note that this is a private plugin utility: it may change in any release of the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Load = Callable[[str], Any]

# Roles that only others include, which say all that there is to say.
INTERNAL = ("service",)


@dataclass
class RoleSettings:
    """The variables of some roles.

    `specs`: what a user may set, with its entry in argument_specs.yml. `defaults`: their default values,
    templates. `computed`: what the roles work out themselves, and by which role.
    """

    roles: list[str] = field(default_factory=list)
    specs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    computed_values: dict[str, Any] = field(default_factory=dict)
    computed_by: dict[str, str] = field(default_factory=dict)

    def is_ours(self, name: str) -> bool:
        """Tell whether a variable starts as the variables of these roles do."""
        return any(name.startswith(f"{role}_") for role in self.roles)

    def known_names(self) -> set[str]:
        return {*self.specs, *self.computed_by}


def load(roles_folder: Path, wanted: Sequence[str] | None, load_yaml: Load) -> RoleSettings:
    """Read the roles' files; without a list, of every role that has argument specs."""
    found = RoleSettings()
    specified = sorted(path.parent.parent.name for path in roles_folder.glob("*/meta/argument_specs.yml"))
    for role in specified if wanted is None else wanted:
        folder = roles_folder / role
        if role not in specified:
            raise ValueError(f"The role {role} has no {folder}/meta/argument_specs.yml.")
        spec = load_yaml(str(folder / "meta/argument_specs.yml"))
        found.roles.append(role)
        options = spec["argument_specs"]["main"].get("options") or {}
        if role in INTERNAL:
            found.computed_by.update(dict.fromkeys(options, role))
            continue
        found.specs.update(options)
        found.defaults.update(_variables(folder / "defaults", load_yaml))
        computed = _variables(folder / "vars", load_yaml)
        found.computed_values.update(computed)
        found.computed_by.update(dict.fromkeys(computed, role))
    return found


def _variables(folder: Path, load_yaml: Load) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.yml")):
        found.update(load_yaml(str(path)) or {})
    return found
