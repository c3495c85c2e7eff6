"""Dashboards: what is common to all, and the places of panels in the grid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from . import colours, variables
from .links import Link
from .panels import Panel
from .queries import LOGS, METRICS
from .variables import Variable

TAG = "llm-monitor"
COLUMNS = 24
REFRESH = "30s"

FIRING = {
    "name": "Alerts",
    "expr": 'ALERTS{alertstate="firing", severity=~"critical|warning", instance=~"$instance|"}',
    "iconColor": colours.CRITICAL,
    "titleFormat": "{{alertname}}",
    "textFormat": "{{severity}} {{instance}} {{container}} {{model}} {{gpu}}",
    "tagKeys": "severity",
    "step": "60s",
}
# What people and Grafana itself have marked.
BUILT_IN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": colours.INFO,
    "name": "Annotations & Alerts",
    "type": "dashboard",
}
# The value is the time of the start, so that a mark stands there and not at each scrape since.
STARTED = {
    "name": "Container starts",
    "expr": 'llm_monitor_container_started_timestamp_seconds{instance=~"$instance"} * 1000 > $__from',
    "iconColor": colours.INFO,
    "titleFormat": "{{container}} started",
    "textFormat": "{{instance}}",
    "tagKeys": "",
    "step": "300s",
    "useValueForTime": True,
}
# From the start of an announcement to its end, whatever models it is about.
ANNOUNCED = {
    "name": "Announcements",
    "expr": "max by (id, kind, title, text) (llm_monitor_announcement_info)",
    "iconColor": colours.INFO,
    "titleFormat": "{{title}}",
    "textFormat": "{{text}}",
    "tagKeys": "kind",
    "step": "60s",
}


@dataclass
class Row:
    """Panels below a heading.

    Attributes:
        title: The heading; the first row of a dashboard needs none.
        panels: What stands there, in the order of reading.
        collapsed: Whether only the heading is shown at first.
        repeat: A variable: the row is there for each value that is chosen of it.
    """

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False
    repeat: str = ""


@dataclass
class Board:
    """A dashboard.

    Attributes:
        uid: Its uid, which is the name of its file too: `server-health`.
        title: What people read.
        folder: One of system, llm, analytics, logs, announcements, stack.
        description: What it is for, in a sentence.
        variables: What a person chooses, besides data sources.
        rows: Filled by `row`.
        range: What it shows at first, up to now.
        annotations: What is marked in panels over time.
        links: Whether it leads to the other dashboards; not so on one for people outside.
        beside: What else stands above the panels, such as documents that Grafana serves.
    """

    uid: str
    title: str
    folder: str
    description: str
    variables: Sequence[Variable] = ()
    range: str = "6h"
    annotations: Sequence[dict[str, Any]] = (FIRING, STARTED, ANNOUNCED)
    links: bool = True
    beside: Sequence[Link] = ()
    rows: list[Row] = field(default_factory=list)

    def row(self, title: str, *panels: Panel, collapsed: bool = False, repeat: str = "") -> None:
        """Add panels below a heading; widths of a line are stretched until it is full."""
        self.rows.append(Row(title, panels, collapsed, repeat))

    def json(self) -> str:
        """Return it as Grafana loads it; the same bytes every time."""
        told = json.loads(JSONEncoder().encode(self._model()))
        told["annotations"] = {"list": [BUILT_IN, *(_annotation(one) for one in self.annotations)]}
        ways = [_by_tag("This folder", self.folder), _by_tag("All dashboards", TAG)] if self.links else []
        told["links"] = [*ways, *(_beside(link) for link in self.beside)]
        for variable in told["templating"]["list"]:
            _tidy(variable)
        return json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def _model(self) -> dashboard.Dashboard:
        made = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG, self.folder])
            .refresh(REFRESH)
            .time(f"now-{self.range}", "now")
            .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        )
        sources = [variables.datasource(), *([variables.loki()] if self._asks_logs() else [])]
        model = made.variables([*sources, *self.variables]).build()
        model.panels = list(self._placed())
        return model

    def _asks_logs(self) -> bool:
        return any(panel.model.datasource == LOGS for row in self.rows for panel in row.panels)

    def _placed(self) -> Iterator[dashboard.Panel | dashboard.RowPanel]:
        """Give rows and panels with their places, numbered in the order of reading."""
        number = below = 0
        for row in self.rows:
            heading = None
            if row.title:
                number += 1
                place = dashboard.GridPos(h=1, w=COLUMNS, x=0, y=below)
                heading = dashboard.RowPanel(
                    title=row.title, id_val=number, collapsed=row.collapsed, grid_pos=place, repeat=row.repeat or None
                )
                below += 1
                yield heading
            inside, end = _lines(row.panels, below)
            for panel in inside:
                number += 1
                panel.id_val = number
            if heading and row.collapsed:
                heading.panels = inside
            else:
                yield from inside
                below = end


def _lines(panels: Sequence[Panel], top: int) -> tuple[list[dashboard.Panel], int]:
    """Return panels with their places, line by line from `top` on, and where the next begins."""
    lines: list[list[Panel]] = []
    for panel in panels:
        if not lines or sum(one.width for one in lines[-1]) + panel.width > COLUMNS:
            lines.append([])
        lines[-1].append(panel)
    placed = []
    for line in lines:
        height = max(panel.height for panel in line)
        left = 0
        for panel, width in zip(line, _stretched([panel.width for panel in line]), strict=True):
            panel.model.grid_pos = dashboard.GridPos(h=height, w=width, x=left, y=top)
            placed.append(panel.model)
            left += width
        top += height
    return placed, top


def _stretched(widths: Sequence[int]) -> list[int]:
    """Return widths that fill all columns, in about the same proportions."""
    whole = sum(widths)
    edges = [round(COLUMNS * sum(widths[:place]) / whole) for place in range(len(widths) + 1)]
    return [right - left for left, right in pairwise(edges)]


def _annotation(one: dict[str, Any]) -> dict[str, Any]:
    """Return what marks moments: Grafana reads the query from `target` as of version 11, before from `expr`."""
    source = METRICS.to_json()
    target = {"datasource": source, "expr": one["expr"], "interval": one["step"], "refId": "Anno"}
    return {"datasource": source, "enable": True, "hide": False, "target": target, **one}


def _by_tag(title: str, tag: str) -> dict[str, Any]:
    """Return the way to all dashboards with a tag, which keeps time and variables."""
    return {
        "title": title,
        "type": "dashboards",
        "tags": [tag],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }


def _beside(link: Link) -> dict[str, Any]:
    """Return a way out of the dashboard, in a tab of its own: Grafana would take it for one of its pages."""
    return {
        "title": link.title,
        "type": "link",
        "url": link.url,
        "tags": [],
        "asDropdown": False,
        "icon": "external link",
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
        "tooltip": "",
    }


def _tidy(variable: dict[str, Any]) -> None:
    """Remove what the SDK says of every variable and only one of intervals has, and add what Grafana looks at."""
    for name in ("auto", "auto_count", "auto_min"):
        variable.pop(name, None)
    for name, value in {"current": {}, "hide": 0, "options": [], "regex": ""}.items():
        variable.setdefault(name, value)
