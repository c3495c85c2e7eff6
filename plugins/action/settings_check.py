# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks a host's variables on the controller; modules/settings_check.py documents it."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.llmops.monitoring.plugins.lookup.bundle_images import bundle_images
from ansible_collections.llmops.monitoring.plugins.module_utils import (
    _announcements,
    _event_store_rules,
    _exporter_rules,
    _log_rules,
    _model_settings,
)
from ansible_collections.llmops.monitoring.plugins.module_utils import _settings_rules as rules
from ansible_collections.llmops.monitoring.plugins.plugin_utils import _config_secrets, _grafana_rules, _role_settings
from ansible_collections.llmops.monitoring.plugins.plugin_utils._origin import origin_of

COLLECTION = Path(__file__).resolve().parents[2]
ROLES = COLLECTION / "roles"
RULES = COLLECTION / "templates/prometheus/rules"
EXPORTERS_SETTINGS = COLLECTION / "files/exporters/src/llm_monitor/base/config/settings.yaml"
_USERINFO = re.compile(r"//.*@")
_IGNORED = "llm_monitor_ignored_variables"
# What becomes part of a service's configuration as it is, but for the secrets, which go to files.
_PASSED_ON = (
    "alertmanager_receivers",
    "alertmanager_global",
    "prometheus_remote_write",
    "prometheus_extra_scrape_configs",
)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "path": "a path",
    "list": "a list",
    "dict": "a mapping",
}
# The validator would make a list of any text, but a role then still sees the text.
_STRICT_KINDS: dict[str, type] = {"list": list, "dict": dict}


