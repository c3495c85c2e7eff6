# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a variable's value must be beyond its type, by the end of its name; and what must hold between variables.

argument_specs.yml can state types and choices only. A new variable gets its rule by its name: `loki_port` is a port.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils import _model_settings
from ansible_collections.llmops.monitoring.plugins.module_utils._address_rules import (
    is_database_url,
    is_ip_address,
    is_postgresql_url,
    is_service_url,
    is_url,
)

_DURATION_UNITS = {"y": 31536000.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# As in prometheus/common/model/time.go: whole numbers, each unit once, the longest first.
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+){unit})?" for unit in _DURATION_UNITS))
_SIZE = re.compile(r"\d+(?:\.\d+)?(?:B|KB|MB|GB|TB|PB|EB)|0")
_CONTAINER_MEMORY = re.compile(r"[1-9]\d*(?:b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_REGISTRY = re.compile(
    r"[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[a-z0-9._/-]+)?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?(?:/[a-z0-9._/-]+)?"
)

_VERSION = re.compile(r"\d+(?:\.\d+)*")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}|(?:[0-9A-Fa-f]{4} +){9}[0-9A-Fa-f]{4}")
_PASSWORD = re.compile(r"(?:[\x21-\x7e]{16,})?")
_ANY_PASSWORD = re.compile(r"(?:[\x21-\x7e]+(?: +[\x21-\x7e]+)*)?")
_BEARER_TOKEN = re.compile(r"[\x21-\x7e]+")
_REFERENCE_WITH_REGISTRY = re.compile(r"(?:localhost|[^/\s]*[.:][^/\s]*)/\S+")

# Everywhere else, a parameter of an alert that is between 0 and 1 is a share. These are seconds, and requests a second.
_WITHOUT_SHARES = ("ClockSkew", "VllmPreemptions")


@dataclass(frozen=True)
class Rule:
    """What is allowed, in words and as a test of one value."""

    allowed: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True)
class Port:
    """A port that a service of the host will listen on, and the variable that sets it."""

    variable: str
    port: int
    address: str


# ---------------------------------------------------------------- one value


def seconds(duration: Any) -> float | None:
    """Return the length of a Prometheus duration such as 1h30m in seconds; None when it is none."""
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) and duration else None
    if not match:
        return 0.0 if duration == "0" else None
    return sum(int(match[unit]) * length for unit, length in _DURATION_UNITS.items() if match[unit])


def _whole_number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    return int(value) if re.fullmatch(r"-?\d+", str(value)) else None


def _within(first: int, last: int) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        number = _whole_number(value)
        return number is not None and first <= number <= last

    return accepts


