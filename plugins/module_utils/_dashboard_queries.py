# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a Grafana what a dashboard's pages would ask: the options of variables, and the queries of panels.

Facts: https://grafana.com/docs/grafana/latest/developers/http_api/data_source/#query-a-data-source

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmops.monitoring.plugins.module_utils import _dashboard_values as values_of
from ansible_collections.llmops.monitoring.plugins.module_utils._dashboard_values import Value, Window
from ansible_collections.llmops.monitoring.plugins.module_utils._dashboards import (
    Dashboard,
    Panel,
    mapping,
    mappings,
    source_of,
)
from ansible_collections.llmops.monitoring.plugins.module_utils._grafana import GrafanaClient, GrafanaError

_LABEL_VALUES = re.compile(r"\s*label_values\(\s*(?:(?P<selector>.*\S)\s*,\s*)?(?P<label>\w+)\s*\)\s*", re.DOTALL)
_JAVASCRIPT_GROUP = re.compile(r"\(\?<(?=[A-Za-z])")
# Not asked of a data source, but of Grafana itself or of another panel.
_WITHIN_GRAFANA = ("grafana", "-- Grafana --", "-- Dashboard --", "__expr__")
_SHOWN = 400


class NoValue(Exception):
    """A variable has no value, or a data source can't be told; the text says why."""


class NoSource(NoValue):
    """Grafana has no such data source, as when the service behind it is switched off."""


@dataclass
class Outcome:
    """What a query gave: an error in Grafana's words, or how many values; `query` is as it was sent.

    `reason` says why it was not sent although that is no error.
    """

    dashboard: str
    panel: str
    query: str
    values: int = 0
    error: str = ""
    reason: str = ""


