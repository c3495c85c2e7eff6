"""vLLM's own engine: its RequestOutput holds tokens and text, in a stream again and again."""

from typing import Any, NamedTuple

from llmops_monitoring.instrumentation.values import items, read, text_in

Ids = list[Any] | tuple[Any, ...]
Output = tuple[Ids, str]


class _Seen(NamedTuple):
    """One output so far, as much of it as it takes to know it again."""

    tokens: int = 0
    first: object = None
    last: object = None
    characters: int = 0

    def begins(self, ids: Ids) -> bool:
        """Return whether `ids` begin with these tokens, as far as their ends tell."""
        if len(ids) < self.tokens:
            return False
        pairs = ((ids[0], self.first), (ids[self.tokens - 1], self.last))
        return all(type(one) is type(two) is int and one == two for one, two in pairs)


class _Request:
    """The outputs of one request; `repeats` is None until it shows whether they hold all so far."""

    __slots__ = ("repeats", "seen")

    def __init__(self) -> None:
        self.seen: list[_Seen] = []
        self.repeats: bool | None = None

    def take(self, outputs: list[Output]) -> list[Output]:
        """Return what is new."""
        self.seen += [_Seen()] * (len(outputs) - len(self.seen))
        both = list(zip(self.seen, outputs, strict=False))
        for before, (ids, _) in both:
            if before.tokens and ids and self.repeats is not False:
                known = before.begins(ids)
                # A single token that comes again is no proof of either.
                self.repeats = known if len(ids) > 1 or not known else self.repeats
        news: list[Output] = []
        for place, (before, (ids, text)) in enumerate(both):
            over = before if self.repeats and ids else _Seen()
            news.append((ids[over.tokens :], text[over.characters :]))
            if ids:
                self.seen[place] = _Seen(len(ids), ids[0], ids[-1], len(text))
        return news


class EngineOutputs:
    """Tells what is new in each RequestOutput of a call.

    By default (`RequestOutputKind.CUMULATIVE`) each one of a stream repeats all that came before;
    with `DELTA` it holds what is new alone. It does not say which, but its tokens do.
    """

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._requests: dict[str, _Request] = {}

    def add(self, output: dict[str, Any]) -> tuple[bool, list[Output]]:
        """Return whether its request is new, and of each of its outputs the new tokens and text."""
        name = text_in(dict.get(output, "request_id"))
        request = None if name is None else self._requests.get(name)
        first = request is None
        if request is None:
            request = _Request()
            if name is not None:
                self._requests[name] = request
        outputs = items(dict.get(output, "outputs"))
        return first, request.take(
            [(_ids(one), text_in(read(one, "text")) or "") for one in outputs]
        )


def _ids(output: object) -> Ids:
    ids = read(output, "token_ids")
    return ids if type(ids) in {list, tuple} else ()


def length(holder: object, name: str) -> int:
    """Return how many items a list or tuple has, 0 for anything else."""
    held = read(holder, name)
    return len(held) if type(held) in {list, tuple} else 0
