"""What is taken from a call before its caller goes on: little, and nothing that may change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import JsonValue

from llmops_monitoring.config import MonitorConfig
from llmops_monitoring.event import ImageMetrics
from llmops_monitoring.instrumentation.collectors.image import measure
from llmops_monitoring.instrumentation.collectors.text import Text, texts
from llmops_monitoring.instrumentation.collectors.tokens import Tokens, tokens
from llmops_monitoring.instrumentation.problems import Problems
from llmops_monitoring.instrumentation.source import Args, Kwargs, Source
from llmops_monitoring.instrumentation.values import clean, jsonable, jsonable_arguments

T = TypeVar("T")

# Nothing but their value is in them, so neither tokens nor content of an answer.
PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
INPUT: Final = "content.input"
OUTPUT: Final = "content.output"
MESSAGE: Final = "exception.message"


@dataclass(slots=True, eq=False)
class Noted:
    """What was taken from one call. Only collectors of the application get hold of its objects."""

    text: Text | None = None
    tokens: Tokens | None = None
    images: ImageMetrics | None = None
    attributes: dict[str, JsonValue] | None = None
    asked: tuple[Any, Args, Kwargs] | None = None


class Plan:
    """What to note of the calls of one function, under one configuration."""

    __slots__ = ("_config", "_problems", "collectors", "content", "images", "text", "tokens")

    def __init__(self, source: Source, config: MonitorConfig, problems: Problems) -> None:
        """Settle what the decorator leaves to the configuration."""
        built_in, self.collectors = source.collectors()
        said = (source.measure_text, source.measure_images)
        text, images = said
        self.text = "text" in built_in or (config.measure_text if text is None else text)
        self.images = "image" in built_in or (config.measure_images if images is None else images)
        self.tokens = bool(config.measure_tokens or built_in & {"tokens", "cost"})
        self.content = config.capture_content
        self._config = config
        self._problems = problems

    def note(self, source: Source, result: Any, args: Args, kwargs: Kwargs) -> Noted | None:
        """Return what is to be kept of a call that gave `result`, None for nothing."""
        plain = type(result) in PLAIN
        if plain and not (self.text or self.images or self.content or self.collectors):
            return None
        noted = Noted()
        if self.text:
            found = self.guarded("text", texts, result)
            noted.text = None if found is None else Text(found)
        if self.tokens and not plain:
            noted.tokens = self.guarded("tokens", tokens, result)
        if self.images:
            noted.images = self.guarded("image", measure, result)
        if self.content:
            noted.attributes = self.input(source, args, kwargs)
            self.guarded("content", self._output, noted.attributes, result)
        if self.collectors:
            noted.asked = (result, args, kwargs)
        return noted

    def fail(
        self, source: Source, error: BaseException, args: Args, kwargs: Kwargs
    ) -> Noted | None:
        """Return what is to be kept of a call that raised `error`, None for nothing."""
        attributes = self.input(source, args, kwargs) if self.content else {}
        if self._config.record_error_messages:
            message = self.guarded("exception", str, error)
            attributes[MESSAGE] = clean(message) if message is not None else None
        return Noted(attributes=attributes) if attributes else None

    def input(self, source: Source, args: Args, kwargs: Kwargs) -> dict[str, JsonValue]:
        """Return the attribute that holds the arguments, masked."""
        named = source.named(args, kwargs)
        told = self.guarded("content", jsonable_arguments, named, self.masked)
        return {} if told is None else {INPUT: told}

    def masked(self, text: str) -> str:
        """Return text as it may be kept: masked whole, since half a secret passes a mask."""
        mask = self._config.mask
        if mask is not None:
            masked: object = mask(text)
            if not isinstance(masked, str):
                message = "the mask gave no text"
                raise TypeError(message)
            text = masked
        return clean(text)

    def _output(self, attributes: dict[str, JsonValue], result: object) -> None:
        found = texts(result)
        told = jsonable(result, self.masked) if found is None else self.masked("".join(found))
        attributes[OUTPUT] = told

    def guarded(self, place: str, function: Callable[..., T], *values: Any) -> T | None:
        """Return what `function` gives, or None and a counted problem where it raises."""
        try:
            return function(*values)
        except Exception as error:
            if not self._config.fail_silently:
                raise
            self._problems.note(place, error)
            return None
