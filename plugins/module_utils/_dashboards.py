# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dashboards as files have them: their panels, and whether Grafana has the same.

Facts: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ (schema 1).

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# What Grafana counts by itself.
_NUMBERED = ("id", "version", "iteration")
_MISSING = object()


class DashboardError(Exception):
    """A file is no dashboard; the text says which and why."""


@dataclass(frozen=True)
class Panel:
    """A panel that asks something; `scope` has the variables by whose values it or its row is repeated."""

    title: str
    body: Mapping[str, Any]
    scope: tuple[str, ...] = ()

    @property
    def targets(self) -> list[dict[str, Any]]:
        """Return the queries that are not hidden; with an expression among them also the hidden ones it may need."""
        found = [dict(target) for target in mappings(self.body.get("targets"))]
        if any(_source(target).get("uid") == "__expr__" for target in found):
            return found
        return [target for target in found if not target.get("hide")]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard's file: `path` says where it lies."""

    path: str
    body: Mapping[str, Any]
    panels: list[Panel] = field(default_factory=list)

    @property
    def uid(self) -> str:
        return str(self.body["uid"])

    @property
    def title(self) -> str:
        return str(self.body["title"])


def load(folder: str) -> list[Dashboard]:
    """Return the dashboards in the folders below a folder; DashboardError when there is none or one is none."""
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "*", "*.json")))
    if not paths:
        raise DashboardError(f"{folder} has no dashboard: it must have files <folder>/<name>.json.")
    return [_read(path) for path in paths]


def _read(path: str) -> Dashboard:
    try:
        with open(path, encoding="utf-8") as file:
            body = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise DashboardError(f"{path} can't be read as a dashboard: {error}") from error
    if not isinstance(body, dict) or not body.get("uid") or not body.get("title"):
        raise DashboardError(f"{path} is no dashboard: it needs a uid and a title.")
    return Dashboard(path, body, list(panels_of(body)))


def panels_of(dashboard: Mapping[str, Any]) -> Iterator[Panel]:
    """Yield the panels that have queries, those within rows too, and the queries of annotations as panels.

    The panels of a collapsed row lie in it; those of an open one follow it, up to the next row.
    """
    repeated: tuple[str, ...] = ()
    for body in mappings(dashboard.get("panels")):
        if body.get("type") == "row":
            repeated = _repeat(body)
            for nested in mappings(body.get("panels")):
                yield from _asking(nested, repeated)
        else:
            yield from _asking(body, repeated)
    for annotation in mappings(mapping(dashboard.get("annotations")).get("list")):
        if annotation.get("expr"):
            title = f"annotation {annotation.get('name', '')}"
            target = {"refId": "Anno", "expr": annotation["expr"], "range": True}
            yield Panel(title, {"datasource": annotation.get("datasource"), "targets": [target], "type": "annotation"})


def _asking(body: Mapping[str, Any], scope: tuple[str, ...]) -> Iterator[Panel]:
    panel = Panel(str(body.get("title") or f"panel {body.get('id')}"), body, scope + _repeat(body))
    if panel.targets:
        yield panel


def _repeat(body: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(body["repeat"]),) if body.get("repeat") else ()


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping, or an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list, or none where something else stands."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _source(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a data source's reference; old dashboards have only its name."""
    source = body.get("datasource")
    if isinstance(source, str):
        return {"uid": source}
    return mapping(source)


def source_of(panel: Panel, target: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reference of the data source that a query asks: its own, else the panel's."""
    return _source(target) or _source(panel.body)


# ---------------------------------------------------------------- comparing


def difference(ours: Mapping[str, Any], theirs: Any) -> str:
    """Return where Grafana's copy of a dashboard differs from ours, or nothing.

    Grafana may add what is usual. A newer one may also have brought it to its own schema: then only that counts which
    every schema has, which is titles, types and queries.
    """
    if not isinstance(theirs, dict):
        return "it is no dashboard"
    if ours.get("schemaVersion") != theirs.get("schemaVersion"):
        return _differs(_essence(ours), _essence(theirs), "")
    return _differs({key: value for key, value in ours.items() if key not in _NUMBERED}, theirs, "")


def _essence(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    variables = mappings(mapping(dashboard.get("templating")).get("list"))
    return {
        "title": dashboard.get("title"),
        "tags": dashboard.get("tags") or [],
        "variables": [variable.get("name") for variable in variables],
        "panels": [
            {
                "title": panel.title,
                "type": panel.body.get("type"),
                "queries": [target.get("expr") or target.get("rawSql") for target in panel.targets],
            }
            for panel in panels_of(dashboard)
        ],
    }


def _differs(ours: Any, theirs: Any, where: str) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return _first(
            _differs(value, theirs.get(key, _MISSING), f"{where}.{key}".lstrip(".")) for key, value in ours.items()
        )
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return f"{where} has {len(theirs)} entries instead of {len(ours)}"
        return _first(_differs(ours[index], theirs[index], f"{where}[{index}]") for index in range(len(ours)))
    if ours == theirs or (theirs is _MISSING and not ours):
        return ""
    return f"{where} differs"


def _first(found: Iterator[str]) -> str:
    return next((text for text in found if text), "")


def listed(names: Sequence[str], shown: int = 10) -> str:
    """Return names for a sentence, the first few of many."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
