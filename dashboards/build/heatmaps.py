"""Panels of many values over time, told by colour."""

from __future__ import annotations

from grafana_foundation_sdk.builders import heatmap as heatmaps
from grafana_foundation_sdk.models import common, heatmap

from . import colours
from .panels import Face, Panel, finished
from .queries import Query, Shape


def by_series(title: str, *asked: Query, face: Face, width: int = 24, height: int = 8) -> Panel:
    """Return a line of cells for each series, the darker the more: what each GPU did. The face gives least and most."""
    # Zero is shown: a gap is what was not there.
    built = _heatmap(face).filter_values(heatmaps.FilterValueRange().le((face.least or 0) - 1))
    return finished(built.build(), title, asked, Shape.RANGE, face, width, height)


def by_bucket(title: str, asked: Query, *, face: Face, width: int = 12, height: int = 8) -> Panel:
    """Return how values of a histogram are spread over time.

    Args:
        title: What a person would say.
        asked: A sum by (le) of a rate of buckets, with the legend `{{le}}`.
        face: What every panel says; the unit is that of the buckets' bounds.
        width: Columns.
        height: Rows.
    """
    built = _heatmap(face).y_axis(heatmaps.YAxisConfig().unit(face.unit))
    return finished(built.build(), title, [asked], Shape.BUCKETS, face, width, height)


def _heatmap(face: Face) -> heatmaps.Panel:
    colour = (
        heatmaps.HeatmapColorOptions()
        .mode(heatmap.HeatmapColorMode.SCHEME)
        .scheme("Blues")
        .fill(colours.USED)
        .scale(heatmap.HeatmapColorScale.LINEAR)
        .exponent(0.5)
        .steps(64)
    )
    if face.least is not None and face.most is not None:
        colour = colour.min(face.least).max(face.most)
    return (
        heatmaps.Panel()
        .calculate(False)
        .color(colour)
        .cell_gap(1)
        .cell_values(heatmaps.CellValues().unit(face.unit))
        .rows_frame(heatmaps.RowsHeatmapOptions().layout(common.HeatmapCellLayout.AUTO))
        .exemplars_color(colours.PLAIN)
        .show_legend()
    )
