"""Panels of every type that dashboards use. Each wants a title, a description, a unit and a text for "no data".

A function returns a `Panel`, which a `Board` places. What all share is in `Face`:

    stat("CPU", Query("…"), face=Face("How busy …", "percentunit", "No host reports.", above(warning=0.9)))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from grafana_foundation_sdk.builders import bargauge as bargauges
from grafana_foundation_sdk.builders import common as commons
from grafana_foundation_sdk.builders import logs as log_panels
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import statetimeline, timeseries
from grafana_foundation_sdk.builders import text as texts
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.text import TextMode

from . import limits
from .links import Link
from .queries import Asked, LogQuery, Shape, ref

# Value → (what people read, its colour).
Meanings = Mapping[int, tuple[str, str]] | Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Face:
    """What every panel says.

    Attributes:
        description: What it shows, what is normal, and what to do when it is not.
        unit: One of Grafana's units, such as `percentunit` (0 to 1), `bytes`, `s`, `short`; the tests know them all.
        empty: What it says when there is no data, such as "No GPU exporter reports."
        limits: From which values on it has which colour.
        meanings: What values stand for, such as {1: ("Up", colours.OK), 0: ("Down", colours.CRITICAL)}.
        links: What a click on a series or value offers.
        decimals: How many are shown, if Grafana shall not choose.
        least: The lowest value of the axis.
        most: The highest one.
    """

    description: str
    unit: str
    empty: str
    limits: limits.Limits = limits.NONE
    meanings: Meanings | None = None
    links: Sequence[Link] = ()
    decimals: int | None = None
    least: float | None = None
    most: float | None = None


@dataclass
class Panel:
    """A panel without a place: so many of the grid's 24 columns wide, and so many rows of 30 pixels high."""

    model: dashboard.Panel
    width: int
    height: int


def stat(
    title: str,
    *asked: Asked,
    face: Face,
    width: int = 4,
    height: int = 4,
    filled: bool = True,
    names: bool = False,
) -> Panel:
    """Return big numbers as they are at the end of the dashboard's time, one for each series.

    Args:
        title: What a person would say.
        asked: Queries; the legend names what is not alone.
        face: What every panel says.
        width: Columns.
        height: Rows.
        filled: Whether the colour of the limits fills the panel; else it colours the number.
        names: Whether legends are shown instead of numbers, such as a version that only a label tells.
    """
    mode = common.BigValueColorMode.BACKGROUND_SOLID if filled else common.BigValueColorMode.VALUE
    plain = face.limits == limits.NONE and not face.meanings
    built = (
        stats.Panel()
        .reduce_options(_last())
        .color_mode(common.BigValueColorMode.NONE if plain else mode)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.NAME if names else common.BigValueTextMode.AUTO)
        .build()
    )
    return finished(built, title, asked, Shape.NOW, face, width, height)


def bars(title: str, *asked: Asked, face: Face, width: int = 8, height: int = 8) -> Panel:
    """Return horizontal bars, one for each series at the end of the dashboard's time: for "the top ten" and shares."""
    built = (
        bargauges.Panel()
        .reduce_options(_last())
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .show_unfilled(True)
        .build()
    )
    return finished(built, title, asked, Shape.NOW, face, width, height)


