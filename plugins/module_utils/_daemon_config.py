# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker engine's configuration as data: parse it, merge into it, remove from it, show what differs.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

# Lists that dockerd reads as a set: entries of others in the same list are none of our business, so they stay.
SET_LIKE = frozenset(
    {
        "allow-nondistributable-artifacts",
        "authorization-plugins",
        "cdi-spec-dirs",
        "dns",
        "dns-opts",
        "dns-search",
        "hosts",
        "insecure-registries",
        "node-generic-resources",
        "registry-mirrors",
    }
)
# Lists of name=value, in which dockerd refuses or overrides a name that comes twice.
NAMED_VALUES = frozenset({"exec-opts", "labels", "storage-opts"})

HIDDEN = "********"
_SECRET_NAME = re.compile(r"passw|secret|token|credential|api-?key|^auth$|-auth$", re.IGNORECASE)
# Up to the last @ before the path, for a password may hold one; proxies are also written without a scheme.
_URL_CREDENTIALS = re.compile(
    r"(?:(?<=://)[^/\s]+(?=@))|(?:^[^/\s:@]+:[^/\s]+(?=@(?:[\w.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?(?:/|$)))"
)


class ConfigError(Exception):
    """The configuration, or what is asked of it, makes no sense; the text says where."""


def parse(content: bytes) -> dict[str, Any]:
    """Return the configuration that a file holds; an empty file holds an empty one.

    Raises ConfigError, with line and column where there is one, when it is no JSON object or a name comes twice.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"it is not UTF-8 text (byte {error.start})") from error
    if not text.strip():
        return {}
    try:
        config = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ConfigError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    if not isinstance(config, dict):
        start = text[: len(text) - len(text.lstrip())]
        line, column = start.count("\n") + 1, len(start) - (start.rfind("\n") + 1) + 1
        raise ConfigError(f"line {line}, column {column}: it holds {_kind(config)} instead of an object")
    return config


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _value in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigError(f"{', '.join(twice)} comes more than once; keep the one that is meant")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ConfigError(f"{name} is not JSON")


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def render(config: Mapping[str, Any]) -> str:
    """Return the file's text: two spaces deep, names in the order in which they were set."""
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON; unlike Python, JSON tells `true` from `1`."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def merge(config: Mapping[str, Any], settings: Mapping[str, Any], unite: bool = True) -> dict[str, Any]:
    """Return `config` with `settings` merged over it.

    Objects are merged name by name. With `unite`, the lists of SET_LIKE keep their entries, in their order,
    before the new ones, and an entry of a NAMED_VALUES list takes the place of the one of the same name.
    Every other value is replaced.
    """
    merged = dict(config)
    for name, value in settings.items():
        merged[name] = _merged_value(name, config.get(name), value, unite)
    return merged


def _merged_value(name: str, old: Any, new: Any, unite: bool) -> Any:
    if new is None:
        raise ConfigError(f"{name} is null; to remove it, name it in `absent`")
    if isinstance(new, Mapping):
        return _merged_object(name, old if isinstance(old, Mapping) else {}, new)
    if unite and isinstance(new, list) and isinstance(old, list):
        if name in SET_LIKE:
            return _united(old, new, _mirror if name == "registry-mirrors" else str)
        if name in NAMED_VALUES:
            return _united_by_name(old, new)
    return new


def _merged_object(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        # Set-like lists are top-level ones: what has the same name deeper down is something else.
        merged[name] = _merged_value(f"{path}.{name}", old.get(name), value, unite=False)
    return merged


def _mirror(address: Any) -> str:
    return str(address).rstrip("/")


def _united(old: list[Any], new: list[Any], identity: Callable[[Any], str]) -> list[Any]:
    seen = {identity(entry) for entry in old}
    result = list(old)
    for entry in new:
        if identity(entry) not in seen:
            seen.add(identity(entry))
            result.append(entry)
    return result


def _united_by_name(old: list[Any], new: list[Any]) -> list[Any]:
    wanted = {_value_name(entry): entry for entry in new}
    result = []
    for entry in old:
        name = _value_name(entry)
        if name not in wanted:
            result.append(entry)
        elif wanted[name] not in result:
            result.append(wanted[name])
    return result + [entry for entry in wanted.values() if entry not in result]


def _value_name(entry: Any) -> str:
    return str(entry).partition("=")[0]


def remove(config: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return `config` without what the dotted paths name; a path that names nothing changes nothing.

    The last part may be an entry of a list, as in `insecure-registries.registry.example:5000`. Names may hold
    dots themselves: the longest name that is there is taken.
    """
    result = dict(config)
    for path in paths:
        result = _without(result, path)
    return result


def _without(node: Any, path: str) -> Any:
    if isinstance(node, list):
        return [entry for entry in node if entry != path]
    if not isinstance(node, Mapping):
        return node
    names = [name for name in node if path == name or path.startswith(f"{name}.")]
    if not names:
        return node
    name = max(names, key=len)
    if path == name:
        return {other: value for other, value in node.items() if other != name}
    return {**node, name: _without(node[name], path[len(name) + 1 :])}


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of what differs, down to the deepest object, in order."""
    return sorted(_changed(before, after, ""))


def _changed(before: Any, after: Any, path: str) -> Iterable[str]:
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        if not same(before, after):
            yield path
        return
    for name in {**before, **after}:
        inner = f"{path}.{name}" if path else name
        if name in before and name in after:
            yield from _changed(before[name], after[name], inner)
        else:
            yield inner


def masked(config: Any, other: Any = None, name: str = "") -> Any:
    """Return `config` fit to be shown: no passwords, tokens or credentials in URLs.

    A hidden value that differs from the one at the same place in `other` says so, else the difference would be lost.
    """
    if isinstance(config, Mapping):
        peers = other if isinstance(other, Mapping) else {}
        return {
            inner: masked(value, peers.get(inner, value), name if _SECRET_NAME.search(name) else inner)
            for inner, value in config.items()
        }
    if isinstance(config, list):
        return [masked(entry, entry, name) for entry in config]
    shown = config
    if _SECRET_NAME.search(name):
        shown = HIDDEN
    elif isinstance(config, str):
        shown = _URL_CREDENTIALS.sub(HIDDEN, config)
    if shown is not config and shown != config and other is not None and config != other:
        return f"{shown} (changed)"
    return shown


def secrets(config: Any, name: str = "") -> set[str]:
    """Return the texts in a configuration that must not be shown."""
    if isinstance(config, Mapping):
        return {
            text
            for inner, value in config.items()
            for text in secrets(value, name if _SECRET_NAME.search(name) else inner)
        }
    if isinstance(config, list):
        return {text for entry in config for text in secrets(entry, name)}
    if not isinstance(config, str):
        return set()
    if _SECRET_NAME.search(name):
        return {config} - {""}
    return {text for found in _URL_CREDENTIALS.findall(config) for text in (found, found.partition(":")[2]) if text}
