"""Writes the README of every role from its argument specification and defaults.

Usage: python docs/build/roles.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
INTERNAL = {"service"}


def defaults_of(role: Path) -> dict[str, Any]:
    """Return the defaults of a role, from `defaults/main.yml` or all files in `defaults/main/`."""
    found: dict[str, Any] = {}
    for path in sorted((role / "defaults").rglob("*.yml")):
        found.update(yaml.safe_load(path.read_text()) or {})
    return found


def shown(value: object) -> str:
    """Return a default as it would stand in an inventory, on one line of a table."""
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"`{text.strip()}`".replace("|", "\\|")


def described(option: dict[str, Any]) -> str:
    description = option["description"]
    sentences = " ".join([description] if isinstance(description, str) else description)
    if "choices" in option:
        sentences += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
    return " ".join(sentences.split()).replace("|", "\\|")


def readme(role: Path) -> str:
    """Return the README of one role."""
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]
    defaults = defaults_of(role)
    lines = [f"# {role.name}", "", f"{spec['short_description']}.", "", *spec["description"], ""]
    if role.name in INTERNAL:
        lines += ["Internal: other roles include it; its variables are no settings of yours.", ""]
    if spec.get("options"):
        lines += ["| variable | type | default | what it is |", "| --- | --- | --- | --- |"]
        for name, option in spec["options"].items():
            kind = f"{option['type']} of {option['elements']}" if "elements" in option else option["type"]
            lines.append(f"| `{name}` | {kind} | {shown(defaults[name])} | {described(option)} |")
    else:
        lines.append("It has no variables of its own.")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    stale = []
    for role in sorted(path.parent.parent for path in ROOT.glob("roles/*/meta/argument_specs.yml")):
        path, text = role / "README.md", readme(role)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path)
        if "--check" not in arguments:
            path.write_text(text)
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'is not what make docs writes' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
