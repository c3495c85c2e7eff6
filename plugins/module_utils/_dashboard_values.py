# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of a dashboard's variables in its queries, written as Grafana's pages write them.

Facts: https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

_VARIABLE = re.compile(
    r"\$(?P<plain>\w+)|\[\[(?P<square>\w+)(?::(?P<square_format>\w+))?\]\]"
    r"|\$\{(?P<braced>\w+)(?:\.[^:}]+)?(?::(?P<format>[^}]+))?\}"
)
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}]")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "M": 2592000.0, "y": 31536000.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwMy])")
_USUAL_RANGE = 6 * 3600.0
_USUAL_POINTS = 1000


@dataclass(frozen=True)
class Value:
    """What a variable stands for: one or several texts, or with `pattern` what the dashboard has for All."""

    texts: Sequence[str]
    is_multiple: bool = False
    pattern: str | None = None

    def first(self) -> Value:
        """Return the value that the first of repeated panels has."""
        return Value(self.texts[:1], self.is_multiple) if self.texts else self


@dataclass(frozen=True)
class Window:
    """From when to when a panel shows, in seconds since the epoch, and how far its points are apart."""

    start: float
    end: float
    step: float
    scrape_interval: float

    def values(self) -> dict[str, Value]:
        """Return Grafana's own variables."""
        length = self.end - self.start
        rate = max(self.step + self.scrape_interval, 4 * self.scrape_interval)
        texts = {
            "__interval": _text(self.step),
            "__interval_ms": str(int(self.step * 1000)),
            "__rate_interval": _text(rate),
            "__rate_interval_ms": str(int(rate * 1000)),
            "__range": f"{int(length)}s",
            "__range_s": str(int(length)),
            "__range_ms": str(int(length * 1000)),
            "__from": str(int(self.start * 1000)),
            "__to": str(int(self.end * 1000)),
        }
        return {name: Value([text]) for name, text in texts.items()}


def window(
    dashboard: Mapping[str, Any], panel: Mapping[str, Any], target: Mapping[str, Any], scrape_interval: str, now: float
) -> Window:
    """Return what a panel shows of a dashboard's time, and the steps in which it asks."""
    shown = dashboard.get("time")
    begin = str(shown.get("from") or "") if isinstance(shown, dict) else ""
    length = seconds(panel.get("timeFrom")) or seconds(begin.removeprefix("now-")) or _USUAL_RANGE
    points = panel.get("maxDataPoints")
    points = points if isinstance(points, (int, float)) and points >= 1 else _USUAL_POINTS
    scrape = seconds(scrape_interval) or 15.0
    least = seconds(target.get("interval")) or seconds(panel.get("interval")) or scrape
    return Window(now - length, now, max(round(length / points), least, 1.0), scrape)


def seconds(text: Any) -> float:
    """Return the length of a duration such as 30s or 7d; 0 when it is none."""
    match = _DURATION.fullmatch(text.strip().lstrip(">")) if isinstance(text, str) else None
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def _text(length: float) -> str:
    return f"{int(length)}s" if length >= 1 else f"{int(length * 1000)}ms"


def scoped(values: Mapping[str, Value], names: Sequence[str]) -> dict[str, Value]:
    """Return the values for a panel that is repeated by some of the variables."""
    return {**values, **{name: values[name].first() for name in names if name in values}}


def filled(node: Any, values: Mapping[str, Value], language: str) -> Any:
    """Return a query with the variables in all of its texts filled in; what isn't known stays as it is.

    `language` is the data source's type: regular expressions for Prometheus and Loki, quoted texts for SQL.
    """
    if isinstance(node, dict):
        return {key: filled(child, values, language) for key, child in node.items()}
    if isinstance(node, list):
        return [filled(child, values, language) for child in node]
    if not isinstance(node, str):
        return node

    def fill(match: re.Match[str]) -> str:
        name = match["plain"] or match["square"] or match["braced"]
        if name not in values:
            return match[0]
        return _formatted(name, values[name], match["format"] or match["square_format"] or "", language)

    return _VARIABLE.sub(fill, node)


def used(node: Any) -> set[str]:
    """Return the names of the variables in all texts of a query."""
    if isinstance(node, dict):
        return set().union(*(used(child) for child in node.values())) if node else set()
    if isinstance(node, list):
        return set().union(*(used(child) for child in node)) if node else set()
    found = _VARIABLE.finditer(node) if isinstance(node, str) else ()
    return {match["plain"] or match["square"] or match["braced"] for match in found}


def _formatted(name: str, value: Value, form: str, language: str) -> str:
    form, _colon, detail = form.partition(":")
    if form == "date":
        return _date(value.texts[0], detail)
    if value.pattern is not None and form not in ("raw", "text", "queryparam"):
        return value.pattern
    texts = value.texts if value.pattern is None else [value.pattern]
    if form in _FORMATS:
        return _FORMATS[form](name, texts)
    if is_sql(language):
        return _sql(name, texts) if value.is_multiple else (texts[0] if texts else "").replace("'", "''")
    if name.startswith("__") or language not in ("prometheus", "loki"):
        return ",".join(texts)
    return _pattern(texts) if value.is_multiple else (texts[0] if texts else "").replace("\\", "\\\\")


def is_sql(language: str) -> bool:
    return "sql" in language or language == "postgres"


def _pattern(texts: Sequence[str]) -> str:
    """Return a regular expression for a query's string, in which backslashes are doubled."""
    escaped = [_SPECIAL.sub(lambda match: "\\\\" + ("\\\\" if match[0] == "\\" else match[0]), text) for text in texts]
    joined = "|".join(text.replace('"', '\\"') for text in escaped)
    return f"({joined})" if len(escaped) > 1 else joined


def _regex(texts: Sequence[str]) -> str:
    joined = "|".join(_SPECIAL.sub(lambda match: "\\" + match[0], text) for text in texts)
    return f"({joined})" if len(texts) > 1 else joined


def _sql(_name: str, texts: Sequence[str]) -> str:
    return ",".join("'" + text.replace("'", "''") + "'" for text in texts)


def _date(text: str, form: str) -> str:
    when = datetime.datetime.fromtimestamp(int(text) / 1000, datetime.timezone.utc)
    if form == "seconds":
        return str(int(text) // 1000)
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


_FORMATS: Mapping[str, Callable[[str, Sequence[str]], str]] = {
    "csv": lambda name, texts: ",".join(texts),
    "raw": lambda name, texts: ",".join(texts),
    "text": lambda name, texts: " + ".join(texts),
    "pipe": lambda name, texts: "|".join(texts),
    "glob": lambda name, texts: "{" + ",".join(texts) + "}" if len(texts) > 1 else "".join(texts),
    "regex": lambda name, texts: _regex(texts),
    "sqlstring": _sql,
    "singlequote": _sql,
    "doublequote": lambda name, texts: ",".join('"' + text.replace('"', '\\"') + '"' for text in texts),
    "json": lambda name, texts: json.dumps(list(texts) if len(texts) != 1 else texts[0]),
    "percentencode": lambda name, texts: quote(",".join(texts), safe=""),
    "queryparam": lambda name, texts: "&".join(f"var-{name}={quote(text, safe='')}" for text in texts),
}


def as_all(texts: Sequence[str], pattern: str | None) -> Value:
    """Return the value All: the dashboard's own pattern, else every text."""
    return Value(list(texts), is_multiple=True, pattern=pattern or None)


def without_options(value: Value) -> Value:
    """Return All for a variable that has no option yet, such that a query stays well-formed and finds what there is."""
    return replace(value, texts=[".+"], pattern=".+")
