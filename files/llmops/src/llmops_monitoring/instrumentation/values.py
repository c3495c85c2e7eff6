"""Looks at values of the application without running any of its code."""

import datetime as dt
import decimal
import pathlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from enum import Enum
from itertools import islice
from types import MemberDescriptorType
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from pydantic import BaseModel, JsonValue

LONGEST_TEXT: Final = 8192
LONGEST_NAME: Final = 256
_DEEPEST: Final = 8
_MOST_ITEMS: Final = 256
_MOST_NODES: Final = 2000
_MOST_READ: Final = 100_000
_CUT: Final = "…"
# Beyond it neither Parquet nor every reader of JSON takes an integer.
_LARGEST: Final = 2**63 - 1

_WITHOUT_FIELDS: Final = frozenset({type(None), str, int, float, bool, bytes, list, tuple})
# The slots of classes that were seen, for as long as these live.
_SLOTS: Final[WeakKeyDictionary[type[Any], tuple[MemberDescriptorType, ...]]] = WeakKeyDictionary()
_WRITTEN: Final = (uuid.UUID, decimal.Decimal, *(type(path) for path in (pathlib.Path(),)))
_MOMENTS: Final = (dt.datetime, dt.date, dt.time)
_LISTS: Final = (list, tuple, set, frozenset)


def stored(source: object) -> dict[str, Any]:
    """Return the fields of a dictionary or object, none where it has none.

    Only what is stored is looked at: no property, `__getattr__`, `__class__` or method of the
    application runs, because those may load, wait or raise.
    """
    kind: type[Any] = type(source)
    if kind is dict or issubclass(kind, dict):
        return cast("dict[str, Any]", source)
    if kind in _WITHOUT_FIELDS:
        return {}
    own = _place(source, "__dict__")
    if BaseModel in kind.__mro__:
        private = _place(source, "__pydantic_private__")
        return {**_place(source, "__pydantic_extra__"), **private, **own}
    slots = _SLOTS.get(kind)
    if slots is None:
        slots = _SLOTS[kind] = _slots(kind)
    return {**_filled(source, slots), **own} if slots else own


def _place(source: object, name: str) -> dict[str, Any]:
    try:
        fields = object.__getattribute__(source, name)
    except AttributeError:
        return {}
    return fields if type(fields) is dict else {}


def _slots(kind: type[Any]) -> tuple[MemberDescriptorType, ...]:
    return tuple(
        member
        for one in kind.__mro__
        for member in one.__dict__.values()
        if type(member) is MemberDescriptorType
    )


def _filled(source: object, slots: tuple[MemberDescriptorType, ...]) -> dict[str, Any]:
    found = {}
    for member in slots:
        with suppress(AttributeError):
            found[member.__name__] = member.__get__(source)
    return found


def read(source: object, name: str) -> Any:
    """Return the field `name` of what is stored in `source`, None where there is none."""
    return dict.get(stored(source), name)


def text_in(value: object) -> str | None:
    """Return the text that `value` is, without what a subclass makes of it; None if it is none."""
    return str.__str__(cast("str", value)) if issubclass(type(value), str) else None


def identifier(value: object) -> str | None:
    """Return the id that the application gave as text, a number or a UUID; None for none.

    Raises:
        TypeError: When it is something else.
    """
    if value is None:
        return None
    text = text_in(value)
    if text is None:
        if not issubclass(type(value), (int, uuid.UUID)):
            message = f"not an id: {type_name(type(value))}"
            raise TypeError(message)
        text = str(jsonable(value))
    return clean(text, LONGEST_NAME) or None


def items(value: object) -> Iterable[Any]:
    """Return the first items of a list or tuple, none of anything else."""
    kind = type(value)
    if issubclass(kind, list):
        return islice(list.__iter__(cast("list[Any]", value)), _MOST_READ)
    if issubclass(kind, tuple):
        return islice(tuple.__iter__(cast("tuple[Any, ...]", value)), _MOST_READ)
    return ()


def type_name(kind: type) -> str:
    """Return the name of a type, with its module where that is not Python's own."""
    module, name = kind.__module__, kind.__qualname__
    return clean(name if module == "builtins" else f"{module}.{name}", LONGEST_NAME)


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return text that every store takes: cut, without lone surrogates and zero characters."""
    text = str.__str__(text)
    if len(text) > longest:
        text = text[: longest - 1] + _CUT
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def jsonable(value: object, text: Callable[[str], str] = clean) -> JsonValue:
    """Return what JSON can say of `value`, within bounds; each string goes through `text`.

    What JSON has no word for is its type's name in angle brackets: an object of the application is
    never asked to describe itself. A number that is not finite is None.
    """
    return _Reading(text).of(value, _DEEPEST)


def jsonable_arguments(
    named: Mapping[str, object], text: Callable[[str], str]
) -> dict[str, JsonValue]:
    """Return what JSON can say of arguments; their names, which are code, don't go through `text`.

    All of them share the bounds of one value.
    """
    reading = _Reading(text)
    return {
        clean(name, LONGEST_NAME): reading.of(value, _DEEPEST)
        for name, value in islice(named.items(), _MOST_ITEMS)
    }


class _Reading:
    """Reads one value; a value that holds itself, or millions of others, ends it by its bounds."""

    def __init__(self, text: Callable[[str], str]) -> None:
        self._text = text
        self._left = _MOST_NODES

    def of(self, value: object, depth: int) -> JsonValue:
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool:
            return value  # type: ignore[return-value]
        if issubclass(kind, str):
            return self._text(str.__str__(value))
        if issubclass(kind, (int, float)):
            return self._number(value)
        if issubclass(kind, (dict, *_LISTS)) and depth > 0 and self._left > 0:
            return self._held(value, depth)
        return self._named(value, kind)

    def _number(self, value: Any) -> JsonValue:
        if issubclass(type(value), int):
            whole = int.__int__(value)
            # Python refuses to write thousands of decimal digits, but not hexadecimal ones.
            return whole if -_LARGEST <= whole <= _LARGEST else clean(hex(whole))
        broken = float.__float__(value)
        return broken if broken - broken == 0 else None

    def _held(self, value: Any, depth: int) -> JsonValue:
        if not issubclass(type(value), dict):
            kind = next(one for one in _LISTS if issubclass(type(value), one))
            within = islice(kind.__iter__(value), _MOST_ITEMS)
            told = [self.of(one, depth - 1) for one in within if self._left > 0]
            return [*told, _CUT] if kind.__len__(value) > len(told) else told
        found: dict[str, JsonValue] = {}
        for name, one in islice(dict.items(value), _MOST_ITEMS):
            if self._left <= 0:
                break
            found[self._key(name)] = self.of(one, depth - 1)
        if dict.__len__(value) > len(found):
            found[_CUT] = _CUT
        return found

    def _named(self, value: Any, kind: type) -> JsonValue:
        if kind in _WRITTEN:
            return self._text(str(value))
        if kind in _MOMENTS:
            return str(value.isoformat())
        if issubclass(kind, Enum):
            member = read(value, "_value_")
            return self.of(member, 0)
        if kind in {bytes, bytearray}:
            return f"<{len(value)} bytes>"
        return f"<{type_name(kind)}>"

    def _key(self, name: object) -> str:
        kind = type(name)
        plain = issubclass(kind, (str, int, float, Enum, uuid.UUID))
        told = self.of(name, 0) if plain else None
        return f"<{type_name(kind)}>" if told is None else clean(str(told), LONGEST_NAME)
