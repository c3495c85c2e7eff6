# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of service_folder: renders a service's templates and hands them to the module."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible_collections.llmops.monitoring.plugins.module_utils._service_folder import (
    COMPOSE_FILE,
    State,
    fingerprint,
)
from ansible_collections.llmops.monitoring.plugins.plugin_utils import _template_errors

COLLECTION = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TEMPLATE_SUFFIX = ".j2"


class ActionModule(ActionBase):
    """Renders `templates/<service>/` and lets the module of the same name bring the result onto the host."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        arguments = dict(self._task.args)
        source = arguments.pop("src", None)
        sources: dict[str, str] = {}
        if arguments.get("state", "present") == "present":
            folder = self._source_folder(source, arguments.get("name"))
            sources = dict(_files_below(folder))
            arguments["files"] = self._render(folder, sources, arguments, variables)
        result.update(
            self._execute_module(
                module_name="llmops.monitoring.service_folder", module_args=arguments, task_vars=variables
            )
        )
        if result.get("failed") and "check_output" in result:
            result["msg"] += _origins(arguments["name"], sources, result["check_output"])
        return result

    def _source_folder(self, source: str | None, name: str | None) -> str:
        if not name:
            raise AnsibleActionFail("The option name is missing: which service?")
        folder = (
            os.path.join(COLLECTION, "templates", name) if source is None else self._find_needle("templates", source)
        )
        if not os.path.isdir(folder):
            raise AnsibleActionFail(f"The service {name} has no folder of templates: {folder} is none.")
        return folder

    def _render(
        self, folder: str, sources: dict[str, str], arguments: dict[str, Any], variables: dict[str, Any]
    ) -> dict[str, str]:
        """Return path → content of all files; compose.yaml comes last, for it may depend on the others."""
        extra = _mapping(arguments, "files")
        files: dict[str, str] = {}
        for path in sources:
            if path != COMPOSE_FILE and path not in extra:
                files[path] = self._content(folder, sources[path], variables)
        files.update(extra)
        if COMPOSE_FILE in sources and COMPOSE_FILE not in extra:
            secrets = _mapping(arguments, "secrets")
            hashed = {"service_config_hash": fingerprint(State(_encoded(files), _encoded(secrets)))}
            files[COMPOSE_FILE] = self._content(folder, sources[COMPOSE_FILE], {**variables, **hashed})
        return files

    def _content(self, folder: str, source: str, variables: dict[str, Any]) -> str:
        """Return a file's content, rendered if it is a template; errors name file and line."""
        text: str = self._loader.get_text_file_contents(source)
        if not source.endswith(TEMPLATE_SUFFIX):
            return text
        templar = self._templar.copy_with_new_env(
            searchpath=[os.path.dirname(source), folder, os.path.dirname(folder)], available_variables=variables
        )
        layout = {"trim_blocks": True, "lstrip_blocks": True}
        try:
            rendered = templar.template(trust_as_template(text), escape_backslashes=False, overrides=layout)
        except AnsibleError as error:
            raise AnsibleActionFail(f"{_template_errors.place(error, source, text)}: {error}") from error
        if rendered is not None and not isinstance(rendered, str):
            raise AnsibleActionFail(
                f"{source} renders to data, not to text. End it with a filter such as to_nice_yaml."
            )
        return rendered or ""


def _files_below(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the path that each file will have in the service's folder, and where it is now."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            source = os.path.join(parent, name)
            yield os.path.relpath(source, folder).removesuffix(TEMPLATE_SUFFIX), source


def _mapping(arguments: dict[str, Any], option: str) -> dict[str, Any]:
    value = arguments.get(option) or {}
    if not isinstance(value, dict):
        raise AnsibleActionFail(f"The option {option} must be a mapping of file name to content.")
    return value


def _encoded(contents: dict[str, Any]) -> dict[str, bytes]:
    return {path: str(content).encode("utf-8", errors="surrogateescape") for path, content in contents.items()}


def _origins(name: str, sources: dict[str, str], said: list[str]) -> str:
    """Return which template each file comes from that a checker complained of, not just looked at."""
    words = "\n".join(said)
    return "".join(
        f"\n{name}/{path} is made from {source}"
        for path, source in sources.items()
        if re.search(rf"{re.escape(f'{name}/{path}')}['\"]?\s*(?::|FAILED)", words)
    )
