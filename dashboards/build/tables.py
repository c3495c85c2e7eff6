"""Tables: labels of series and values of several queries, a row for what has the same labels.

    table(
        "File systems",
        [Query('max by (instance, mountpoint) (…)'), Query('…')],
        columns=[
            Column("instance", "Host"),
            Column("mountpoint", "Mounted at"),
            Column("A", "Free", unit="percentunit", limits=below(critical=0.1)),
            Column("B", "Full in", unit="s"),
        ],
        face=Face("…", "short", "…"),
    )

Every query has the same labels (`… by (instance, mountpoint)`), or lacks some that others have; a row is made of the
values that agree in all labels that every query has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as commons
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models import common, dashboard

from . import limits
from .links import Link
from .panels import Face, Meanings, Panel, finished, mappings, setting, thresholds
from .queries import Query, Shape, ref


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        field: A label of the queries, or the place of a query, A, B, C…, for its value.
        title: What stands above it.
        unit: One of Grafana's units, for a value.
        limits: From which values on it has which colour.
        meanings: What values stand for.
        links: What a click on a cell offers.
        width: In pixels, if Grafana shall not choose.
        decimals: How many are shown.
        as_bar: Whether a bar is drawn in the cell, of a share from 0 to 1.
        wrap: Whether long text goes on in a second line.
    """

    field: str
    title: str
    unit: str = ""
    limits: limits.Limits = limits.NONE
    meanings: Meanings | None = None
    links: Sequence[Link] = ()
    width: int | None = None
    decimals: int | None = None
    as_bar: bool = False
    wrap: bool = False


def table(
    title: str,
    asked: Sequence[Query],
    *,
    columns: Sequence[Column],
    face: Face,
    width: int = 24,
    height: int = 9,
    sort: str = "",
    rising: bool = False,
) -> Panel:
    """Return a table of what queries say at the end of the dashboard's time.

    Args:
        title: What a person would say.
        asked: Queries that aggregate `by` the labels that are columns; A is the first.
        columns: What is shown, in this order; all else is left out.
        face: What every panel says, for columns that don't say it themselves.
        width: Columns of the grid.
        height: Rows of the grid.
        sort: The title of the column by which rows are sorted at first.
        rising: Whether the lowest comes first.
    """
    names = [_name(column.field, asked) for column in columns]
    built = tables.Panel().show_header(True).cell_height(common.TableCellHeight.SM)
    if sort:
        built = built.sort_by([commons.TableSortByFieldState().display_name(sort).desc(not rising)])
    for transformation in _transformations(names, columns, joined=len(asked) > 1):
        built = built.with_transformation(transformation)
    for column in columns:
        if dressed := _properties(column):
            built = built.override_by_name(column.title, dressed)
    return finished(built.build(), title, asked, Shape.ROWS, face, width, height)


def _name(field: str, asked: Sequence[Query]) -> str:
    """Return what Grafana calls a field: a query's value has the query's name behind it unless it is alone."""
    if field not in [ref(place) for place in range(len(asked))]:
        return field
    return f"Value #{field}" if len(asked) > 1 else "Value"


def _transformations(
    names: Sequence[str], columns: Sequence[Column], *, joined: bool
) -> list[dashboard.DataTransformerConfig]:
    """Return what makes one table of the queries' answers."""
    organised = {
        "excludeByName": {},
        "indexByName": {name: place for place, name in enumerate(names)},
        "renameByName": {name: column.title for name, column in zip(names, columns, strict=True)},
    }
    made: list[tuple[str, dict[str, object]]] = [("merge", {})] if joined else []
    made += [("filterFieldsByName", {"include": {"names": list(names)}}), ("organize", organised)]
    return [dashboard.DataTransformerConfig(id_val=name, options=options) for name, options in made]


def _properties(column: Column) -> list[dashboard.DynamicConfigValue]:
    """Return what a column says of itself."""
    found: dict[str, object] = {}
    if column.unit:
        found["unit"] = column.unit
    if column.decimals is not None:
        found["decimals"] = column.decimals
    if column.width is not None:
        found["custom.width"] = column.width
    if column.meanings:
        found["mappings"] = mappings(column.meanings)
    if column.limits != limits.NONE:
        found["thresholds"] = thresholds(column.limits)
    if column.as_bar:
        found |= {"custom.cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 1}
    elif column.wrap:
        found["custom.cellOptions"] = {"type": "auto", "wrapText": True}
    elif column.meanings or column.limits != limits.NONE:
        found["custom.cellOptions"] = {"type": "color-text"}
    if column.links:
        found["links"] = [link.as_json() for link in column.links]
    return [setting(name, value) for name, value in found.items()]
