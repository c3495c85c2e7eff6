"""Long lists in JSON, entry by entry: all of them at once would take many times their text."""

import json
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Answer

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


def entries(answer: Answer, key: str) -> Iterator[Mapping[str, Any]]:
    """Give the objects in the list `key` of an answer that is a JSON object.

    Raises:
        UpstreamError: When it is no UTF-8, no JSON, no object, or has no such list.
    """
    try:
        found = yield from _walk(answer.body, key)
    except UnicodeDecodeError:
        raise UpstreamError(Reason.ENCODING, f"{answer.where}: the answer is no UTF-8") from None
    except (ValueError, RecursionError):
        raise UpstreamError(
            Reason.UNPARSABLE, f"{answer.where}: the answer is no JSON object"
        ) from None
    if not found:
        raise UpstreamError(Reason.UNPARSABLE, f"{answer.where}: the answer has no list {key}")


def _walk(body: bytes, key: str) -> Generator[Mapping[str, Any], None, bool]:
    """Give the objects in the list; return whether there is one."""
    # A character for each byte: places in one are places in the other, and it is never larger.
    text = body.decode("latin-1")
    found = False
    at = _expect(text, 0, "{")
    more = text[at : at + 1] != "}"
    while more:
        name, at = _DECODER.raw_decode(text, at)
        at = _expect(text, at, ":")
        if name == key and text[at : at + 1] == "[":
            found = True
            at = yield from _items(body, text, at)
        else:
            at = _DECODER.raw_decode(text, at)[1]
        at = _skip(text, at)
        more = text[at : at + 1] == ","
        at = _skip(text, at + 1) if more else at
    if _expect(text, at, "}") != len(text):
        raise ValueError(text[at])
    return found


def _items(body: bytes, text: str, at: int) -> Generator[Mapping[str, Any], None, int]:
    """Give the objects in the list that begins at `at`; return where what follows it begins."""
    at = _expect(text, at, "[")
    more = text[at : at + 1] != "]"
    while more:
        start, (_, at) = at, _DECODER.raw_decode(text, at)
        entry = json.loads(body[start:at].decode())
        if isinstance(entry, dict):
            yield entry
        at = _skip(text, at)
        more = text[at : at + 1] == ","
        at = _skip(text, at + 1) if more else at
    return _expect(text, at, "]")


def _expect(text: str, at: int, sign: str) -> int:
    """Return where what follows `sign` begins; ValueError when that is not what comes next."""
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(sign)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    """Return where white space that begins at `at` ends."""
    space = _SPACE.match(text, at)
    return space.end() if space else at
