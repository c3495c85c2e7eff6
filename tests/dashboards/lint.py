"""The rules of dashboards, each a function that gives a line for what breaks it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from ansible_collections.llmops.monitoring.dashboards.build import colours
from ansible_collections.llmops.monitoring.tests.dashboards.metrics import COUNTERS
from ansible_collections.llmops.monitoring.tests.dashboards.reading import (
    RANGE_SECONDS,
    RATE_INTERVAL_SECONDS,
    Asked,
    Selector,
    panels,
    parsed,
    promql,
    queries,
    selectors,
    strings,
)

Json = Mapping[str, Any]
Complaints = Iterator[str]

FOLDERS = {"system", "llm", "analytics", "logs", "announcements", "stack"}
TYPES = {
    *("stat", "timeseries", "table", "heatmap", "state-timeline", "bargauge", "gauge", "logs", "text"),
    *("row", "piechart", "histogram"),
}
# Of Grafana's, those in use; a unit that it does not know is shown as text behind the number.
UNITS = {
    *(
        "short",
        "none",
        "string",
        "bool",
        "percentunit",
        "bytes",
        "Bps",
        "binBps",
        "s",
        "ms",
        "dtdurations",
        "dateTimeAsIso",
    ),
    *(
        "dateTimeFromNow",
        "celsius",
        "watt",
        "joule",
        "hertz",
        "rotrpm",
        "reqps",
        "ops",
        "iops",
        "pps",
        "cps",
        "wps",
        "rps",
    ),
    *("currencyUSD", "kwatth", "watth", "locale", "clocks"),
}
# `suffix: tokens` and such are the reader's words; `time:` is a format of times.
OWN_UNIT = re.compile(r"(?:suffix|prefix|time|count|si|currency):.+")
COLOURS = {value for name, value in vars(colours).items() if name.isupper()}
MOST_BEFORE_A_FOLD = 25
# What dashboards show at first, if not six hours.
RANGES = {"performance-trends": "now-30d"}
# What has a dashboard of its own, and logs.
THINGS = {"instance", "container", "gpu", "model"}
# What a description says of limits that are drawn.
LINE = re.compile(r"\blines? (?:is|are) (?:the|what)\b|\b(?:above|over|below) the line\b", re.IGNORECASE)
V2 = {"apiVersion", "kind", "spec", "metadata", "elements", "layout", "status", "dashboard"}
EXPORTED = {"__inputs", "__elements", "__requires"}
RATES = {"rate", "irate", "increase"}
BUILT_IN_VARIABLE = re.compile(
    r"__(?:auto|rate_interval|interval|interval_ms|range|range_s|range_ms|from|to|field|data|url_time_range|all|value|series)"
)


def identity(board: Json) -> Complaints:
    """A dashboard says what it is, in words, and how old what it shows may be."""
    uid = str(board.get("uid"))
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", uid) or len(uid) > 40:
        yield f"uid {uid}: small letters, digits and hyphens, 40 at most"
    folders = [tag for tag in board.get("tags", []) if tag in FOLDERS]
    if "llm-monitor" not in board.get("tags", []) or len(folders) != 1:
        yield f"tags {board.get('tags')}: llm-monitor and the folder"
    if board.get("refresh") != "30s":
        yield f"refresh {board.get('refresh')}: 30s"
    if not board.get("title") or not board.get("description"):
        yield "no title or no description"


def time_shown(board: Json) -> Complaints:
    """It shows the last six hours at first, one of trends thirty days."""
    wanted = {"from": RANGES.get(str(board.get("uid")), "now-6h"), "to": "now"}
    if board.get("time") != wanted:
        yield f"time {board.get('time')}: {wanted}"


def choices_of_all(board: Json) -> Complaints:
    """What can be chosen can be chosen several at once, and at first all of it is."""
    there = {one["name"]: one for one in board["templating"]["list"]}
    wanted = {"datasource"} if "announcements" in board["tags"] else {"datasource", "instance"}
    wanted |= {"loki"} if any(one.source == "loki" for one in queries(board)) else set()
    yield from (f"no variable {name}" for name in sorted(wanted - there.keys()))
    for name, one in there.items():
        chosen = one.get("current", {}).get("value")
        if one["type"] in {"query", "custom"} and not (one["includeAll"] and one["multi"] and chosen == ["$__all"]):
            yield f"variable {name}: several at once, and All at first"


def classic(board: Json) -> Complaints:
    """It is classic JSON: what Grafana 12 and 13 load from files, and no export."""
    for key in sorted((V2 | EXPORTED) & board.keys()):
        yield f"{key} is of another schema or of an export"
    if board.get("id") is not None:
        yield "an id of its own, which is the database's"
    if not isinstance(board.get("schemaVersion"), int):
        yield "no schemaVersion"


def numbers(board: Json) -> Complaints:
    """Every panel and row has a number of its own."""
    for number, times in Counter(panel.get("id") for panel in panels(board, rows=True)).items():
        if times > 1 or not isinstance(number, int) or number < 1:
            yield f"id {number} is there {times} times"


def places(board: Json) -> Complaints:
    """Nothing lies upon something else, nor outside of the 24 columns."""
    folds = [panel["panels"] for panel in board["panels"] if panel["type"] == "row" and panel["panels"]]
    for level in (board["panels"], *folds):
        for panel in level:
            place = panel["gridPos"]
            if place["x"] < 0 or place["y"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > 24:
                yield f"{panel['title']} is outside of the grid: {place}"
        for one, other in combinations(level, 2):
            if _overlap(one["gridPos"], other["gridPos"]):
                yield f"{one['title']} and {other['title']} overlap"


def _overlap(one: Json, other: Json) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def first_sight(board: Json) -> Complaints:
    """Not more is drawn at first than people and Prometheus can take."""
    for panel in board["panels"]:
        if panel["type"] == "row" and panel.get("repeat") and not panel["collapsed"]:
            yield f"{panel['title']} is repeated and not collapsed: it is there for each {panel['repeat']}"
    shown = 0
    for panel in board["panels"]:
        if panel["type"] == "row" and panel["collapsed"]:
            break
        shown += panel["type"] != "row"
    if shown > MOST_BEFORE_A_FOLD:
        yield f"{shown} panels before the first collapsed row; {MOST_BEFORE_A_FOLD} at most"


def words(board: Json) -> Complaints:
    """Every panel has a title, a description, and what it says without data."""
    for panel in panels(board):
        title = panel.get("title")
        if not title:
            yield f"panel {panel['id']} has no title"
        if len(panel.get("description", "")) < 20:
            yield f"{title} has no description"
        if panel["type"] != "text" and not panel["fieldConfig"]["defaults"].get("noValue"):
            yield f'{title} has no text for "no data"'


def titles(board: Json) -> Complaints:
    """No two panels have the same title, so that a person can name one."""
    for title, times in Counter(panel.get("title") for panel in panels(board, rows=True)).items():
        if times > 1:
            yield f"{times} panels are called {title}"


def kinds(board: Json) -> Complaints:
    """Panels are of types that Grafana 9 to 13 have."""
    for panel in panels(board, rows=True):
        if panel["type"] not in TYPES:
            yield f"{panel['title']} is a {panel['type']}"


def units(board: Json) -> Complaints:
    """Every panel has a unit, and Grafana knows it."""
    for panel in panels(board):
        if panel["type"] == "text":
            continue
        config = panel["fieldConfig"]
        found = [config["defaults"].get("unit", "")]
        found += [one["value"] for by in config["overrides"] for one in by["properties"] if one["id"] == "unit"]
        for unit in found:
            if unit not in UNITS and not OWN_UNIT.fullmatch(unit):
                yield f"{panel['title']}: unit {unit!r}"


def lines(board: Json) -> Complaints:
    """A limit that the description speaks of is drawn, at a value."""
    for panel in panels(board):
        config = panel.get("fieldConfig", {}).get("defaults", {})
        if LINE.search(panel.get("description", "")) and len(config.get("thresholds", {}).get("steps", [])) < 2:
            yield f"{panel['title']} tells of a line and has no limit"


def meanings(board: Json) -> Complaints:
    """Colours are those of colours.py, each of which means one thing."""
    for key, value in strings(board):
        if key in {"color", "fixedColor", "iconColor"} and value not in COLOURS:
            yield f"colour {value} has no name in colours.py"


def sources(board: Json) -> Complaints:
    """Data sources are what a person has chosen."""
    for panel in panels(board):
        for one in (panel, *panel.get("targets", [])):
            if panel["type"] == "text":
                continue
            source = one.get("datasource") or {}
            if (source.get("type"), source.get("uid")) not in {
                ("prometheus", "${datasource}"),
                ("loki", "${loki}"),
            }:
                yield f"{panel['title']}: data source {source}"


def known_variables(board: Json) -> Complaints:
    """Variables that are used are there."""
    known = {one["name"] for one in board["templating"]["list"]}
    for _key, value in strings(board["panels"]):
        for found in re.finditer(r"\$(?:\{(\w+)[^}]*\}|([a-zA-Z_]\w*))", value):
            name = found[1] or found[2]
            if name not in known and not BUILT_IN_VARIABLE.fullmatch(name):
                yield f"${name} in {value!r}"


def ways(board: Json) -> Complaints:
    """It leads to the other dashboards and marks what happens; one for people outside need not."""
    if "announcements" in board["tags"]:
        return
    kept = [one for one in board["links"] if one["includeVars"] and one["keepTime"] and one["type"] == "dashboards"]
    if "llm-monitor" not in {tag for one in kept for tag in one["tags"]}:
        yield "no links by tag that keep time and variables"
    if not {"Alerts", "Container starts"} <= {one["name"] for one in board["annotations"]["list"]}:
        yield "no annotations of alerts and of restarts"


def further(board: Json) -> Complaints:
    """From a host, a container, a GPU or a model one gets to more about it, and somewhere to logs."""
    if "announcements" in board["tags"]:
        return
    to_logs = False
    for panel in panels(board):
        ways = [value for key, value in strings(panel) if key == "url" and value.startswith("/d/")]
        to_logs |= any(way.startswith("/d/log-explorer?") for way in ways)
        things = _told_apart(panel)
        if things and not ways:
            yield f"{panel['title']} leads to nothing about {', '.join(sorted(things))}"
        for way in ways:
            if not {"${__url_time_range}", "${datasource:queryparam}"} <= set(re.split("[?&]", way)):
                yield f"{panel['title']}: {way} does not keep time and data source"
    if not to_logs:
        yield "no way to logs"


def _told_apart(panel: Json) -> set[str]:
    """Return by which things rows of a table or series over time are told apart."""
    if panel["type"] == "table":
        named = {name for one in panel["transformations"] for name in one["options"].get("renameByName", {})}
        return THINGS & named
    if panel["type"] not in {"timeseries", "state-timeline", "bargauge", "heatmap"}:
        return set()
    legends = " ".join(target.get("legendFormat", "") for target in panel["targets"])
    return THINGS & set(re.findall(r"\{\{(\w+)\}\}", legends))


def linked(board: Json) -> Iterator[str]:
    """Give the uids of dashboards that it links to."""
    for _key, value in strings(board):
        if found := re.match(r"/d/([^/?]+)", value):
            yield found[1]


def promql_is_parsed(board: Json) -> Complaints:
    """All that Prometheus is asked is PromQL."""
    for one in promql(board):
        try:
            parsed(one.expr)
        except ValueError as error:
            yield f"{one.where}: {error}: {one.expr}"


def counters(board: Json) -> Complaints:
    """Counters stand below a rate or an increase, and nothing else does."""
    for one, selector in _selected(board):
        is_counter = selector.name in COUNTERS
        if is_counter and selector.call not in RATES:
            yield f"{one.where}: the counter {selector.name} without rate or increase"
        if not is_counter and selector.call in RATES:
            yield f"{one.where}: {selector.call} of {selector.name}, which is no counter"


def windows(board: Json) -> Complaints:
    """Rates are taken over what Grafana says is long enough; other windows are those that a title names."""
    for one, selector in _selected(board):
        if selector.call not in RATES or selector.seconds == RATE_INTERVAL_SECONDS:
            continue
        whole = one.instant and selector.call == "increase"
        if not (whole and (selector.seconds == RANGE_SECONDS or selector.seconds >= 900)):
            yield f"{one.where}: {selector.call} of {selector.name} over something else than $__rate_interval"


def fixed_names(board: Json) -> Complaints:
    """Jobs and instances are not named, and the chosen instance is asked for wherever there is that choice."""
    chosen = "instance" in {one["name"] for one in board["templating"]["list"]}
    for one, selector in _selected(board):
        for label in ("job", "instance"):
            operator, value = selector.matchers.get(label, ("", "$"))
            if "$" not in value:
                yield f"{one.where}: {label}{operator}{value!r} in {selector.name}"
        of_instance = re.match(r"(?:llm_monitor(?!_announcement)|container|instance)_|instance:", selector.name)
        if chosen and of_instance and one.where != "variable instance" and "instance" not in selector.matchers:
            yield f"{one.where}: {selector.name} of all instances, whichever is chosen"


def recorded_over_days(board: Json) -> Complaints:
    """What shows weeks asks what rules have recorded: raw series are too many samples."""
    if board.get("uid") in RANGES:
        for one in queries(board):
            raw = {selector.name for selector in selectors(parsed(one.expr)) if ":" not in selector.name}
            yield from (f"{one.where}: {name} over weeks, and not what is recorded of it" for name in sorted(raw))


def _selected(board: Json) -> Iterator[tuple[Asked, Selector]]:
    for one in promql(board):
        for selector in selectors(parsed(one.expr)):
            yield one, selector


RULES: tuple[Callable[[Json], Complaints], ...] = (
    *(identity, time_shown, choices_of_all, classic, numbers, places, first_sight, words, titles, kinds, units, lines),
    *(meanings, sources, known_variables, ways, further, promql_is_parsed, counters, windows, fixed_names),
    recorded_over_days,
)
__all__ = ["RULES", "linked", "queries"]