class ActionModule(ActionBase):
    """Looks at every variable of the roles and at every variable that looks like one."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _validation, arguments = self.validate_argument_spec({"roles": {"type": "list", "elements": "str"}})
        try:
            roles = _role_settings.load(ROLES, arguments["roles"], self._load)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        check = _Check(roles, self._templar, variables, self._load(str(EXPORTERS_SETTINGS)))
        problems = check.problems()
        if problems:
            host = variables.get("inventory_hostname", "this host")
            count = "One setting" if len(problems) == 1 else f"{len(problems)} settings"
            listed = "".join(f"\n- {problem}" for problem in problems)
            result.update(failed=True, problems=problems, msg=f"{count} of {host} can't be used:{listed}")
        else:
            result.update(changed=False, ports=[dataclasses.asdict(port) for port in check.ports()])
        return result

    def _load(self, path: str) -> Any:
        return self._loader.load_from_file(path, trusted_as_template=True)


class _Check:
    """The variables of one host, held against what the roles say about them."""

    def __init__(
        self, roles: _role_settings.RoleSettings, templar: Any, variables: Mapping[str, Any], shared: Iterable[str]
    ) -> None:
        self.roles = roles
        self.shared_by_exporters = shared
        self.set_by_user = variables
        self.variables = {**roles.computed_values, **roles.defaults, **variables}
        self.templar = templar.copy_with_new_env(available_variables=self.variables)
        self.settings: dict[str, Any] = {}

    def problems(self) -> list[str]:
        found = [(name, text) for name, spec in self.roles.specs.items() for text in self._of_setting(name, spec)]
        # A default that is made from a wrong value is wrong too, but says nothing new.
        causes = [text for name, text in found if name in self.set_by_user] or [text for _name, text in found]
        return [*self._of_names(), *causes, *self._between()]

    def ports(self) -> list[rules.Port]:
        return rules.ports_of_host(self.settings, self._services())

    def _of_names(self) -> Iterator[str]:
        """Yield a problem for every variable that looks like ours but can't be set."""
        patterns = self._value(_IGNORED) or []
        for name in sorted(self.set_by_user):
            if not self.roles.is_ours(name) or any(fnmatch.fnmatchcase(name, str(pattern)) for pattern in patterns):
                continue
            if name not in self.roles.known_names():
                hint = (
                    rules.nearest(name, self.roles.specs) or f" If it belongs to something else, add it to {_IGNORED}."
                )
                yield f"{name}{self._origin(name)} is no variable of this collection.{hint}"
            elif name in self.roles.computed_by and name in self._inventory_variables():
                role = self.roles.computed_by[name]
                yield f"{name}{self._origin(name)} is computed by the role {role} and can't be set"

    def _of_setting(self, name: str, spec: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with one variable, and remember its value."""
        if name not in self.variables:
            if spec.get("required"):
                yield f"{name} is not set: must be {_allowed(name, spec)}"
            return
        try:
            value = self.templar.template(self.variables[name])
        except AnsibleError as error:
            yield f"{name}{self._origin(name)} can't be evaluated: {error}"
            return
        complaint = self._complaint(name, value, spec)
        if complaint:
            shown = "has a value that is not shown here" if spec.get("no_log") else f"is {_shown(value)}"
            yield f"{name} {shown}{self._origin(name)}: {complaint}"
        self.settings[name] = value

    def _complaint(self, name: str, value: Any, spec: Mapping[str, Any]) -> str:
        """Return what a value must be when it isn't, else nothing."""
        if value == "" and spec.get("default") == "":
            return ""
        kind = str(spec.get("type", "str"))
        rule = rules.rule_of(name, kind)
        if rule and not rule.accepts(value):
            return f"must be {rule.allowed}"
        unknown = self._unknown_words(name, value, spec)
        if unknown:
            hint = rules.nearest(str(unknown[0]), spec["choices"])
            return f"{_plain(unknown[0])!r} is none of: {', '.join(map(str, spec['choices']))}.{hint}"
        known = {key: meaning for key, meaning in spec.items() if key not in ("default", "choices")}
        errors = ArgumentSpecValidator({name: known}).validate({name: value}).error_messages
        if not errors and isinstance(value, _STRICT_KINDS.get(kind, object)):
            return ""
        is_deep = bool(errors) and isinstance(value, (list, dict)) and not spec.get("no_log")
        return f"must be {_allowed(name, spec)}" + (f" ({errors[0]})" if is_deep else "")

    def _unknown_words(self, name: str, value: Any, spec: Mapping[str, Any]) -> list[Any]:
        """Return what is none of a variable's choices, but for what another complaint tells better."""
        choices = spec.get("choices")
        if not choices:
            return []
        unknown = [word for word in (value if isinstance(value, list) else [value]) if word not in choices]
        if name == "llm_monitor_components" and self._value("llm_monitor_image_source") == "distro":
            return [word for word in unknown if word not in self._registry_only()]
        return unknown

    def _between(self) -> list[str]:
        """Return what doesn't fit together among values that are right by themselves."""
        services = self._services()
        catalogue = self._value("prometheus_alert_catalogue") or {}
        return [
            *rules.shared_ports(self.ports()),
            *rules.scrape_problems(self.settings),
            *self._of_source(services),
            *rules.toolkit_problems(self.settings, os.path.isfile),
            *rules.key_problems(self.settings, self.roles.defaults),
            *rules.reference_problems(self.settings.get("llm_monitor_registry_images")),
            *rules.rule_file_problems(
                self.settings.get("prometheus_extra_rules"),
                ["announcements.yml", *(path.stem for path in RULES.glob("*.yml.j2"))],
            ),
            *_exporter_rules.secret_problems(self.settings.get("exporters_settings")),
            *self._of_exporters_settings(),
            *_grafana_rules.problems(self.settings, services),
            *_exporter_rules.address_problems(self.settings),
            *_exporter_rules.reach_problems(self.settings),
            *_exporter_rules.network_problems(self.settings.get("exporters_networks")),
            *_exporter_rules.endpoint_problems(self.settings.get("exporters_vllm_endpoints")),
            *_exporter_rules.mock_problems(self.settings, self._exporters()),
            *_exporter_rules.source_problems(self.settings, services),
            *_event_store_rules.problems(self.settings, services),
            *self._of_secrets(),
            *_exporter_rules.exposure_problems(self.settings, services),
            *_log_rules.loki_problems(self.settings, services),
            *_log_rules.alloy_problems(self.settings, services),
            *self._of_logs(services),
            *rules.alert_problems(self.settings.get("prometheus_alerts"), catalogue),
            *_model_settings.host_problems(self.settings, self.set_by_user.get("groups", {}).get("all", [])),
            *_announcements.announcement_problems(self.settings.get(_announcements.VARIABLE)),
        ]

    def _of_source(self, services: list[str] | None) -> list[str]:
        """Return what the image source lacks, if images are wanted at all."""
        if "images" not in self.roles.roles:
            return []
        lacking = rules.source_problems(self.settings, os.path.isfile, self._registry_only())
        if lacking or self.settings.get("llm_monitor_image_source") != "bundle":
            return lacking
        try:
            return rules.bundle_problems(self.settings, services, bundle_images(self.settings["llm_monitor_bundle"]))
        except AnsibleError as error:
            return [str(error)]

    def _of_logs(self, services: list[str] | None) -> list[str]:
        """Return why a host's logs would not arrive, as far as the inventory tells."""
        hosts, groups = self.set_by_user.get("hostvars", {}), self.set_by_user.get("groups", {})
        return _log_rules.reach_problems(self.settings, services, hosts, groups.get("monitoring_hosts", []))

    def _registry_only(self) -> list[str]:
        """Return the components of which Debian has no package."""
        return list(self.roles.computed_values.get("llm_monitor_registry_only", []))

    def _of_exporters_settings(self) -> list[str]:
        """Return what exporters_settings has that means nothing to any exporter."""
        return _exporter_rules.name_problems(
            self.settings.get("exporters_settings"), self._exporters(), self.shared_by_exporters
        )

    def _exporters(self) -> Iterable[str]:
        exporters: Iterable[str] = self.roles.computed_values.get("exporters_catalogue", {})
        return exporters

    def _of_secrets(self) -> Iterator[str]:
        """Yield a problem for every secret that would stand in a configuration; its value is never told."""
        for name in _PASSED_ON:
            for path, remedy in _config_secrets.uncovered(self.settings.get(name)):
                yield (
                    f"{name}{path} is a secret that can't be read from a file, so it would lie open in the "
                    f"configuration: {remedy}"
                )

    def _services(self) -> list[str] | None:
        services = self._value("llm_monitor_services")
        return services if isinstance(services, list) else None

    def _value(self, name: str) -> Any:
        """Return a variable's value, or None when it has none or can't be evaluated, which is told elsewhere."""
        try:
            return self.templar.template(self.variables.get(name))
        except AnsibleError:
            return None

    def _inventory_variables(self) -> Mapping[str, Any]:
        """Return the host's variables without those of plays and roles."""
        hostvars = self.set_by_user.get("hostvars", {})
        found: Mapping[str, Any] = hostvars.get(self.set_by_user.get("inventory_hostname"), {})
        return found

    def _origin(self, name: str) -> str:
        origin = origin_of(self.set_by_user.get(name))
        return f" ({origin})" if origin else ""


def _plain(value: Any) -> Any:
    """Return a value without the tags of ansible-core, whose class names would be shown otherwise."""
    return str(value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    """Return a value for a message, without the user and password of a URL."""
    return _USERINFO.sub("//***@", repr(_plain(value)))


def _allowed(name: str, spec: Mapping[str, Any]) -> str:
    kind = str(spec.get("type", "str"))
    rule = rules.rule_of(name, kind)
    return rule.allowed if rule else _KINDS.get(kind, kind)
