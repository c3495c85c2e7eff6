"""What a collector of the application says about a call, checked and within bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, cast

from pydantic import BaseModel, JsonValue, TypeAdapter

from llmops_monitoring.event import Dollars, ImageMetrics, TextMetrics, TokenMetrics
from llmops_monitoring.instrumentation.collectors.registry import MetricCollector
from llmops_monitoring.instrumentation.values import LONGEST_NAME, clean, jsonable

ATTRIBUTES: Final = "custom_attributes"
PARTS: Final[Mapping[str, type[BaseModel]]] = {
    "text_metrics": TextMetrics,
    "image_metrics": ImageMetrics,
    "token_metrics": TokenMetrics,
}
_COST: Final = "cost"
_DOLLARS: Final[TypeAdapter[float]] = TypeAdapter(Dollars)
_MOST_NAMES: Final = 1000


@dataclass(slots=True)
class Said:
    """What one collector says.

    Attributes:
        kind: The collector's metric_type.
        fields: Fields of the event.
        attributes: Attributes by name, of which one may stand there twice.
    """

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: list[tuple[str, JsonValue]] = field(default_factory=list)


def read_said(collector: MetricCollector, found: object) -> Said:
    """Return what `collector` gave; mappings and objects of the application run their code here.

    Raises:
        Exception: It is nonsense, or its own code raises.
    """
    said = Said(clean(str(collector.metric_type), LONGEST_NAME))
    for name, value in _pairs(found).items():
        if name in PARTS:
            part = PARTS[name]
            said.fields[name] = value if type(value) is part else _checked(part, value)
        elif name == _COST:
            said.fields[name] = None if value is None else _DOLLARS.validate_python(value)
        elif name == ATTRIBUTES:
            told = cast("dict[str, JsonValue]", jsonable(_pairs(value)))
            said.attributes.extend(told.items())
        else:
            own = f"{said.kind}.{clean(str(name), LONGEST_NAME)}"
            said.attributes.append((own, jsonable(value)))
    return said


def _pairs(given: object) -> dict[Any, Any]:
    if not isinstance(given, Mapping):
        message = f"no mapping: {type(given).__qualname__}"
        raise TypeError(message)
    # One that never ends would fill the memory.
    return dict(islice(given.items(), _MOST_NAMES))


def _checked(part: type[BaseModel], value: Any) -> BaseModel:
    """Return a part that a collector made, with text that every store takes."""
    found = part.model_validate(value, from_attributes=True)
    texts = {
        name: clean(one, LONGEST_NAME)
        for name, one in found.__dict__.items()
        if isinstance(one, str)
    }
    return found.model_copy(update=texts)