def series(
    title: str,
    *asked: Asked,
    face: Face,
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    as_bars: bool = False,
    colour: Mapping[str, str] | None = None,
    mirrored: str = "",
    dashed: str = "",
) -> Panel:
    """Return lines over time; at most 20 of them by default, so use topk or sums.

    Args:
        title: What a person would say.
        asked: Queries, each with a legend that tells series apart.
        face: What every panel says. Limits are drawn as dashed lines.
        width: Columns.
        height: Rows.
        stacked: Whether values add up, so that areas are piled on each other.
        as_bars: Whether bars are drawn, for counts in an interval.
        colour: Regular expression of legends → one of `colours`; others take a colour by their name.
        mirrored: Regular expression of legends that are drawn below zero, such as what is sent beside what is received.
        dashed: Regular expression of legends that are drawn dashed, such as configured limits.
    """
    built = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(60 if stacked or as_bars else 8)
        .show_points(common.VisibilityMode.NEVER)
        .draw_style(common.GraphDrawStyle.BARS if as_bars else common.GraphDrawStyle.LINE)
        .legend(_legend(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"]))
        .tooltip(commons.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )
    if stacked:
        built = built.stacking(commons.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if face.limits != limits.NONE:
        built = built.thresholds_style(
            commons.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    built = _dressed(built, colour or {}, mirrored, dashed)
    return finished(
        built.build(), title, asked, Shape.RANGE, replace(face, limits=face.limits.lines()), width, height, named=True
    )


def _dressed(built: timeseries.Panel, colour: Mapping[str, str], mirrored: str, dashed: str) -> timeseries.Panel:
    """Return a panel of lines with what is different for some of them, by regular expressions of their legends."""
    for pattern, fixed in colour.items():
        built = built.override_by_regexp(_whole(pattern), [setting("color", {"mode": "fixed", "fixedColor": fixed})])
    if mirrored:
        built = built.override_by_regexp(_whole(mirrored), [setting("custom.transform", "negative-Y")])
    if dashed:
        style = [
            setting("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
            setting("custom.fillOpacity", 0),
            setting("custom.stacking", {"mode": "none", "group": "A"}),
        ]
        built = built.override_by_regexp(_whole(dashed), style)
    return built


def states(title: str, *asked: Asked, face: Face, width: int = 24, height: int = 8) -> Panel:
    """Return a line of coloured times for each series: which state held when. The face gives meanings or limits."""
    built = (
        statetimeline.Panel()
        .merge_values(True)
        .show_value(common.VisibilityMode.NEVER)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(85)
        .legend(_legend(common.LegendPlacement.BOTTOM))
        .tooltip(commons.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
    )
    return finished(built.build(), title, asked, Shape.RANGE, face, width, height)


def logs(title: str, *asked: LogQuery, face: Face, width: int = 24, height: int = 12) -> Panel:
    """Return lines of logs, the newest first."""
    built = (
        log_panels.Panel()
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(common.LogsSortOrder.DESCENDING)
        .dedup_strategy(common.LogsDedupStrategy.NONE)
    )
    return finished(built.build(), title, asked, Shape.RANGE, face, width, height)


def text(title: str, content: str, *, description: str, width: int = 24, height: int = 3) -> Panel:
    """Return words in Markdown; HTML is not drawn."""
    built = texts.Panel().mode(TextMode.MARKDOWN).content(content).build()
    built.title = title
    built.description = description
    return Panel(built, width, height)


def since(time: str, *panels: Panel) -> Iterator[Panel]:
    """Give panels that show so much of the past, such as `7d`, unless a time between two moments is chosen."""
    for panel in panels:
        panel.model.time_from = time
        yield panel


def finished(
    built: dashboard.Panel,
    title: str,
    asked: Sequence[Asked],
    shape: Shape,
    face: Face,
    width: int,
    height: int,
    *,
    named: bool = False,
) -> Panel:
    """Return a panel with all that its face says, and its queries.

    Args:
        built: What its type makes it.
        title: Its title.
        asked: Its queries, all of one data source.
        shape: In what shape it wants their answers.
        face: What every panel says.
        width: Columns.
        height: Rows.
        named: Whether series take colours by their names, rather than by limits.
    """
    built.title = title
    built.description = face.description
    built.datasource = asked[0].source
    built.targets = [one.target(ref(place), shape).build() for place, one in enumerate(asked)]
    config = built.field_config = built.field_config or dashboard.FieldConfigSource()
    fill(config.defaults, face)
    if named:
        config.defaults.color = dashboard.FieldColor(mode=dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    return Panel(built, width, height)


def fill(config: dashboard.FieldConfig, face: Face) -> None:
    """Put what a face says into the settings of a field."""
    config.unit = face.unit
    config.no_value = face.empty
    config.decimals = face.decimals
    config.min_val = face.least
    config.max_val = face.most
    config.color = dashboard.FieldColor(mode=dashboard.FieldColorModeId.THRESHOLDS)
    config.thresholds = thresholds(face.limits)
    config.mappings = mappings(face.meanings)
    # The SDK knows only links of dashboards here, which have keys that links of fields have not.
    config.links = [link.as_json() for link in face.links] or None  # type: ignore[misc]


def thresholds(of: limits.Limits) -> dashboard.ThresholdsConfig:
    """Return limits as Grafana wants them."""
    steps = [dashboard.Threshold(value=value, color=colour) for value, colour in of.steps]
    return dashboard.ThresholdsConfig(mode=dashboard.ThresholdsMode.ABSOLUTE, steps=steps)


def mappings(meanings: Meanings | None) -> list[dashboard.ValueMapping] | None:
    """Return what values stand for, as Grafana wants it."""
    if not meanings:
        return None
    options = {
        str(value): dashboard.ValueMappingResult(text=said, color=colour, index=place)
        for place, (value, (said, colour)) in enumerate(meanings.items())
    }
    return [dashboard.ValueMap(options=options)]


def setting(name: str, value: object) -> dashboard.DynamicConfigValue:
    """Return a setting of a field that overrides the panel's, by Grafana's name for it."""
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def _last() -> commons.ReduceDataOptions:
    """Return that each series is reduced to its last value."""
    return commons.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _legend(placement: common.LegendPlacement) -> commons.VizLegendOptions:
    return commons.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST).placement(placement)


def _whole(pattern: str) -> str:
    """Return a regular expression of whole names as Grafana wants it."""
    return f"/^(?:{pattern})$/"
