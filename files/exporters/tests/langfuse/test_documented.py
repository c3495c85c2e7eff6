"""The stand-in for Langfuse answers in the forms that Langfuse's OpenAPI document gives."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from exporter_testing.langfuse.asking import Asking
from exporter_testing.langfuse.queries import DOCUMENTED
from exporter_testing.langfuse.server import GENERATIONS, Langfuse

KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def differences(value: Any, form: Mapping[str, Any], place: str = "") -> list[str]:
    """Return where a value is not of its documented form, or has what is not documented."""
    if value is None and form.get("nullable"):
        return []
    kind = form.get("type")
    if kind and not isinstance(value, KINDS[kind]):
        return [f"{place} is {value!r}, no {kind}"]
    if form.get("format") == "date-time" and datetime.fromisoformat(value).tzinfo is None:
        return [f"{place} is {value!r}, of no time zone"]
    if value not in form.get("enum", [value]):
        return [f"{place} is {value!r}, none of {form['enum']}"]
    if kind == "array":
        items = [differences(one, form["items"], f"{place}[{i}]") for i, one in enumerate(value)]
        return [found for one in items for found in one]
    properties = form.get("properties", {})
    if not properties:
        return []
    found = [f"{place}.{name} lacks" for name in form.get("required", ()) if name not in value]
    for name, one in value.items():
        at = f"{place}.{name}"
        known = name in properties
        found += differences(one, properties[name], at) if known else [f"{at} is not documented"]
    return found


@pytest.mark.parametrize("generation", GENERATIONS[:2])
def test_every_answer_has_its_documented_form(
    langfuse: Langfuse, asking: Asking, generation: str
) -> None:
    if generation != GENERATIONS[0]:
        langfuse.lacks(GENERATIONS[0])
    asking.poll()
    asking.version()
    answered = [one for one in langfuse.asked if one.path in DOCUMENTED["paths"]]
    assert {generation, "/api/public/health"} < {one.path for one in answered}
    for one in answered:
        if one.path in langfuse.says:
            continue
        status, _headers, body = langfuse.answer(one)
        form = DOCUMENTED["paths"][one.path]["answer"]
        assert (status, differences(json.loads(body), form, one.path)) == (200, [])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": 1}, []),
        ({"a": 1, "b": None}, []),
        ({}, [".a lacks"]),
        ({"a": "1"}, [".a is '1', no integer"]),
        ({"a": 1, "b": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00"]}, [".b[1] is"]),
        ({"a": 1, "c": 2}, [".c is not documented"]),
        ([], [" is [], no object"]),
    ],
)
def test_differences_are_seen(value: Any, found: list[str]) -> None:
    times = {"type": "array", "nullable": True, "items": {"type": "string", "format": "date-time"}}
    form = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "integer"}, "b": times},
    }
    told = differences(value, form)
    assert len(told) == len(found)
    assert all(one.startswith(start) for one, start in zip(told, found, strict=True))