def _is_positive(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and float(value) > 0
    except (TypeError, ValueError):
        return False


def _is_host(value: Any) -> bool:
    return is_ip_address(value) or (isinstance(value, str) and _HOST_NAME.fullmatch(value) is not None)


def _is_own_folder(value: Any) -> bool:
    first, *others = str(value).split("/")
    parts = [part for part in others if part not in ("", ".")]
    return first == "" and ".." not in parts and len(parts) >= 2 and "llm-monitor" in parts[-1]


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_PORT = Rule("a port, which is a whole number from 1 to 65535", _within(1, 65535))
_RELEASE = Rule("a version, such as 535 or 1.20.1; quote it if it is a number", _matches(_VERSION))
_LENGTH = Rule("a duration longer than zero, such as 30s, 5m, 1h30m or 15d", lambda value: bool(seconds(value)))
_NUMBER = Rule("a whole number of 1 or more", _within(1, 2**31 - 1))
_URL = Rule("a URL with http:// or https:// and a host, such as https://prometheus.example.com/", is_url)
_SERVICE_URL = Rule(
    "a URL with http:// or https:// and a host, without user, password, query or fragment, such as http://litellm:4000",
    is_service_url,
)
_SHOWN_URL = Rule(
    "a URL with http:// or https:// and a host, without user, password, query or fragment, for it is shown to all",
    is_service_url,
)
_DATABASE_URL = Rule(
    "a URL with postgresql:// or clickhouse:// and a host, such as postgresql://reader:password@langfuse-db/langfuse; "
    "what a user or password has of @ : / ? # % is written by its number, such as %40",
    is_database_url,
)
_POSTGRESQL_URL = Rule(
    "a URL with postgresql:// and a host, such as postgresql://reader:password@events-db/events; what a user or "
    "password has of @ : / ? # % is written by its number, such as %40",
    is_postgresql_url,
)
_PATH = Rule("an absolute path", lambda value: str(value).startswith("/"))
_FOLDER = Rule(
    "an absolute path at least two folders deep whose last part has llm-monitor in its name, such as "
    "/opt/llm-monitor, for it is removed as a whole",
    _is_own_folder,
)

# (end of the name, type in the spec) → rule; the longest end that fits counts.
RULES: Mapping[tuple[str, str], Rule] = {
    ("_port", "int"): _PORT,
    ("_port_base", "int"): Rule("0, or a port from 1 to 65500 with room for the range above it", _within(0, 65500)),
    ("_interval", "str"): _LENGTH,
    ("_timeout", "str"): _LENGTH,
    ("_timeout", "int"): _NUMBER,
    ("_retention", "str"): _LENGTH,
    ("_retention_time", "str"): _LENGTH,
    ("_retention_days", "int"): Rule("a whole number of days from 1 to 36500", _within(1, 36500)),
    ("_wait", "str"): Rule("a duration such as 0s, 30s or 5m", lambda value: seconds(value) is not None),
    ("_size", "str"): Rule("a size in B, KB, MB, GB, TB, PB or EB, such as 512MB or 50GB", _matches(_SIZE)),
    ("_mb", "int"): _NUMBER,
    ("_replication_factor", "int"): Rule("a whole number from 1 to 9", _within(1, 9)),
    ("_streams", "int"): _NUMBER,
    ("_per_second", "int"): _NUMBER,
    ("_bytes", "int"): Rule("a whole number of bytes", _within(0, 2**63 - 1)),
    ("_memory", "str"): Rule("a container's memory, such as 128m or 4g", _matches(_CONTAINER_MEMORY)),
    ("_cpus", "float"): Rule("a number of CPUs above zero, such as 0.5", _is_positive),
    ("_url", "str"): _URL,
    ("_external_url", "str"): _SHOWN_URL,
    ("_url_base", "str"): _SHOWN_URL,
    ("_litellm_url", "str"): _SERVICE_URL,
    ("_langfuse_url", "str"): _SERVICE_URL,
    ("_loki_url", "str"): _SERVICE_URL,
    ("_langfuse_database", "str"): _DATABASE_URL,
    ("_llmops_database", "str"): _POSTGRESQL_URL,
    ("_index", "str"): _URL,
    ("_mirror", "str"): _URL,
    ("_registry_mirror", "str"): Rule(
        "a registry as host, host:port or host:port/path, without https://", _matches(_REGISTRY)
    ),
    ("_address", "str"): Rule("an IP address or a host name", _is_host),
    ("_listen_address", "str"): Rule("an IP address, such as 127.0.0.1 or 0.0.0.0", is_ip_address),
    ("_dir", "path"): _FOLDER,
    ("_version", "str"): _RELEASE,
    ("_driver", "str"): _RELEASE,
    ("_fingerprint", "str"): Rule("the 40 hexadecimal digits of a key's fingerprint", _matches(_FINGERPRINT)),
    ("_library", "path"): _PATH,
    ("_socket", "path"): _PATH,
    ("_expected", "int"): Rule("a whole number from 0 to 1024", _within(0, 1024)),
    **{end: Rule(*rule) for end, rule in _model_settings.RULES.items()},
    ("grafana_secret_key", "str"): Rule(
        "16 or more ASCII letters, digits and signs without spaces; quote it if it is a number",
        _matches(_PASSWORD),
    ),
    # What is nothing because its service is off is nobody's password; _event_store_rules.py tells of one that is on.
    ("_password", "str"): Rule(
        "16 or more ASCII letters, digits and signs without spaces; quote it if it is a number",
        _matches(_PASSWORD),
    ),
    # Somebody else gave it.
    ("_loki_password", "str"): Rule(
        "text of ASCII letters, digits, signs and spaces; quote it if it is a number", _matches(_ANY_PASSWORD)
    ),
    ("_announcements", "list"): Rule(
        "a list of announcements, each with an id, a kind (maintenance, incident or deprecation), a title and a start",
        lambda value: isinstance(value, list),
    ),
    ("_bearer_token", "str"): Rule(
        "text of ASCII letters, digits and signs without spaces; quote it if it is a number", _matches(_BEARER_TOKEN)
    ),
}


def rule_of(name: str, kind: str) -> Rule | None:
    """Return the rule for a variable, by the end of its name and its type in the spec."""
    fitting = [suffix for suffix, its_kind in RULES if its_kind == kind and name.endswith(suffix)]
    return RULES[max(fitting, key=len), kind] if fitting else None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a question that names the known word most like this one, or nothing."""
    alike = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {alike[0]}?" if alike else ""


# ---------------------------------------------------------------- between values


def ports_of_host(settings: Mapping[str, Any], services: Sequence[str] | None) -> list[Port]:
    """Return the ports that a host's services will listen on, from variables `<service>_port`.

    `<service>_<part>_port` counts where `<part>` is in the list `<service>_enabled`; a service whose own name has an
    underscore is known by its `<service>_listen_address`. With services None, it isn't known what runs here, and all
    count. Values that are no ports are left out.
    """
    found = []
    for name, value in settings.items():
        stem = name.removesuffix("_port")
        has_own_address = f"{stem}_listen_address" in settings
        service, _mark, part = (stem, "", "") if has_own_address else stem.partition("_")
        number = _whole_number(value)
        if not name.endswith("_port") or number is None or not 1 <= number <= 65535:
            continue
        enabled = settings.get(f"{service}_enabled")
        is_on = not part or not isinstance(enabled, Sequence) or part in enabled
        if (services is None or service in services) and is_on:
            address = settings.get(f"{service}_listen_address") or settings.get("llm_monitor_listen_address")
            found.append(Port(name, number, str(address or "127.0.0.1")))
    return found


def shared_ports(ports: Sequence[Port]) -> list[str]:
    """Return a complaint for every two variables that set the same port."""
    return [
        f"{first.variable} and {second.variable} are both {first.port}: on one host every port can be used once"
        for index, first in enumerate(ports)
        for second in ports[index + 1 :]
        if first.port == second.port
    ]


def scrape_problems(settings: Mapping[str, Any]) -> list[str]:
    timeout, interval = settings.get("prometheus_scrape_timeout"), settings.get("prometheus_scrape_interval")
    length, limit = seconds(timeout), seconds(interval)
    if length and limit and length > limit:
        return [
            f"prometheus_scrape_timeout is {timeout}: must not be longer than prometheus_scrape_interval ({interval})"
        ]
    return []


def source_problems(
    settings: Mapping[str, Any], is_file: Callable[[str], bool], registry_only: Sequence[str]
) -> list[str]:
    """Return what the chosen image source lacks; `is_file` looks on the controller.

    `registry_only` are the components of which Debian has no package.
    """
    source, bundle = settings.get("llm_monitor_image_source"), settings.get("llm_monitor_bundle")
    if source == "bundle" and not bundle:
        return [
            "llm_monitor_bundle is not set: the image source bundle needs the path of the archive that "
            "playbooks/bundle.yml made, on the machine that runs Ansible"
        ]
    if source == "bundle" and not is_file(str(bundle)):
        return [
            f"llm_monitor_bundle is {bundle!r}: there is no such file on the machine that runs Ansible; "
            "make it with playbooks/bundle.yml"
        ]
    if source == "distro":
        return [
            f"llm_monitor_components has {component!r}: Debian has no package of it, so the image source distro can't "
            "bring it; take it off the list, or set llm_monitor_image_source to registry or bundle"
            for component in registry_only
            if component in (settings.get("llm_monitor_components") or [])
        ]
    return []


def toolkit_problems(settings: Mapping[str, Any], is_file: Callable[[str], bool]) -> list[str]:
    """Return what the container toolkit's source lacks; `is_file` looks on the controller."""
    if settings.get("nvidia_toolkit_source") != "packages":
        return []
    packages = settings.get("nvidia_toolkit_packages") or []
    if not packages:
        return [
            "nvidia_toolkit_packages is empty: the source packages needs the paths of the toolkit's .deb or .rpm files "
            "on the machine that runs Ansible"
        ]
    return [
        f"nvidia_toolkit_packages has {str(path)!r}: there is no such file on the machine that runs Ansible"
        for path in packages
        if not is_file(str(path))
    ]


def bundle_problems(settings: Mapping[str, Any], services: Sequence[str] | None, held: Iterable[str]) -> list[str]:
    """Return a complaint for each service of a host whose image isn't among those that the bundle holds."""
    return [
        f"llm_monitor_bundle is {settings.get('llm_monitor_bundle')!r}: it lacks the image of {service}; make it anew "
        f"with playbooks/bundle.yml and {service} among the llm_monitor_components"
        for service in services or ()
        if service not in held
    ]


def key_problems(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Return a complaint for each mapping that replaces a default one without naming just the same things."""
    problems = []
    for name, usual in defaults.items():
        value = settings.get(name)
        if not usual or not isinstance(usual, Mapping) or not isinstance(value, Mapping):
            continue
        problems += [
            f"{name} lacks {key!r}: it replaces the whole default, so it needs {', '.join(usual)}"
            for key in usual
            if key not in value
        ]
        problems += [
            f"{name} has {key!r}, which nothing uses; known are {', '.join(usual)}.{nearest(str(key), usual)}"
            for key in value
            if key not in usual
        ]
    return problems


def reference_problems(images: Any) -> list[str]:
    """Return a complaint for each image reference that leaves it to the engine which registry is meant."""
    if not isinstance(images, Mapping):
        return []
    return [
        f"llm_monitor_registry_images.{name} is {str(image)!r}: must name its registry, such as "
        "docker.io/prom/prometheus:v3.14.0, else llm_monitor_registry_mirror can't take its place"
        for name, image in images.items()
        if not _REFERENCE_WITH_REGISTRY.fullmatch(str(image))
    ]


def rule_file_problems(files: Any, own: Iterable[str]) -> list[str]:
    """Return a complaint for each name of prometheus_extra_rules that no file of its own can have."""
    problems = []
    for name in files if isinstance(files, Mapping) else ():
        told = f"prometheus_extra_rules has {str(name)!r}: "
        if not re.fullmatch(r"[^/]+\.yml", str(name)):
            problems.append(told + "must be the name of a file that ends in .yml, without a folder, such as mine.yml")
        elif name in own:
            problems.append(told + "the collection's own rules have that name; choose another")
    return problems


def alert_problems(changed: Any, catalogue: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with `prometheus_alerts`: unknown alerts or parameters, and values of another kind."""
    if not isinstance(changed, Mapping):
        return []
    found = []
    for alert, parameters in changed.items():
        if alert not in catalogue:
            found.append(
                f"prometheus_alerts names {alert!r}, which is no alert of ours.{nearest(str(alert), catalogue)}"
            )
        elif not isinstance(parameters, Mapping):
            found.append(f"prometheus_alerts.{alert} is {parameters!r}: must be a mapping of parameters")
        else:
            known = {"enabled": True, **catalogue[alert]}
            for key, value in parameters.items():
                complaint = _parameter_problem(str(key), value, known, alert not in _WITHOUT_SHARES)
                found += [f"prometheus_alerts.{alert}.{key} {complaint}"] if complaint else []
    return found


def _parameter_problem(key: str, value: Any, known: Mapping[str, Any], has_shares: bool) -> str:
    if key not in known:
        return f"is no parameter of this alert, which has {', '.join(sorted(known))}.{nearest(key, known)}"
    usual = known[key]
    if isinstance(usual, bool):
        return "" if isinstance(value, bool) else f"is {value!r}: must be true or false"
    if isinstance(usual, (int, float)):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if has_shares and 0 < usual < 1:
            is_share = is_number and 0 <= value <= 1
            return "" if is_share else f"is {value!r}: must be a share from 0 to 1, such as {usual}"
        return "" if is_number else f"is {value!r}: must be a number, such as {usual}"
    if seconds(usual) is not None:
        return "" if seconds(value) is not None else f"is {value!r}: must be a duration, such as {usual}"
    return "" if isinstance(value, str) else f"is {value!r}: must be text, such as {usual!r}"
