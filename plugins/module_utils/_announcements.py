# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the inventory announces to the people who use the models: maintenance, incidents, deprecations.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

VARIABLE = "llm_monitor_announcements"
KINDS = ("maintenance", "incident", "deprecation")
_KEYS = ("id", "kind", "title", "text", "models", "start", "end")
# Title and text become labels of series, and lines of feeds.
_LONGEST = {"title": 120, "text": 1000}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?) ?(Z|[+-]\d\d:\d\d)?")
# What XML can't hold, even escaped, and what would break a line of a title.
_UNWRITABLE = re.compile("[^\t\n -~\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TIME_ALLOWED = "must be a date and a time with its zone, such as 2026-12-01T08:00Z or 2026-12-01T09:00+01:00"


@dataclass(frozen=True)
class Announcement:
    """One announcement; times are in UTC, and without an end it lasts until it is taken off the list."""

    id: str
    kind: str
    title: str
    text: str
    models: tuple[str, ...]
    start: datetime
    end: datetime | None


def announcements(value: Any) -> list[Announcement]:
    """Return what the variable announces, the latest start first.

    Raises ValueError with all that is wrong, a line each.
    """
    problems = [*shape_problems(value), *announcement_problems(value)]
    if problems:
        raise ValueError("\n".join(problems))
    found = [
        Announcement(
            id=str(one["id"]),
            kind=str(one["kind"]),
            title=str(one["title"]).strip(),
            text=str(one.get("text") or "").strip(),
            models=tuple(str(model) for model in one.get("models") or ()),
            start=_time(one["start"]),
            end=_time(one["end"]) if one.get("end") else None,
        )
        for one in value
    ]
    return sorted(found, key=lambda one: (-one.start.timestamp(), one.id))


def shape_problems(value: Any) -> list[str]:
    """Return what argument_specs.yml refuses too, for those who come without preflight."""
    if not isinstance(value, list):
        return [f"{VARIABLE} must be a list"]
    problems = []
    for index, one in enumerate(value):
        place = f"{VARIABLE}[{index}]"
        if not isinstance(one, Mapping):
            problems.append(f"{place} must be a mapping with {', '.join(_KEYS)}")
            continue
        problems += [f"{place} has {str(key)!r}: known are {', '.join(_KEYS)}" for key in one if key not in _KEYS]
        problems += [f"{place} lacks {key!r}" for key in ("id", "kind", "title", "start") if key not in one]
        if one.get("kind", KINDS[0]) not in KINDS:
            problems.append(f"{place}.kind is {str(one['kind'])!r}: must be one of {', '.join(KINDS)}")
    return problems


def announcement_problems(value: Any) -> list[str]:
    """Return a complaint for each value that the type in argument_specs.yml allows and that makes no sense."""
    listed = value if isinstance(value, list) else []
    entries = [(index, one) for index, one in enumerate(listed) if isinstance(one, Mapping)]
    problems = [problem for index, one in entries for problem in _of_one(f"{VARIABLE}[{index}]", one)]
    names = [str(one.get("id")) for _index, one in entries if "id" in one]
    twice = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"{VARIABLE} has the id {name!r} twice: each must have its own" for name in twice]


def _of_one(place: str, one: Mapping[str, Any]) -> Iterator[str]:
    if "id" in one and not _ID.fullmatch(str(one["id"])):
        yield (
            f"{place}.id is {str(one['id'])!r}: must be letters, digits, dots, dashes and underscores, at most 64, and "
            "begin with a letter or digit"
        )
    for key, longest in _LONGEST.items():
        yield from _of_words(f"{place}.{key}", str(one.get(key) or ""), longest, key == "title" and key in one)
    models = one.get("models")
    named = [str(model) for model in models] if isinstance(models, list) else []
    for model in named:
        yield from _of_words(f"{place}.models", model, _LONGEST["title"], True)
    yield from (f"{place}.models has {model!r} twice" for model in sorted(set(named)) if named.count(model) > 1)
    times = {}
    for key in ("start", "end"):
        if one.get(key) or (key in one and key == "start"):
            try:
                times[key] = _time(one[key])
            except ValueError as error:
                yield f"{place}.{key} is {str(one[key])!r}: {error}"
    if len(times) == 2 and times["end"] <= times["start"]:
        yield f"{place}.end is {str(one['end'])!r}: must be later than its start, {str(one['start'])!r}"


def _of_words(place: str, words: str, longest: int, is_line: bool) -> Iterator[str]:
    """Yield what is wrong with a text; a line may not be empty or broken."""
    if is_line and not words.strip():
        yield f"{place} is empty"
    if len(words) > longest:
        yield f"{place} has {len(words)} characters: must have {longest} at most"
    if _UNWRITABLE.search(words) or (is_line and re.search(r"[\t\n]", words)):
        yield f"{place} is {words!r}: must have no control characters" + (" and no line breaks" if is_line else "")


def _time(value: Any) -> datetime:
    """Return a time in UTC; YAML makes a datetime of one without quotes.

    Raises ValueError, with what is allowed, for what is no time or has no zone.
    """
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(_iso(str(value).strip()))
        if found.tzinfo and found.year >= 1970:
            return found.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        pass
    raise ValueError(_TIME_ALLOWED)


def _iso(text: str) -> str:
    """Return a time with its zone as every Python takes it: before 3.11 none takes a Z."""
    match = _TIME.fullmatch(text)
    if not match or not match[3]:
        raise ValueError(_TIME_ALLOWED)
    return f"{match[1]}T{match[2]}{match[3].replace('Z', '+00:00')}"