@dataclass
class Asker:
    """Asks for one dashboard, whose variables it fills in as somebody sees it who opens it and chooses All."""

    client: GrafanaClient
    sources: Sequence[Mapping[str, Any]]
    dashboard: Dashboard
    now: float
    values: dict[str, Value] = field(default_factory=dict)
    lacking: dict[str, NoValue] = field(default_factory=dict)

    def fill(self) -> None:
        """Find the values of all variables, in order, for one may be part of the next."""
        for variable in mappings(mapping(self.dashboard.body.get("templating")).get("list")):
            name = str(variable.get("name"))
            try:
                self.values[name] = self._value(variable)
            except NoValue as error:
                self.lacking[name] = error

    def ask(self, panel: Panel) -> list[Outcome]:
        """Return the outcome of each of a panel's queries; GrafanaError when Grafana can't be asked at all."""
        outcomes, queries = {}, []
        values = values_of.scoped(self.values, panel.scope)
        times: list[Window] = []
        for number, target in enumerate(panel.targets):
            reference = str(target.get("refId") or chr(ord("A") + number))
            outcome = outcomes[reference] = Outcome(self.dashboard.uid, panel.title, _text(target))
            try:
                query = self._query(panel, target, reference, values, times)
            except NoSource as error:
                outcome.reason = str(error)
                continue
            except NoValue as error:
                outcome.error = str(error)
                continue
            if query is None:
                del outcomes[reference]
                continue
            outcome.query = _text(query)
            queries.append(query)
        # Expressions are nothing by themselves.
        if any(query["datasource"]["uid"] != "__expr__" for query in queries):
            self._send(queries, times[0], outcomes)
        return list(outcomes.values())

    # ------------------------------------------------------------ variables

    def _value(self, variable: Mapping[str, Any]) -> Value:
        """Return a variable's value; NoValue, with the reason, when it has none."""
        kind, current = variable.get("type"), _current(variable)
        if kind == "datasource":
            return Value([self._chosen(str(variable.get("query")), current)])
        options = self._options(variable)
        is_multiple = bool(variable.get("multi") or variable.get("includeAll"))
        if variable.get("includeAll") and (not current or current == ["$__all"]):
            value = values_of.as_all(options, variable.get("allValue"))
            return value if options or value.pattern else values_of.without_options(value)
        chosen = [text for text in current if text in options] or options[:1] or [""]
        return Value(chosen if is_multiple else chosen[:1], is_multiple=is_multiple)

    def _chosen(self, kind: str, current: Sequence[str]) -> str:
        """Return the data source that a variable of data sources shows at first."""
        fitting = [source for source in self.sources if source.get("type") == kind]
        named = [source for source in fitting if {source.get("uid"), source.get("name")} & set(current)]
        usual = [source for source in fitting if source.get("isDefault")]
        for source in [*named, *usual, *fitting]:
            return str(source["uid"])
        raise NoSource(f"Grafana has no data source of the type {kind}")

    def _options(self, variable: Mapping[str, Any]) -> list[str]:
        kind, query = variable.get("type"), variable.get("query")
        if kind == "query":
            return _matching(self._asked_options(variable), str(variable.get("regex") or ""))
        if kind == "custom":
            return [part.split(" : ")[-1].strip() for part in re.split(r"(?<!\\),", str(query or ""))]
        if kind == "interval":
            return [part.strip() for part in str(query or "").split(",")]
        return [str(query)] if query else _current(variable)

    def _asked_options(self, variable: Mapping[str, Any]) -> list[str]:
        uid, kind = self._source(variable.get("datasource"))
        query = values_of.filled(variable.get("query"), self.values, kind)
        if values_of.is_sql(kind):
            return self._first_column(uid, kind, query)
        selector, label = _label_query(query)
        if not label:
            raise NoValue(f"the query of the variable {variable.get('name')} is no label_values(…): {query!r}")
        shown = values_of.window(self.dashboard.body, {}, {}, "", self.now)
        if kind == "loki":
            path: tuple[str, ...] = ("resources", "label", label, "values")
            times = {
                "start": int(shown.start * 1e9),
                "end": int(shown.end * 1e9),
                **({"query": selector} if selector else {}),
            }
        else:
            path = ("resources", "api", "v1", "label", label, "values")
            times = {"start": int(shown.start), "end": int(shown.end), **({"match[]": selector} if selector else {})}
        answer = self._asked(("datasources", "uid", uid, *path), times, str(variable.get("name")))
        found = answer.get("data") if isinstance(answer, dict) else answer
        return [str(option) for option in found] if isinstance(found, list) else []

    def _asked(self, path: tuple[str, ...], query: Mapping[str, Any], name: str) -> Any:
        try:
            return self.client.get(*path, **query)
        except GrafanaError as error:
            if error.final:
                raise
            raise NoValue(f"the options of the variable {name} can't be asked: {error}") from error

    def _first_column(self, uid: str, kind: str, query: Any) -> list[str]:
        text = query.get("rawSql") or query.get("query") if isinstance(query, dict) else query
        outcome = Outcome(self.dashboard.uid, "variable", str(text))
        body = {
            "refId": "V",
            "datasource": {"uid": uid, "type": kind},
            "rawSql": str(text),
            "format": "table",
            "rawQuery": True,
        }
        shown = values_of.window(self.dashboard.body, {}, {}, "", self.now)
        frames = self._send([body], shown, {"V": outcome})
        if outcome.error:
            raise NoValue(f"the options of a variable can't be asked: {outcome.error}")
        columns = [column for frame in frames.get("V", []) for column in _columns(frame)[:1]]
        return [str(option) for column in columns for option in column if option is not None]

    # ------------------------------------------------------------ queries

    def _source(self, reference: Any) -> tuple[str, str]:
        """Return uid and type of the data source that a reference means, with its variable filled in."""
        uid = reference.get("uid") if isinstance(reference, dict) else reference
        for name in values_of.used(uid) & set(self.lacking):
            raise self.lacking[name]
        uid = values_of.filled(uid, self.values, "")
        if not uid or uid == "default":
            source = next((source for source in self.sources if source.get("isDefault")), None)
        else:
            source = next((source for source in self.sources if uid in (source.get("uid"), source.get("name"))), None)
        if source is None:
            raise NoSource(f"Grafana has no data source {uid}")
        return str(source["uid"]), str(source["type"])

    def _query(
        self,
        panel: Panel,
        target: Mapping[str, Any],
        reference: str,
        values: Mapping[str, Value],
        times: list[Window],
    ) -> dict[str, Any] | None:
        """Return a query for /api/ds/query, or None for what is asked of no data source."""
        meant = source_of(panel, target)
        if meant.get("uid") in _WITHIN_GRAFANA or meant.get("type") == "datasource":
            if meant.get("uid") != "__expr__":
                return None
            return {**target, "refId": reference, "datasource": {"uid": "__expr__", "type": "__expr__"}}
        uid, kind = self._source(meant)
        settings = next((mapping(source.get("jsonData")) for source in self.sources if source.get("uid") == uid), {})
        shown = values_of.window(
            self.dashboard.body, panel.body, target, str(settings.get("timeInterval") or ""), self.now
        )
        for name in sorted(values_of.used(_sent(target)) & set(self.lacking)):
            raise self.lacking[name]
        times.append(shown)
        body: dict[str, Any] = values_of.filled(dict(target), {**values, **shown.values()}, kind)
        body.update(
            refId=reference,
            datasource={"uid": uid, "type": kind},
            intervalMs=int(shown.step * 1000),
            maxDataPoints=int((shown.end - shown.start) / shown.step) + 1,
        )
        if kind == "prometheus" and not body.get("instant") and not body.get("range"):
            body["range"] = True
        return body

    def _send(
        self, queries: list[dict[str, Any]], shown: Window, outcomes: Mapping[str, Outcome]
    ) -> dict[str, list[Any]]:
        """Send queries together, write down what each gave, and return the frames of each."""
        body = {"queries": queries, "from": str(int(shown.start * 1000)), "to": str(int(shown.end * 1000))}
        sent = [str(query["refId"]) for query in queries]
        try:
            answer = self.client.ask("POST", ("ds", "query"), body)
        except GrafanaError as error:
            if error.final:
                raise
            answer = error.body
            if not isinstance(answer, dict) or not isinstance(answer.get("results"), dict):
                for reference in sent:
                    outcomes[reference].error = str(error)
                return {}
        results = answer.get("results") if isinstance(answer, dict) else None
        frames: dict[str, list[Any]] = {}
        for reference in sent:
            result = results.get(reference) if isinstance(results, dict) else None
            if reference in outcomes:
                frames[reference] = _read(result, outcomes[reference])
        return frames


