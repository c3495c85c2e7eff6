"""Questions that panels ask. Data sources are always the dashboard's variables, never fixed ones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from grafana_foundation_sdk.builders import loki, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

METRICS = DataSourceRef(type_val="prometheus", uid="${datasource}")
LOGS = DataSourceRef(type_val="loki", uid="${loki}")


class Shape(Enum):
    """In what shape a panel wants its answers."""

    RANGE = "over the dashboard's time"
    NOW = "at the end of the dashboard's time"
    ROWS = "at the end of the dashboard's time, as a table"
    BUCKETS = "over the dashboard's time, as buckets of a histogram"


@dataclass(frozen=True)
class Query:
    """PromQL.

    Attributes:
        expr: The expression, in which `$instance` and other variables of the dashboard stand.
        legend: How a series is called, such as `{{device}} read`.
    """

    expr: str
    legend: str = ""

    @property
    def source(self) -> DataSourceRef:
        """Where it is asked."""
        return METRICS

    def target(self, ref: str, shape: Shape) -> Builder[Dataquery]:
        """Return it as Grafana wants it, under the name `ref`."""
        asked = prometheus.Dataquery().datasource(METRICS).ref_id(ref).expr(self.expr)
        # Without one Grafana writes the whole set of labels.
        asked = asked.legend_format(self.legend or "__auto")
        asked = asked.instant() if shape in (Shape.NOW, Shape.ROWS) else asked.range()
        formats = {Shape.ROWS: PromQueryFormat.TABLE, Shape.BUCKETS: PromQueryFormat.HEATMAP}
        return asked.format(formats.get(shape, PromQueryFormat.TIME_SERIES))


@dataclass(frozen=True)
class LogQuery:
    """LogQL, with the same attributes."""

    expr: str
    legend: str = ""

    @property
    def source(self) -> DataSourceRef:
        """Where it is asked."""
        return LOGS

    def target(self, ref: str, shape: Shape) -> Builder[Dataquery]:
        """Return it as Grafana wants it, under the name `ref`."""
        asked = loki.Dataquery().datasource(LOGS).ref_id(ref).expr(self.expr).legend_format(self.legend)
        return asked.query_type("instant" if shape in (Shape.NOW, Shape.ROWS) else "range")


Asked = Query | LogQuery


def ref(place: int) -> str:
    """Return the name of the query in a place, counted from 0: A, B, C…"""
    return chr(ord("A") + place)
