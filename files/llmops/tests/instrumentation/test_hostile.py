"""Values that mean ill: none breaks the call, stops the telling, or runs its own code."""

import enum
import json
import math
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_monitoring import CollectorContext, MetricCollector, SpanContext, monitor_llm
from llmops_monitoring.instrumentation.values import (
    LONGEST_TEXT,
    clean,
    identifier,
    jsonable,
    read,
    type_name,
)
from llmops_testing.memory import Measuring, measure, stop


class Hostile:
    """Raises whatever is done to it, and notes what was."""

    touched: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> Any:
        Hostile.touched.append(name)
        raise SystemExit(name)

    def _refuse(self, *_: object) -> Any:
        Hostile.touched.append("method")
        raise SystemExit

    __repr__ = __str__ = __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __format__ = _refuse
    __contains__ = __getitem__ = __call__ = __reduce__ = __sizeof__ = _refuse


class HostileText(str):
    """Is text, and raises when it is treated as such."""

    def _refuse(self, *_: object) -> Any:
        Hostile.touched.append("text")
        raise SystemExit

    _refusing: Any = _refuse
    __str__ = __len__ = __iter__ = __getitem__ = isascii = count = _refuse
    encode = split = _refusing
    startswith = lower = replace = __contains__ = __format__ = __repr__ = _refuse


class HostileDict(dict[Any, Any]):
    """Is a dictionary, and raises when it is asked."""

    def _refuse(self, *_: object) -> Any:
        Hostile.touched.append("dict")
        raise SystemExit

    get = items = keys = values = __getitem__ = __iter__ = __len__ = __contains__ = _refuse


class HostileList(list[Any]):
    """Is a list, and raises when it is asked."""

    def _refuse(self, *_: object) -> Any:
        Hostile.touched.append("list")
        raise SystemExit

    __iter__ = __len__ = __getitem__ = _refuse


class Lazy:
    """Loads for a long time when somebody looks at it."""

    @property
    def usage(self) -> Any:
        Hostile.touched.append("usage")
        threading.Event().wait(60)

    content = choices = output = data = images = usage

    @property  # type: ignore[misc]  # That of object can be set.
    def __class__(self) -> Any:
        Hostile.touched.append("class")
        raise SystemExit


class Color(enum.Enum):
    RED = "red"


def _itself() -> list[Any]:
    held: list[Any] = []
    held.append(held)
    return held


def _laughs() -> list[Any]:
    held: list[Any] = ["ha"] * 10
    for _ in range(12):
        held = [held] * 10
    return held


CORPUS: dict[str, Any] = {
    "huge text": "word " * 4_000_000,
    "huge text of four bytes": "\U0001f600" * 1_000_000,
    "lone surrogates": "a\ud800b\udfff",
    "surrogate pair": "\ud83d\ude00",
    "zero character": "a\0b",
    "not a number": math.nan,
    "infinite": -math.inf,
    "huge number": 10**5000,
    "object": object(),
    "hostile": Hostile(),
    "hostile text": HostileText("text"),
    "hostile dictionary": HostileDict(usage=HostileDict(prompt_tokens=3), content="a"),
    "hostile list": HostileList(["a", "b"]),
    "lazy": Lazy(),
    "holds itself": _itself(),
    "billion laughs": _laughs(),
    "deep": json.loads("[" * 900 + "]" * 900),
    "wide": {str(number): number for number in range(100_000)},
    "keys of all kinds": {1: "a", None: "b", (1, 2): "c", object(): "d", "\ud800": "e", b"x": "f"},
    "set": {1, 2},
    "bytes": b"\xff" * 10_000_000,
    "view": memoryview(b"abc"),
    "function": print,
    "type": Hostile,
    "exception": ValueError("secret"),
    "generator": (one for one in "abc"),
    "lock": threading.Lock(),
    "usage of nonsense": {"usage": Hostile(), "model": Hostile(), "choices": Hostile()},
    "choices of nonsense": {"choices": [Hostile(), None, 7, {"message": Hostile()}]},
    "nested hostile text": {"choices": [{"message": {"content": HostileText("abc")}}]},
    "model of nonsense": {"usage": {"prompt_tokens": 1}, "model": HostileText("gpt-4o\ud800")},
    "image of nonsense": {"data": [{"b64_json": HostileText("%%%")}], "images": [Hostile()]},
    "namespace of nonsense": SimpleNamespace(usage=Hostile(), content=[Hostile()], _size=(1, "a")),
}
NAMES = pytest.mark.parametrize("name", CORPUS)


