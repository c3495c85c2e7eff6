"""Ways from one dashboard to another, which keep the time and Prometheus; of other variables those that are given.

Uids are resolved by the tests: a link to a dashboard that does not exist fails them.
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT = "${__url_time_range}&${datasource:queryparam}"


@dataclass(frozen=True)
class Link:
    """What a click on a series or a cell offers."""

    title: str
    url: str

    def as_json(self) -> dict[str, object]:
        """Return it as Grafana wants it among a field's links."""
        return {"title": self.title, "url": self.url}


def label(name: str) -> str:
    """Return what stands for a label of the series that is clicked."""
    return f"${{__field.labels.{name}:percentencode}}"


def cell(field: str) -> str:
    """Return what stands for a field of the table's row that is clicked, such as a label of the query."""
    return f'${{__data.fields["{field}"]:percentencode}}'


def variable(name: str) -> str:
    """Return what stands for what is chosen of a variable of this dashboard; it has to be the whole of a value."""
    return f"${{{name}:queryparam}}"


def to(uid: str, title: str, **values: str) -> Link:
    """Return a link to a dashboard: to("gpu-usage", "This GPU", instance=label("instance"), gpu=label("gpu"))."""
    given = "".join(
        f"&{value}" if value == variable(name) else f"&var-{name}={value}" for name, value in values.items()
    )
    return Link(title, f"/d/{uid}?{KEPT}{given}")


def logs(title: str = "Logs", **values: str) -> Link:
    """Return a link to the logs of what `values` name: container, service, level, instance or text."""
    return to("log-explorer", title, **values)


def outside(title: str, url: str) -> Link:
    """Return a link out of Grafana."""
    return Link(title, url)
