"""Cost: tokens by the prices of a table that is shipped, and the application's own on top."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Final

from llmops_monitoring.config import Price
from llmops_monitoring.event import TokenMetrics
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    MetricCollector,
    built_in,
)
from llmops_monitoring.instrumentation.collectors.tokens import tokens

_MILLION: Final = 1_000_000
_MOST_NAMES: Final = 1000
# How gateways write which provider a model is asked from.
_PROVIDERS: Final = ("openai/", "anthropic/", "azure/")
# What may follow the name of a shipped price: the day of a snapshot. What else follows makes it
# another model, whose price is not known.
_SNAPSHOT: Final = re.compile(r"[-@:](latest|\d{4}-\d{2}-\d{2}|\d{8})")
_SEPARATOR: Final = re.compile(r"[-@:./_]")


@dataclass(frozen=True, slots=True)
class ShippedPrices:
    """The table of this version: the day it was true, where it is from, and prices by name."""

    as_of: date
    source: str
    models: Mapping[str, Price]


@cache
def shipped_prices() -> ShippedPrices:
    """Return the table that is shipped with this package."""
    table = files("llmops_monitoring.instrumentation.collectors") / "prices.json"
    told = json.loads(table.read_text())
    models = {name: Price.model_validate(price) for name, price in told["models"].items()}
    return ShippedPrices(date.fromisoformat(told["as_of"]), told["source"], models)


class Prices:
    """Finds prices: the application's own first, then the shipped ones, by the longest name."""

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        """Put the prices `own` on top of the shipped ones."""
        self._own = _longest_first(own or {})
        self._shipped = _longest_first(shipped_prices().models)
        self._found: dict[str, tuple[Price, bool] | None] = {}

    def find(self, model: str) -> Price | None:
        """Return the price of a model, or None where it is not known."""
        found = self._find(model)
        return found[0] if found else None

    def cost(self, metrics: TokenMetrics, told: float | None = None) -> float | None:
        """Return what these tokens cost in US dollars, or None where no price is known.

        What the answer itself `told` is truer than the shipped table, but not than own prices.
        """
        found = self._find(metrics.model) if metrics.model is not None else None
        if told is not None and not (found and found[1]):
            return told
        return _cost(metrics, found[0]) if found else None

    def _find(self, model: str) -> tuple[Price, bool] | None:
        if model not in self._found:
            # A name that changes with every call must not fill the memory.
            if len(self._found) >= _MOST_NAMES:
                self._found.clear()
            self._found[model] = self._search(model.lower())
        return self._found[model]

    def _search(self, model: str) -> tuple[Price, bool] | None:
        plain = model
        for provider in _PROVIDERS:
            plain = plain.removeprefix(provider)
        for name, price in self._own:
            for one in (model, plain):
                if one.startswith(name) and (one == name or _SEPARATOR.match(one, len(name))):
                    return price, True
        for name, price in self._shipped:
            if plain.startswith(name) and (plain == name or _SNAPSHOT.fullmatch(plain, len(name))):
                return price, False
        return None


@cache
def _usual_prices() -> Prices:
    """Return the shipped prices alone, sorted once and not for each call."""
    return Prices()


def _longest_first(prices: Mapping[str, Price]) -> list[tuple[str, Price]]:
    return sorted(
        ((name.lower(), price) for name, price in prices.items()), key=lambda one: -len(one[0])
    )


def _cost(metrics: TokenMetrics, price: Price) -> float | None:
    if price.up_to_input_tokens is not None and metrics.input_tokens > price.up_to_input_tokens:
        return None
    cached = metrics.cached_input_tokens or 0
    written = metrics.cache_write_tokens or 0
    fresh = max(metrics.input_tokens - cached - written, 0)
    dollars = (
        fresh * price.input
        + cached * (price.input if price.cached_input is None else price.cached_input)
        + written * (price.input if price.cache_write is None else price.cache_write)
        + metrics.output_tokens * price.output
    )
    return dollars / _MILLION


@built_in
class CostCollector(MetricCollector):
    """What the tokens that an answer tells cost by the shipped prices."""

    metric_type = "cost"

    def collect(
        self,
        result: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: CollectorContext,
    ) -> Mapping[str, Any]:
        """Return `cost` in US dollars, or nothing where it is not known."""
        del args, kwargs, context
        found = tokens(result)
        metrics = found.metrics() if found else None
        if found is None or metrics is None:
            return {}
        cost = _usual_prices().cost(metrics, found.cost)
        return {} if cost is None else {"cost": cost}
