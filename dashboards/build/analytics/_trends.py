"""What GPUs give over weeks, when how much is asked of them, and when that will be too much."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..heatmaps import by_series
from ..limits import above, alert, below
from ..links import cell, to
from ..panels import Face, Panel, series
from ..queries import Query
from ..tables import Column, table
from ._recorded import EMPTY, NO_PRICE, of_served, recorded

GROWTH_DAYS = 14
AHEAD_DAYS = 30
FULL = alert("VllmKvCachePressure")
# In the busiest hour of the day before.
BUSIEST = f"max_over_time({recorded('kv_cache_usage:avg1h')}[1d:1h])"


def efficiency() -> Iterator[Panel]:
    """Return what the GPUs give."""
    for title, name, unit, empty, description in (
        (
            "Tokens in a GPU-hour, by model",
            "tokens_per_gpu_hour:rate1h",
            "short",
            EMPTY,
            "Tokens read and written for each hour of a GPU that the model holds. It falls when nobody asks: a model "
            "that stays low could share a GPU.",
        ),
        (
            "Tokens for a joule, by model",
            "tokens_per_joule:rate1h",
            "short",
            EMPTY,
            "Tokens for each joule that the model's GPUs use; on a shared GPU the energy is split evenly. Full batches "
            "raise it.",
        ),
        (
            "Cost of a million tokens, by model",
            "usd_per_1m_tokens:rate1h",
            "currencyUSD",
            NO_PRICE,
            "What the model's GPUs cost for each million tokens, by the inventory's price. Nights without requests are "
            "dear; an hour without a token is left out.",
        ),
    ):
        yield series(
            title,
            Query(recorded(name), "{{model}}"),
            face=Face(description, unit, empty, links=of_served(), least=0),
            width=8,
        )


def load() -> Iterator[Panel]:
    """Return when how much is asked for."""
    requests = recorded("requests:rate1h")
    hour = 'label_replace(count_values("hour", hour(vector(time() - 1))), "hour", "0$1", "hour", "(.)")'
    yield series(
        "Requests against last week",
        Query(f"sum({requests})", "This week"),
        Query(f"sum({requests} offset 1w)", "A week before"),
        face=Face("Requests in a second, by the hour, beside the same hour of last week.", "reqps", EMPTY, least=0),
        colour={"This week": colours.P95, "A week before": colours.LAST_WEEK},
        dashed="A week before",
    )
    peaks = by_series(
        "Peak hours",
        Query(
            f"sum by (hour) (avg_over_time(({requests} * on () group_left (hour) group by (hour) ({hour}))[1d:1h]))",
            "{{hour}}:00",
        ),
        face=Face(
            "Requests in a second in each hour of the day (UTC), over the 24 hours before each moment: the darker the "
            "more. Plan restarts and downloads for the pale ones.",
            "reqps",
            EMPTY,
        ),
        width=12,
        height=10,
    )
    # A column a day.
    peaks.model.interval = "1d"
    yield peaks


def capacity() -> Iterator[Panel]:
    """Return how near models come to what they can do."""
    yield series(
        "KV cache in the busiest hour of the day",
        Query(BUSIEST, "{{model}}"),
        face=Face(
            "The mean use of the fullest server's KV cache in the busiest of the 24 hours before: what there is room "
            "for. Above the line requests wait.",
            "percentunit",
            EMPTY,
            above(warning=FULL),
            links=of_served(),
            least=0,
        ),
        width=8,
    )
    yield series(
        "Longest wait in the queue",
        Query(recorded("queue_time:max1h"), "{{model}}"),
        face=Face(
            "How long the slowest 5 % waited in the worst minutes of each hour. It is the first to rise when a model "
            "has too few replicas.",
            "s",
            EMPTY,
            above(warning=alert("VllmQueueTimeHigh")),
            links=of_served(),
            least=0,
        ),
        width=8,
    )


def outlook() -> Iterator[Panel]:
    """Return where the trend of the last weeks leads."""
    trend = f"({BUSIEST})[{GROWTH_DAYS}d:6h]"
    yield table(
        "What comes",
        [
            Query(f"max by (model) ({BUSIEST})"),
            Query(f"clamp(max by (model) (predict_linear({trend}, {AHEAD_DAYS * 86400})), 0, 1)"),
            Query(f"({FULL:g} - max by (model) ({BUSIEST})) / (max by (model) (deriv({trend})) > 0.0001 / 86400)"),
            Query(
                f"sum by (model) (avg_over_time({recorded('requests:rate1h')}[7d:1h]))"
                f" / (sum by (model) (avg_over_time({recorded('requests:rate1h')}[7d:1h] offset 1w)) > 0) - 1"
            ),
        ],
        columns=[
            Column("model", "Model", links=[to("vllm-docker-status", "Its vLLM servers", model=cell("model"))]),
            Column("A", "KV cache now", unit="percentunit", limits=above(warning=FULL), decimals=0),
            Column("B", f"In {AHEAD_DAYS} days", unit="percentunit", limits=above(warning=FULL), decimals=0),
            Column("C", "Full in", unit="s", limits=below(warning=AHEAD_DAYS * 86400.0)),
            Column("D", "Requests since last week", unit="percentunit", decimals=0),
        ],
        face=Face(
            f"The busiest hour's KV cache, and where the trend of {GROWTH_DAYS} days leads. Full in is empty while it "
            "does not grow. A trend of a few days is a guess.",
            "short",
            EMPTY,
        ),
        width=8,
        height=8,
        sort="KV cache now",
    )
