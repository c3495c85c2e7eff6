"""Variables of dashboards: what a person chooses above the panels.

`datasource` is on every dashboard; `loki` comes with the first query of logs. Those that follow can be chosen several
at once, or All, which matches series that lack the label too.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from .queries import LOGS, METRICS

Variable = Builder[dashboard.VariableModel]

_ALL = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])


def datasource() -> Variable:
    """Return the choice of Prometheus."""
    return builders.DatasourceVariable("datasource").label("Metrics").type("prometheus")


def loki() -> Variable:
    """Return the choice of Loki."""
    return builders.DatasourceVariable("loki").label("Logs").type("loki")


def of_label(name: str, title: str, series: str, label: str = "") -> Variable:
    """Return the choice among the values of a label.

    Args:
        name: The variable's name.
        title: What people read.
        series: A selector of the series that have it, such as `llm_monitor_gpu_info{instance=~"$instance"}`.
        label: The label, if it is called otherwise.
    """
    query = f"label_values({series}, {label or name})"
    # As Grafana itself writes it: other forms are converted, and a converted dashboard counts as changed.
    asked: dict[str, object] = {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery", "qryType": 1}
    return _many(builders.QueryVariable(name).label(title).datasource(METRICS).query(asked).definition(query))


def instance(series: str) -> Variable:
    """Return the choice of hosts, among those that have a series."""
    return of_label("instance", "Host", series)


def gpu() -> Variable:
    """Return the choice of GPUs by their index, of the hosts that are chosen."""
    return of_label("gpu", "GPU", 'llm_monitor_gpu_memory_total_bytes{instance=~"$instance"}')


def container(series: str = 'llm_monitor_container_state{instance=~"$instance"}') -> Variable:
    """Return the choice of containers by name."""
    return of_label("container", "Container", series)


def model(series: str) -> Variable:
    """Return the choice of models by the name that the series gives them."""
    return of_label("model", "Model", series)


def of_log_label(name: str, title: str, label: str = "", *, some_lack_it: bool = False) -> Variable:
    """Return the choice among the values of a label of Loki's streams.

    All matches streams that lack the label only with `some_lack_it`; Loki wants one label in a query that none lacks.
    """
    asked: dict[str, object] = {"label": label or name, "refId": "LokiVariableQueryEditor-VariableQuery", "type": 1}
    return _many(
        builders.QueryVariable(name).label(title).datasource(LOGS).query(asked), ".*" if some_lack_it else ".+"
    )


def choice(name: str, title: str, *values: str) -> Variable:
    """Return the choice among fixed values, several at once or All."""
    return (
        builders.CustomVariable(name)
        .label(title)
        .values(",".join(values))
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(_ALL)
    )


def words(name: str, title: str) -> Variable:
    """Return a box for words, empty at first."""
    return builders.TextBoxVariable(name).label(title).default_value("")


def _many(variable: builders.QueryVariable, every: str = ".*") -> Variable:
    return (
        variable.multi(True)
        .include_all(True)
        .all_value(every)
        .current(_ALL)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
    )
