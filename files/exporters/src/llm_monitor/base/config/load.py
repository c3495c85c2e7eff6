"""Checks what the reader found, and says what is wrong in an operator's words."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from llm_monitor.base import registry
from llm_monitor.base.config.model import ExporterSettings, Section, Settings
from llm_monitor.base.config.names import spoken
from llm_monitor.base.config.reading import Reading
from llm_monitor.base.errors import SettingsError

S = TypeVar("S", bound=Section)

_SECRET_WORDS = ("token", "password", "secret", "key")
_FILE_SUFFIX = "_file"
# A password may hold what would end a host, if it was not written as a URL asks for.
_USERINFO = re.compile(r"//.*@")
_USERINFO_ALONE = re.compile(r"""(?<=['"])(?!.*//).*@""")
_QUERY = re.compile(r"(//[^?]*\?)[^#]+(?=['\"#])")


def load(names: Sequence[str], reading: Reading) -> tuple[Settings, dict[str, ExporterSettings]]:
    """Return the settings of a process with the exporters `names`: the shared ones, and each own.

    Raises:
        SettingsError: When a source can't be read or a setting can't be used.
    """
    sections = {name: registry.load(name).Settings for name in names}
    return check(reading.result(), sections, registry.names())


def check(
    raw: Mapping[str, Any], sections: Mapping[str, type[ExporterSettings]], known: Sequence[str]
) -> tuple[Settings, dict[str, ExporterSettings]]:
    """Return the shared settings and the section of each exporter in `sections`.

    Args:
        raw: What was read.
        sections: The exporters of this process and their settings' types.
        known: The names of all exporters; the sections of those that don't run are left alone.

    Raises:
        SettingsError: With every problem found, not only the first.
    """
    problems: list[str] = []
    common = {name: value for name, value in raw.items() if name not in known}
    settings = _section(Settings, common, (), problems, also=known)
    own = {
        name: _section(model, raw.get(name), (name,), problems) for name, model in sections.items()
    }
    checked = {name: section for name, section in own.items() if section is not None}
    problems += _shared_ports(checked)
    if problems or settings is None:
        raise SettingsError(problems)
    return settings, checked


def _section(
    model: type[S],
    raw: object,
    path: tuple[str, ...],
    problems: list[str],
    also: Sequence[str] = (),
) -> S | None:
    """Return a checked section, or None and its problems appended to `problems`."""
    values = _with_secrets(model, raw, path, problems)
    try:
        return model.model_validate(values)
    except SettingsError as error:
        problems.extend(error.problems)
        return None
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        problems.extend(_sentence(model, path, one, values, also) for one in found)
        return None


def _with_secrets(
    model: type[BaseModel], raw: object, path: tuple[str, ...], problems: list[str]
) -> object:
    """Return `raw` with each `NAME_file` of a secret `NAME` replaced by what the file holds."""
    if not isinstance(raw, Mapping):
        return raw
    values = dict(raw)
    for name, field in model.model_fields.items():
        inner = _model_of(field)
        if inner is not None:
            values[name] = _with_secrets(inner, values.get(name, {}), (*path, name), problems)
        elif _is_secret(field) and (file := values.pop(name + _FILE_SUFFIX, None)) is not None:
            where = spoken((*path, name + _FILE_SUFFIX))
            if values.get(name) is not None:
                problems.append(
                    f"{where}: {spoken((*path, name))} is set too; expected one of them"
                )
            try:
                values[name] = Path(str(file)).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                problems.append(f"{where}: {str(file)!r} can't be read: {reason}")
    return values


def _sentence(
    model: type[BaseModel], path: tuple[str, ...], error: Any, values: object, also: Sequence[str]
) -> str:
    """Return one problem as `setting: value is not allowed; expected …`."""
    place = _real_fields(model, [part for part in error["loc"] if isinstance(part, str)])
    where = spoken([*path, *place])
    parent, field = _find(model, place)
    shown = _shown(place or list(path), _written(values, place), field)
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: {shown} is set, but {_unknown(parent, place, also)}"
        case "missing":
            return f"{where}: it is not set; expected {_expected(field)}"
        case "model_type":
            return f"{where}: {shown} is not allowed; expected a group of settings"
    if field is None or _model_of(field) is not None:
        return f"{where}: {error['msg'].removeprefix('Value error, ')}"
    return f"{where}: {shown} is not allowed; expected {_expected(field)}"


def _written(values: object, place: Sequence[str]) -> object:
    """Return the value at `place` as it was written, before anything made a number of it."""
    for part in place:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _unknown(parent: type[BaseModel], place: list[str], also: Sequence[str]) -> str:
    allowed = sorted([*parent.model_fields, *(also if len(place) == 1 else ())])
    # Only a start that fails needs it, so it does not stay in the memory of one that doesn't.
    import difflib

    close = difflib.get_close_matches(place[-1], allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"there is no such setting; {hint}expected one of {', '.join(allowed)}"


def _real_fields(model: type[BaseModel], place: list[str]) -> list[str]:
    """Return `place` without what Pydantic adds to it, such as the member of a union."""
    real: list[str] = []
    inner: type[BaseModel] | None = model
    for part in place:
        real.append(part)
        field = inner.model_fields.get(part) if inner else None
        inner = _model_of(field) if field else None
        if inner is None:
            break
    return real


def _find(model: type[BaseModel], place: list[str]) -> tuple[type[BaseModel], FieldInfo | None]:
    """Return the model that holds the setting at `place`, and its field if there is one."""
    field: FieldInfo | None = None
    parent = model
    for index, part in enumerate(place):
        field = parent.model_fields.get(part)
        inner = _model_of(field) if field else None
        if inner is None or index == len(place) - 1:
            break
        parent = inner
    return parent, field


def _expected(field: FieldInfo | None) -> str:
    if field is None:
        return "a value"
    if field.description:
        return field.description
    args = getattr(field.annotation, "__args__", ())
    described = (getattr(one, "description", None) for arg in args for one in _metadata(arg))
    return next((text for text in described if text), "a value")


def _metadata(annotation: object) -> tuple[object, ...]:
    return tuple(getattr(annotation, "__metadata__", ()))


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in repr(field.annotation)


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _shown(place: Sequence[str], value: object, field: FieldInfo | None) -> str:
    """Return a value for a message, hidden where it may be or hold a secret."""
    if isinstance(value, Mapping):
        return "a group"
    hidden = field is not None and _is_secret(field)
    hidden = hidden or any(word in place[-1] for word in _SECRET_WORDS) or "auth" in place
    if hidden:
        return "a hidden value"
    shown = _USERINFO_ALONE.sub("***@", _USERINFO.sub("//***@", repr(value)))
    return _QUERY.sub(r"\1***", shown)


def _shared_ports(sections: Mapping[str, ExporterSettings]) -> list[str]:
    taken: dict[int, str] = {}
    problems = []
    for name, section in sections.items():
        if section.port in taken:
            other = spoken((taken[section.port], "port"))
            where = spoken((name, "port"))
            problems.append(f"{where}: {section.port} is used twice, by {other} too")
        taken.setdefault(section.port, name)
    return problems
