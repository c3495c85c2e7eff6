"""What a collector is, and the names by which decorators ask for one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar, TypeVar


@dataclass(frozen=True, slots=True)
class CollectorContext:
    """The call that a collector is asked about; `duration_ms` is known, since it is over."""

    operation_name: str
    operation_type: str
    session_id: str | None
    trace_id: str | None
    span_id: str
    duration_ms: float


class MetricCollector(ABC):
    """Reads something from what a call was given and gave.

    One of the application's runs after the call, on a thread of its own: it can't slow the call
    down nor break it. It must therefore not change what it is given, nor rely on that nobody else
    does. It is not asked about calls that failed. Of a generator it gets a list of the first
    thousand chunks.
    """

    metric_type: ClassVar[str]
    """A word for what it collects."""

    def should_collect(self, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Return whether `collect` has something to say about this call."""
        del result, args, kwargs
        return True

    @abstractmethod
    def collect(
        self,
        result: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: CollectorContext,
    ) -> Mapping[str, Any]:
        """Return fields of the event, such as `token_metrics` or `cost`, or custom attributes.

        `custom_attributes` holds attributes by name. Any other name that is not one of the event's
        becomes the attribute `<metric_type>.<name>`, and so does one that somebody else took.
        """


class CollectorRegistry:
    """Collectors by name. Those that are built in are always there."""

    _built_in: ClassVar[dict[str, MetricCollector]] = {}
    _registered: ClassVar[dict[str, MetricCollector]] = {}
    _lock: ClassVar[Lock] = Lock()

    @classmethod
    def register(
        cls, name: str, collector: MetricCollector | type[MetricCollector]
    ) -> MetricCollector:
        """Keep a collector under `name`, in place of one that has it, and return it.

        Raises:
            TypeError: When it is no MetricCollector.
            ValueError: When the name is that of one that is built in.
        """
        made: object = collector() if isinstance(collector, type) else collector
        if not isinstance(made, MetricCollector):
            message = f"not a MetricCollector: {type(made).__qualname__}"
            raise TypeError(message)
        if name in cls._built_in:
            message = f"the collector {name} is built in"
            raise ValueError(message)
        with cls._lock:
            cls._registered = {**cls._registered, name: made}
        return made

    @classmethod
    def get(cls, name: str) -> MetricCollector | None:
        """Return the collector of that name, or None."""
        return cls._built_in.get(name) or cls._registered.get(name)

    @classmethod
    def list_available(cls) -> list[str]:
        """Return all names, in order."""
        return sorted({*cls._built_in, *cls._registered})

    @classmethod
    def clear(cls) -> None:
        """Forget all collectors that were registered."""
        with cls._lock:
            cls._registered = {}


C = TypeVar("C", bound=type[MetricCollector])


def built_in(collector: C) -> C:
    """Have a collector of this package under its metric_type."""
    CollectorRegistry._built_in[collector.metric_type] = collector()  # noqa: SLF001  It is of here.
    return collector
