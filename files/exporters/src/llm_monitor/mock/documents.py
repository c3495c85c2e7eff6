"""Reads YAML files that users write, and says what is wrong in them, line by line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from llm_monitor.base.errors import SettingsError

M = TypeVar("M", bound=BaseModel)
Place = tuple[int | str, ...]

_LARGEST = 1 << 20


class Document:
    """A YAML file that has been read.

    Attributes:
        path: The file.
        content: What is in it; nothing counts as an empty mapping.
    """

    def __init__(self, path: Path) -> None:
        """Read the file at `path`.

        Raises:
            SettingsError: When it can't be read, is no YAML, is larger than 1 MiB, has a key twice
                or an alias: a few lines of aliases can stand for gigabytes.
        """
        self.path = path
        self._lines: dict[Place, int] = {}
        text = _text(path)
        try:
            for event in yaml.parse(text, yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent) and event.start_mark:
                    line = event.start_mark.line + 1
                    raise SettingsError([f"{path}:{line}: aliases (*) are not allowed"])
            root = yaml.compose(text, yaml.SafeLoader)
            self.content: Any = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            reason = getattr(error, "problem", None) or "it has characters that YAML forbids"
            raise SettingsError([f"{path}:{line}: no YAML: {reason}"]) from error
        except (ValueError, RecursionError) as error:
            raise SettingsError([f"{path}: no YAML: {error}"]) from error
        if root is not None and (problems := list(self._walk(root, ()))):
            raise SettingsError(problems)

    def check(self, model: type[M]) -> M:
        """Return the content as `model`.

        Raises:
            SettingsError: With every problem: file, line, key, what is wrong and what is allowed.
        """
        try:
            return model.model_validate(self.content)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            raise SettingsError([self._sentence(model, one) for one in found]) from error

    def problem(self, place: Place, sentence: str) -> str:
        """Return `sentence` with the file and the line of `place`."""
        near = place
        while near and near not in self._lines:
            near = near[:-1]
        where = f"{self.path}:{self._lines.get(near, 1)}: "
        return f"{where}{_spoken(place)}: {sentence}" if place else f"{where}{sentence}"

    def _sentence(self, model: type[BaseModel], found: Any) -> str:
        place: Place = found["loc"]
        if found["type"] == "extra_forbidden":
            allowed = ", ".join(_at(model, place[:-1]).model_fields)
            return self.problem(place, f"there is no such key; expected one of {allowed}")
        if found["type"] == "missing":
            return self.problem(place, f"it is missing; expected {_expected(model, place)}")
        if found["type"] == "value_error" and (not place or isinstance(place[-1], int)):
            return self.problem(place, found["msg"].removeprefix("Value error, "))
        sentence = f"{found['input']!r:.80} is not allowed; expected {_expected(model, place)}"
        return self.problem(place, sentence)

    def _walk(self, node: yaml.Node, place: Place) -> Iterator[str]:
        """Learn the line of each place; give the keys that are there twice."""
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                line, inner = key.start_mark.line + 1, (*place, str(key.value))
                if inner in self._lines:
                    yield f"{self.path}:{line}: {_spoken(inner)}: it is there twice"
                self._lines[inner] = line
                yield from self._walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                yield from self._walk(value, (*place, number))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise SettingsError([f"{path}: it has more than 1 MiB"])
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: it is no UTF-8"]) from error
    except OSError as error:
        raise SettingsError([f"{path}: it can't be read: {error.strerror}"]) from error


def _spoken(place: Place) -> str:
    """Return a place as a person writes it: `models[0].gpus`."""
    parts = (f"[{one}]" if isinstance(one, int) else f".{one}" for one in place)
    return "".join(parts).removeprefix(".")


def _at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    """Return the model of the mapping at `place` within one of `model`."""
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = _inner(model.model_fields[part].annotation) or model
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as tuple[Model, ...], None without one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _inner(one))), None)


def _expected(model: type[BaseModel], place: Place) -> str:
    """Return what is allowed at `place`, as its field describes it."""
    names = [part for part in place if isinstance(part, str)]
    if not names:
        return "keys and their values"
    field = _at(model, place[:-1]).model_fields.get(names[-1])
    if field is None:
        return "a value"
    if field.description:
        return field.description
    if _inner(field.annotation):
        return "keys and their values, or a list of them"
    return _KINDS.get(field.annotation, "a value")  # type: ignore[arg-type]


_KINDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[int, ...]: "a list of whole numbers",
    tuple[str, ...]: "a list of texts",
}
