"""Text: where a result holds it, and how much there is of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmops_monitoring.event import TextMetrics, assemble
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    MetricCollector,
    built_in,
)
from llmops_monitoring.instrumentation.values import items, read, stored, text_in

# A longer text is measured at once and not kept, so that calls that wait hold little memory.
LONGEST_KEPT: Final = 4096
_PIECE: Final = 65536


class TextCount:
    """Counts text that comes in pieces as if it came at once."""

    __slots__ = ("_in_line", "_in_word", "bytes", "characters", "lines", "words")

    def __init__(self) -> None:
        """Begin with no text."""
        self.characters = self.words = self.bytes = self.lines = 0
        self._in_word = self._in_line = False

    def add(self, text: str) -> None:
        """Count `text`, which goes on where the last one ended."""
        # In pieces: the words of a huge text would take many times its memory.
        for start in range(0, len(text), _PIECE):
            self._add(text[start : start + _PIECE])

    def _add(self, piece: str) -> None:
        self.characters += len(piece)
        encoded = piece if piece.isascii() else piece.encode("utf-8", "surrogatepass")
        self.bytes += len(encoded)
        goes_on = self._in_word and not piece[0].isspace()
        self.words += len(piece.split()) - goes_on
        self._in_word = not piece[-1].isspace()
        ends = piece[-1] == "\n"
        self.lines += piece.count("\n") + (not ends) - self._in_line
        self._in_line = not ends

    def metrics(self) -> TextMetrics:
        """Return what was counted."""
        return assemble(
            TextMetrics,
            {
                "characters": self.characters,
                "words": self.words,
                "bytes": self.bytes,
                "lines": self.lines,
            },
        )


def texts(result: object) -> list[str] | None:
    """Return the texts that a result or a chunk holds, or None where it has no place for any.

    Strings, and lists of them; OpenAI's chat and text completions and responses, whole and
    streamed, and so vLLM's and LiteLLM's; Anthropic's messages and stream events; vLLM's
    RequestOutput; messages with `content` or `text`.
    """
    text = text_in(result)
    if text is not None:
        return [text]
    found: list[str] = []
    if type(result) in {list, tuple}:
        return found if _gather_all(result, found) else None
    return found if _gather(result, found) else None


def _gather_all(results: object, found: list[str]) -> bool:
    """Add the texts of answers, up to the first item that is none; return whether one was."""
    known = False
    for one in items(results):
        # A list within is not looked into: it may be long, or hold itself.
        if not (_append(one, found) or _gather(one, found)):
            break
        known = True
    return known


def _gather(result: object, found: list[str]) -> bool:
    """Add the texts of one answer; return whether it has a known shape."""
    known = False
    result = stored(result)
    for choices in ("choices", "outputs"):
        for one in items(dict.get(result, choices)):
            known = True
            choice = stored(one)
            holders = (dict.get(choice, "message"), dict.get(choice, "delta"), choice)
            for holder in holders:
                if holder is not None and _content(holder, found):
                    break
    for part in items(dict.get(result, "output")):
        known = True
        _content(part, found)
    delta = dict.get(result, "delta")
    if _append(delta, found):
        return True
    return _content(delta if delta is not None else result, found) or known


def _content(holder: object, found: list[str]) -> bool:
    fields = stored(holder)
    for name in ("content", "text"):
        content = dict.get(fields, name)
        if _append(content, found):
            return True
        if type(content) in {list, tuple}:
            found.extend(text for one in items(content) for text in _block(one))
            return True
    return False


def _block(block: object) -> Iterator[str]:
    found: list[str] = []
    if not _append(block, found):
        _append(read(block, "text"), found)
    yield from found


def _append(value: object, found: list[str]) -> bool:
    text = text_in(value)
    if text is None:
        return False
    found.append(text)
    return True


class Text:
    """The texts of one call: as they are while they are short, then only their count."""

    __slots__ = ("_count", "_kept", "_length")

    def __init__(self, found: list[str] | None = None) -> None:
        """Begin with these texts."""
        self._kept: list[str] = []
        self._length = 0
        self._count: TextCount | None = None
        for text in found or ():
            self.add(text)

    def add(self, text: str) -> None:
        """Take one more piece."""
        self._kept.append(text)
        self._length += len(text)
        if self._length > LONGEST_KEPT:
            self._settle()

    def _settle(self) -> TextCount:
        count = self._count = self._count or TextCount()
        for text in self._kept:
            count.add(text)
        self._kept, self._length = [], 0
        return count

    def metrics(self) -> TextMetrics:
        """Return how much it was."""
        return self._settle().metrics()


@built_in
class TextCollector(MetricCollector):
    """Characters, words, bytes and lines of the text that a call gave."""

    metric_type = "text"

    def collect(
        self,
        result: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: CollectorContext,
    ) -> Mapping[str, Any]:
        """Return `text_metrics`, or nothing where the result has no place for text."""
        del args, kwargs, context
        found = texts(result)
        return {} if found is None else {"text_metrics": Text(found).metrics()}
