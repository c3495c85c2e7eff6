"""Thresholds of panels, from the same files as those of the alerts, so that they can't differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from . import colours

_ROLE = Path(__file__).resolve().parents[2] / "roles" / "prometheus"


@dataclass(frozen=True)
class Limits:
    """Values from which on a colour holds.

    Attributes:
        steps: (value, colour), rising; the first has no value and holds below the second.
        low_is_bad: Whether what is below a value is worse than what is above it.
    """

    steps: tuple[tuple[float | None, str], ...]
    low_is_bad: bool = False

    def lines(self) -> Limits:
        """Return the same for lines at these values: each in the colour of the side that it warns of."""
        if not self.low_is_bad:
            return self
        values = [step[0] for step in self.steps]
        colours_below = [step[1] for step in self.steps]
        return Limits(tuple(zip(values, [colours_below[-1], *colours_below[:-1]], strict=True)), low_is_bad=True)


# A number that is neither good nor bad.
NONE = Limits(((None, colours.PLAIN),))


def above(*, warning: float | None = None, critical: float | None = None) -> Limits:
    """Return limits of what is bad when it is high: from `warning` on, and from `critical` on."""
    steps = [(warning, colours.WARNING), (critical, colours.CRITICAL)]
    return Limits(((None, colours.OK), *((value, colour) for value, colour in steps if value is not None)))


def below(*, warning: float | None = None, critical: float | None = None) -> Limits:
    """Return limits of what is bad when it is low: below `warning`, and below `critical`."""
    lowest = colours.WARNING if critical is None else colours.CRITICAL
    steps = [(critical, colours.WARNING if warning is not None else colours.OK), (warning, colours.OK)]
    shown = ((value, colour) for value, colour in steps if value is not None)
    return Limits(((None, lowest), *shown), low_is_bad=True)


def alert(name: str, parameter: str = "threshold") -> float:
    """Return a parameter of an alert, in the unit that docs/alerts.md gives it.

    Raises:
        KeyError: When there is no such alert or parameter.
    """
    return float(_alerts()[name][parameter])


def alert_text(name: str, parameter: str) -> str:
    """Return a parameter of an alert that is text, such as a duration or a regular expression.

    Raises:
        KeyError: When there is no such alert or parameter.
    """
    return str(_alerts()[name][parameter])


def default(name: str) -> float:
    """Return a number among the defaults of the role prometheus, such as prometheus_ttft_target.

    Raises:
        KeyError: When it has no such variable.
    """
    return float(_read(_ROLE / "defaults" / "main.yml")[name])


def default_text(name: str) -> str:
    """Return a default of the role prometheus that is text, such as prometheus_scrape_timeout.

    Raises:
        KeyError: When it has no such variable.
    """
    return str(_read(_ROLE / "defaults" / "main.yml")[name])


@cache
def _alerts() -> dict[str, dict[str, Any]]:
    """Return the parameters of all alerts by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((_ROLE / "vars" / "main").glob("*_alerts.yml")):
        for catalogue in _read(path).values():
            found.update(catalogue)
    return found


@cache
def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read