def _read(result: Any, outcome: Outcome) -> list[Any]:
    """Write down what one query gave, and return its frames."""
    if not isinstance(result, dict):
        outcome.error = "Grafana gives no result for it"
        return []
    if result.get("error"):
        outcome.error = str(result["error"])[:_SHOWN]
        return []
    found = list(mappings(result.get("frames")))
    outcome.values = sum(_values(frame) for frame in found)
    return found


def _columns(frame: Mapping[str, Any]) -> list[list[Any]]:
    columns = mapping(frame.get("data")).get("values")
    return [column for column in columns if isinstance(column, list)] if isinstance(columns, list) else []


def _values(frame: Mapping[str, Any]) -> int:
    """Return how many values a frame has, times and gaps not counted. NaN is sent as null, and named apart."""
    fields = mapping(frame.get("schema")).get("fields")
    kinds = [mapping(field).get("type") for field in fields] if isinstance(fields, list) else []
    columns = _columns(frame)
    return sum(
        sum(value is not None for value in column)
        for index, column in enumerate(columns)
        if len(columns) == 1 or index >= len(kinds) or kinds[index] != "time"
    )


def _sent(target: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in target.items() if key not in ("datasource", "legendFormat")}


def _text(target: Mapping[str, Any]) -> str:
    """Return a query's own text, for people."""
    text = target.get("expr") or target.get("rawSql") or target.get("expression") or target.get("query")
    return " ".join(str(text or "(no text)").split())


def _current(variable: Mapping[str, Any]) -> list[str]:
    value = mapping(variable.get("current")).get("value")
    texts = value if isinstance(value, list) else [value]
    return [str(text) for text in texts if text not in (None, "")]


def _label_query(query: Any) -> tuple[str, str]:
    """Return selector and label of a query for label values; both empty when it is another."""
    if isinstance(query, dict) and query.get("label"):
        return str(query.get("stream") or query.get("metric") or ""), str(query["label"])
    text = query.get("query") if isinstance(query, dict) else query
    match = _LABEL_VALUES.fullmatch(str(text or ""))
    return ((match["selector"] or "").strip(), match["label"]) if match else ("", "")


def _matching(options: Sequence[str], expression: str) -> list[str]:
    """Return the options that a variable's regular expression leaves, or what its first group takes of them."""
    if not expression:
        return list(dict.fromkeys(options))
    match = re.fullmatch(r"/(.*)/([a-z]*)", expression, re.DOTALL)
    text, flags = (match[1], match[2]) if match else (f"^{expression}$", "")
    try:
        pattern = re.compile(_JAVASCRIPT_GROUP.sub("(?P<", text), re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise NoValue(f"the regular expression {expression} of a variable can't be read: {error}") from error
    found = [found for found in map(pattern.search, options) if found]
    return list(dict.fromkeys(one["value"] if "value" in pattern.groupindex else _taken(one) for one in found))


def _taken(match: re.Match[str]) -> str:
    return match[1] if match.re.groups and match[1] is not None else match.string
