"""What dashboards about models share."""

from __future__ import annotations

from .. import colours
from ..limits import above
from ..links import Link, label, logs, to
from ..panels import Face, Meanings, Panel, stat
from ..queries import Query

UP: Meanings = {1: ("Up", colours.OK), 0: ("Down", colours.CRITICAL)}
UP_OR_LOADING: Meanings = {1: ("Up", colours.OK), 0: ("Down", colours.CRITICAL), 2: ("Loading", colours.INFO)}
QUANTILES = {"p50": colours.P50, "p95": colours.P95, "p99": colours.P99}


def quantile(share: float, buckets: str, *by: str) -> str:
    """Return the expression of a quantile of a histogram's buckets, for each value of the labels in `by`."""
    return f"histogram_quantile({share}, sum by ({', '.join((*by, 'le'))}) (rate({buckets}[$__rate_interval])))"


def quantiles(buckets: str) -> list[Query]:
    """Return the median, and what 5 % and 1 % exceed, called as `QUANTILES` has them."""
    return [Query(quantile(int(name[1:]) / 100, buckets), name) for name in QUANTILES]


def of_model() -> list[Link]:
    """Return the ways from a series of a model by the name that clients ask for, which its servers need not know."""
    return [
        to("litellm-status", "Only this model", model=label("model")),
        to("model-catalog", "What serves it"),
        to("vllm-docker-status", "The vLLM servers"),
    ]


def of_container() -> list[Link]:
    """Return the ways from a series of a container to its resources and its logs."""
    named = {"instance": label("instance"), "container": label("container")}
    return [to("docker-containers", "The container", **named), logs("Its logs", **named)]


def alerts_firing(component: str, about: str) -> Panel:
    """Return the number of alerts about a component that fire now."""
    firing = f'ALERTS{{alertstate="firing", severity=~"critical|warning", component="{component}"}}'
    return stat(
        "Alerts firing",
        Query(f"count({firing}) or vector(0)"),
        face=Face(
            f"Critical alerts and warnings about {about} that fire at the end of the time shown. Normal is none; each "
            "alert has a runbook that says what to do. Click for the list.",
            "short",
            "Prometheus does not answer.",
            above(warning=1),
            links=[to("alerts", "All alerts")],
        ),
    )
