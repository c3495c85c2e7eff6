"""Reads the settings' sources in a process of its own: `python -m llm_monitor.base.config.reader`.

Dynaconf and its YAML parser are needed once, at the start, and would then stay in the memory of a
service that runs for months. So a child process reads and merges, prints JSON, and is gone.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynaconf import Dynaconf

from llm_monitor.base.config.names import FILE_VARIABLE, PREFIX
from llm_monitor.base.errors import SettingsError
from llm_monitor.base.registry import names, package_folder

_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the merged settings, keys in lower case: defaults < mounted file < environment.

    Values from the environment stay strings, so that a password such as `1e5` is what it says.

    Raises:
        SettingsError: When a file can't be read or is no YAML mapping.
    """
    files = [Path(__file__).with_name("settings.yaml")]
    files += [package_folder(name) / "settings.yaml" for name in names()]
    if FILE_VARIABLE in environment:
        files.append(_mounted(environment[FILE_VARIABLE]))
    settings = Dynaconf(
        envvar_prefix=None,
        core_loaders=["YAML"],
        loaders=[],
        settings_files=[str(file) for file in files],
        merge_enabled=True,
        auto_cast=False,
    )
    overrides = {
        name.removeprefix(PREFIX): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name != FILE_VARIABLE
    }
    try:
        settings.update(overrides, merge=True)
        merged = settings.as_dict()
    except AttributeError as error:
        # What Dynaconf raises for a file that is a list or a single word.
        problem = f"{environment.get(FILE_VARIABLE)!r} is not a mapping of settings to values"
        raise SettingsError([f"{FILE_VARIABLE}: {problem}"]) from error
    except Exception as error:
        problem = f"the settings can't be read: {_reason(error)}"
        raise SettingsError([problem]) from error
    lowered: dict[str, Any] = _lower(merged)
    return lowered


def main() -> None:
    """Print the settings of this process' environment, or what is wrong with them, as JSON."""
    try:
        answer: dict[str, Any] = {"settings": read(os.environ)}
    except SettingsError as error:
        answer = {"problems": error.problems}
    json.dump(answer, sys.stdout, default=str)


def _reason(error: Exception) -> str:
    """Return why YAML can't be read, without what is written there: that may be a secret.

    One that begins with an asterisk and has no quotes is an alias to YAML, which names it.
    """
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None:
        return " ".join(str(error).split())
    told = str(problem)
    harmless = all(len(one) <= len("' '") or one[1] == "<" for one in _QUOTED.findall(told))
    sentence = told if harmless else "this can't be meant; are there quotes missing?"
    return f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}: {sentence}"


def _mounted(name: str) -> Path:
    path = Path(name)
    try:
        path.read_bytes()
    except OSError as error:
        problem = f"{FILE_VARIABLE}: {name!r} can't be read: {error.strerror}; expected a YAML file"
        raise SettingsError([problem]) from error
    return path


def _lower(value: Any) -> Any:
    """Return `value` with the keys of all mappings in lower case."""
    if isinstance(value, Mapping):
        return {str(key).lower(): _lower(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_lower(inner) for inner in value]
    return value


if __name__ == "__main__":
    main()
