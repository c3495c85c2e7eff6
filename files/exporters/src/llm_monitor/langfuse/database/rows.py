"""What all databases' rows have in common."""

from collections.abc import Iterable, Sequence

from llm_monitor.langfuse.facts import (
    NO_MODEL,
    QUANTILES,
    ModelUse,
    Quantiles,
    Row,
    ScoreUse,
    number,
)

ENDPOINT = "database"
NEWEST_DAYS = 7


def models_of(rows: Iterable[Row]) -> list[ModelUse]:
    """Return the use of models from rows with a column for each of its attributes."""
    return [
        ModelUse(
            model=row["model"] or NO_MODEL,
            observations=number(row["observations"]) or 0,
            errors=number(row["errors"]),
            input_tokens=number(row["input_tokens"]),
            output_tokens=number(row["output_tokens"]),
            cost=number(row["cost"]),
            latency=_quantiles(row["latency"]),
            first_token=_quantiles(row["first_token"]),
        )
        for row in rows
    ]


def scores_of(rows: Iterable[Row]) -> list[ScoreUse]:
    """Return the scores from rows with the columns name, count and mean."""
    return [ScoreUse(row["name"], number(row["count"]) or 0, number(row["mean"])) for row in rows]


def _quantiles(values: Sequence[object] | None) -> Quantiles:
    pairs = zip(QUANTILES, map(number, values or ()), strict=False)
    return {quantile: seconds for quantile, seconds in pairs if seconds is not None}
