"""What a decorator knows of its function, and what is to be noted of each call of it."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from pydantic import JsonValue

from llmops_monitoring.instrumentation.collectors.cost import CostCollector
from llmops_monitoring.instrumentation.collectors.image import ImageCollector
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorRegistry,
    MetricCollector,
)
from llmops_monitoring.instrumentation.collectors.text import TextCollector
from llmops_monitoring.instrumentation.collectors.tokens import TokenCollector
from llmops_monitoring.instrumentation.problems import logger
from llmops_monitoring.instrumentation.values import LONGEST_NAME, clean, jsonable

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]
Asker = Callable[[Args, Kwargs], object]
Wanted = str | Callable[..., object] | None
Collectors = Iterable[str | MetricCollector | type[MetricCollector]]

_BOUND: Final = ("self", "cls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the decorator was given."""

    operation_type: str = "llm_call"
    measure_text: bool | None = None
    measure_images: bool | None = None
    collectors: Collectors = ()
    session_id_from: Wanted = None
    trace_id_from: Wanted = None
    custom_attributes: Mapping[str, object] = field(default_factory=dict)


class Source:
    """What is the same for all calls of one function."""

    __slots__ = (
        "attributes",
        "bound_to",
        "measure_images",
        "measure_text",
        "name",
        "parameters",
        "plan",
        "session_from",
        "trace_from",
        "type",
        "wanted",
    )

    def __init__(self, function: Callable[..., Any], name: str | None, options: Options) -> None:
        """Look at the function once, when it is decorated."""
        told = name if name is not None else _name(function)
        self.name = clean(str(told), LONGEST_NAME)
        self.type = clean(str(options.operation_type), LONGEST_NAME)
        self.measure_text = options.measure_text
        self.measure_images = options.measure_images
        self.wanted = tuple(options.collectors)
        self.attributes = _attributes(options.custom_attributes)
        parameters = _parameters(function)
        self.parameters = tuple(
            name for name, one in parameters.items() if one.kind != one.KEYWORD_ONLY
        )
        self.session_from = _asker(options.session_id_from, parameters, self.name)
        self.trace_from = _asker(options.trace_id_from, parameters, self.name)
        # What a recorder made of the above: one comparison a call tells that it still holds.
        self.bound_to: object = None
        self.plan: Any = None

    def collectors(self) -> tuple[set[str], tuple[MetricCollector, ...]]:
        """Return the built-in collectors that are wanted, by metric_type, and the others."""
        built_in: set[str] = set()
        others: list[MetricCollector] = []
        for one in self.wanted:
            found = _collector(one)
            if found is None:
                logger.warning("%s: there is no collector %s; it is left out", self.name, one)
            elif isinstance(found, (TextCollector, ImageCollector, TokenCollector, CostCollector)):
                built_in.add(found.metric_type)
            else:
                others.append(found)
        return built_in, tuple(others)

    def named(self, args: Args, kwargs: Kwargs) -> dict[str, object]:
        """Return the arguments of a call by the names of their parameters."""
        names = self.parameters
        found: dict[str, object] = {}
        for place, value in enumerate(args):
            name = names[place] if place < len(names) else f"args[{place}]"
            if not (place == 0 and name in _BOUND):
                found[name] = value
        return {**found, **kwargs}


def _attributes(given: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return custom attributes as JSON."""
    told = jsonable(dict(given))
    return told if isinstance(told, dict) else {}


def _name(function: Callable[..., Any]) -> str:
    """Return `Class.method` or `function`, wherever it was defined."""
    inner = function.func if isinstance(function, partial) else function
    name = getattr(inner, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters, those that can be given by position first; none where unknown."""
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    return {
        name: one
        for name, one in found.items()
        if one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
    }


def _asker(
    wanted: Wanted, parameters: Mapping[str, inspect.Parameter], operation: str
) -> Asker | None:
    if wanted is None:
        return None
    if callable(wanted):
        return lambda args, kwargs: wanted(*args, **kwargs)
    name = str(wanted)
    parameter = parameters.get(name)
    if parameter is None:
        # It may still come by name, where a function takes any.
        logger.warning("%s: no parameter is called %s; it is looked for by name", operation, name)
        return lambda _, kwargs: kwargs.get(name)
    place = list(parameters).index(name) if parameter.kind != parameter.KEYWORD_ONLY else None
    default = None if parameter.default is parameter.empty else parameter.default

    def ask(args: Args, kwargs: Kwargs) -> object:
        if place is not None and place < len(args):
            return args[place]
        return kwargs.get(name, default)

    return ask


def _collector(wanted: object) -> MetricCollector | None:
    if isinstance(wanted, str):
        return CollectorRegistry.get(wanted)
    if isinstance(wanted, type) and issubclass(wanted, MetricCollector):
        return wanted()
    return wanted if isinstance(wanted, MetricCollector) else None
