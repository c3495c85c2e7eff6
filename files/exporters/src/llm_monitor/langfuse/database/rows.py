"""What all databases have in common: their rows."""

from collections.abc import Iterable

from llm_monitor.langfuse.facts import (
    MOST_NAMES,
    NO_MODEL,
    QUANTILES,
    ModelUse,
    Quantiles,
    Row,
    ScoreUse,
    fold_models,
    fold_scores,
    label_text,
    number,
)

ENDPOINT = "database"
NEWEST_DAYS = 7


def models_of(rows: Iterable[Row]) -> list[ModelUse]:
    """Return the use of models from rows with a column for each of its attributes.

    A row that does not say how many observations it stands for is left out.
    """
    models = (
        ModelUse(
            model=label_text(row.get("model")) or NO_MODEL,
            observations=count,
            errors=number(row.get("errors")),
            input_tokens=number(row.get("input_tokens")),
            output_tokens=number(row.get("output_tokens")),
            cost=number(row.get("cost")),
            latency=_quantiles(row.get("latency")),
            first_token=_quantiles(row.get("first_token")),
        )
        for row in rows
        if (count := number(row.get("observations"))) is not None
    )
    return fold_models(models, MOST_NAMES)


def scores_of(rows: Iterable[Row]) -> list[ScoreUse]:
    """Return the scores from rows with the columns name, count and mean."""
    scores = (
        ScoreUse(label_text(row.get("name")), count, number(row.get("mean")))
        for row in rows
        if (count := number(row.get("count"))) is not None
    )
    return fold_scores(scores, MOST_NAMES)


def _quantiles(values: object) -> Quantiles:
    pairs = zip(QUANTILES, map(number, values if isinstance(values, list) else ()), strict=False)
    return {quantile: seconds for quantile, seconds in pairs if seconds is not None}