class Echo(MetricCollector):
    """Says all that it was given."""

    metric_type = "echo"

    def collect(self, result: Any, args: Any, kwargs: Any, context: CollectorContext) -> Any:
        del context
        return {"result": result, "custom_attributes": {"args": args, "kwargs": kwargs}}


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Show that no code of a value has run."""
    Hostile.touched.clear()
    yield
    assert not Hostile.touched


@NAMES
def test_value_is_stored_as_json(name: str) -> None:
    told = json.dumps(jsonable(CORPUS[name]), allow_nan=False)
    told.encode()
    assert len(told) < 100_000
    assert "secret" not in told
    assert "\\u0000" not in told


@NAMES
@pytest.mark.parametrize("captured", [False, True])
def test_value_goes_through_a_call(measuring: Measuring, name: str, captured: bool) -> None:
    memory = measuring(capture_content=captured, measure_text=True, measure_images=True)
    value = CORPUS[name]

    @monitor_llm("call", collectors=[Echo()], custom_attributes={"value": value})
    def function(given: Any, **more: Any) -> Any:
        return given if more else None

    with SpanContext(session_id="s"):
        assert function(value, more=value) is value
    event = memory.event
    json.loads(event.model_dump_json())
    assert not memory.problems.counts()


@NAMES
def test_value_goes_through_a_stream(measuring: Measuring, name: str) -> None:
    memory = measuring(capture_content=True, measure_text=True, measure_images=True)
    value = CORPUS[name]

    @monitor_llm("stream")
    def stream() -> Iterator[Any]:
        yield value
        yield value

    found = list(stream())
    assert found[0] is found[1] is value
    assert memory.event.stream_metrics is not None
    assert not memory.problems.counts()


@NAMES
def test_value_as_a_session(measuring: Measuring, name: str) -> None:
    memory = measuring()
    value = CORPUS[name]

    @monitor_llm("call", session_id_from="given", trace_id_from=lambda given: given)
    def function(given: Any) -> Any:
        return given

    assert function(value) is value
    event = memory.event
    assert len(event.session_id or "") <= 256
    event.model_dump_json().encode()


def test_session_that_cannot_be_found_out(measuring: Measuring) -> None:
    memory = measuring()

    @monitor_llm("call", session_id_from=lambda: 1 / 0)
    def function() -> int:
        return 1

    assert function() == 1
    assert memory.event.session_id is None
    assert memory.problems.counts() == {"session_id_from": 1}


def test_error_with_a_hostile_message(measuring: Measuring) -> None:
    memory = measuring(record_error_messages=True)

    class BadError(Exception):
        def __str__(self) -> str:
            raise ValueError

    @monitor_llm
    def fails() -> None:
        raise BadError

    with pytest.raises(BadError):
        fails()
    event = memory.event
    assert str(event.error_type).endswith("<locals>.BadError")
    assert memory.problems.counts() == {"exception": 1}


def test_transport_that_raises_is_nobodys_error() -> None:
    memory = measure()

    def refuse(_: object) -> None:
        raise EOFError

    memory.recorder._put = refuse  # noqa: SLF001

    @monitor_llm
    def function() -> int:
        return 1

    @monitor_llm
    def stream() -> Iterator[int]:
        yield 1

    @monitor_llm
    def fails() -> int:
        raise LookupError

    try:
        assert function() == 1
        assert list(stream()) == [1]
        with pytest.raises(LookupError):
            fails()
    finally:
        stop()
    assert memory.problems.counts() == {"recorder": 3}


def test_errors_of_ours_escape_where_tests_want_it() -> None:
    memory = measure(fail_silently=False)

    def refuse(_: object) -> None:
        raise EOFError

    memory.recorder._put = refuse  # noqa: SLF001
    try:
        with pytest.raises(EOFError):
            monitor_llm(lambda: 1)()
    finally:
        stop()


def test_problem_is_logged_once(measuring: Measuring, caplog: pytest.LogCaptureFixture) -> None:
    memory = measuring()

    @monitor_llm("call", session_id_from=lambda: 1 / 0)
    def function() -> None:
        """Do nothing."""

    for _ in range(5):
        function()
    assert len(caplog.records) == 1
    assert "session_id_from: ZeroDivisionError" in caplog.text
    assert memory.problems.counts() == {"session_id_from": 5}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**63 - 1, 2**63 - 1),
        (2**64, "0x10000000000000000"),
        (1.5, 1.5),
        (math.nan, None),
        ("a\ud800\0", "a\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),
        (Color.RED, "red"),
        (Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Path("/tmp"), "/tmp"),  # noqa: S108
        (b"abc", "<3 bytes>"),
        ((1, "a"), [1, "a"]),
        ({1: 2, None: 3}, {"1": 2, "<NoneType>": 3}),
        (OrderedDict(a=1), {"a": 1}),
        (object(), "<object>"),
        (Color, "<enum.EnumType>"),
        (list(range(300)), [*range(256), "…"]),
    ],
)
def test_what_json_says(value: object, expected: object) -> None:
    assert jsonable(value) == expected


@given(st.text())
def test_any_text_can_be_kept(text: str) -> None:
    told = clean(text, 10)
    told.encode()
    assert len(told) <= 10
    assert "\0" not in told


def test_long_text_is_cut() -> None:
    assert clean("x" * (LONGEST_TEXT + 1)) == "x" * (LONGEST_TEXT - 1) + "…"


def test_reading_what_is_not_there() -> None:
    class Slots:
        __slots__ = ("model",)

    assert read(Slots(), "model") is None
    assert read(None, "model") is None
    assert read(7, "real") is None


def test_names_of_types() -> None:
    assert type_name(int) == "int"
    assert type_name(Decimal) == "decimal.Decimal"


def test_identifiers() -> None:
    assert identifier("") is None
    assert identifier("x" * 300) == "x" * 255 + "…"
    with pytest.raises(TypeError, match=r"not an id: float"):
        identifier(1.5)
