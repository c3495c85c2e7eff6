"""What Langfuse knows about the use of models in a window of time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm_monitor.base.files import printable
from llm_monitor.base.metrics.guard import OTHER
from llm_monitor.base.upstream.errors import Reason, UpstreamError

WINDOWS = {"5m": 300, "1h": 3600, "24h": 86400}
QUANTILES = ("0.5", "0.95", "0.99")
NO_MODEL = "none"
# Names that a window tells apart at most; who has more, has ids in them.
MOST_NAMES = 1000
# Of an answer, in bytes: what is made of twice as many takes more memory than the container has.
LARGEST_ANSWER = 4 << 20

_LONGEST_NAME = 256
_END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC).timestamp()

Row = Mapping[str, Any]
Quantiles = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What became of the observations of one model; None is what the source can't tell.

    Attributes:
        model: The model's name as the application gave it, or `none`.
        observations: How many began.
        errors: How many of them are of level ERROR.
        input_tokens: Their input tokens.
        output_tokens: Their output tokens.
        cost: What they cost, in USD.
        latency: Seconds from start to end, by quantile.
        first_token: Seconds from start to first token, by quantile.
    """

    model: str
    observations: float
    errors: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost: float | None = None
    latency: Quantiles | None = None
    first_token: Quantiles | None = None


@dataclass(frozen=True, slots=True)
class ScoreUse:
    """What became of the scores of one name.

    Attributes:
        name: The name.
        count: How many were given.
        mean: The mean of those that are numbers or booleans, None when there are none.
    """

    name: str
    count: float
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What happened in one window; None is what the source can't tell.

    Attributes:
        traces: How many traces began.
        sessions: How many different sessions they belong to.
        users: How many different users they belong to.
        models: The use of each model, that with the most observations first.
        scores: The scores, those given most often first.
        left_out: How many values were no finite numbers.
    """

    traces: float | None
    sessions: float | None
    users: float | None
    models: Sequence[ModelUse]
    scores: Sequence[ScoreUse] | None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll found.

    Attributes:
        source: Which of the ways to ask answered.
        at: Unix time at which all windows end.
        newest: Unix time of the start of the newest observation or trace, None when there is none.
        windows: The use in each of WINDOWS.
    """

    source: str
    at: float
    newest: float | None
    windows: Mapping[str, Usage]


def number(value: object) -> float | None:
    """Return a finite number that was written as one or as text, else None.

    ClickHouse writes 64 bit integers as text, and both APIs pass that on.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
        whole = int(value) if found.is_integer() else found
    except (ValueError, OverflowError):
        return None
    return whole if math.isfinite(found) else None


def not_finite(value: object) -> bool:
    """Return whether `value` is NaN or an infinity, written as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return not math.isfinite(float(value))
    except OverflowError:
        return True
    except ValueError:
        return False


def label_text(value: object) -> str:
    """Return a name as a label can have it, empty when it is no text."""
    return printable(value[:_LONGEST_NAME]) if isinstance(value, str) else ""


def calendar_time(seconds: float | None) -> float | None:
    """Return a Unix time that calendars have, else None."""
    return seconds if seconds is not None and 0 <= seconds < _END_OF_TIME else None


def rows_of(content: object, where: str) -> list[Row]:
    """Return the list of objects in `data`: that is how Langfuse and ClickHouse answer.

    Raises:
        UpstreamError: When there is none.
    """
    data = content.get("data") if isinstance(content, Mapping) else None
    if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
        raise UpstreamError(Reason.UNPARSABLE, f"{where}: the answer is no list of rows")
    return data


def fold_models(models: Iterable[ModelUse], most: int) -> list[ModelUse]:
    """Return the `most` models with the most observations, all others summed up as `other`.

    Quantiles can't be summed up, so `other` has none, nor has a model that comes more than once.
    """
    named: dict[str, list[ModelUse]] = {}
    for one in models:
        named.setdefault(one.model, []).append(one)
    once = [_together(model, found) for model, found in named.items()]
    ranked = sorted(once, key=lambda one: (-one.observations, one.model))
    kept = [one for one in ranked[:most] if one.model != OTHER]
    rest = [one for one in ranked[:most] if one.model == OTHER] + ranked[most:]
    return [*kept, _together(OTHER, rest)] if rest else kept


def fold_scores(scores: Iterable[ScoreUse], most: int) -> list[ScoreUse]:
    """Return the `most` scores given most often, all others counted as `other`, without mean."""
    ranked = sorted(scores, key=lambda one: (-one.count, one.name))
    kept = [one for one in ranked[:most] if one.name != OTHER]
    rest = [one for one in ranked[:most] if one.name == OTHER] + ranked[most:]
    return [*kept, ScoreUse(OTHER, sum(one.count for one in rest))] if rest else kept


def _together(model: str, parts: Sequence[ModelUse]) -> ModelUse:
    """Return what several uses add up to; one alone keeps its quantiles, unless it is `other`."""
    if len(parts) == 1 and model != OTHER:
        return parts[0]
    return ModelUse(
        model=model,
        observations=sum(one.observations for one in parts),
        errors=_sum(one.errors for one in parts),
        input_tokens=_sum(one.input_tokens for one in parts),
        output_tokens=_sum(one.output_tokens for one in parts),
        cost=_sum(one.cost for one in parts),
    )


def _sum(parts: Iterable[float | None]) -> float | None:
    """Return the sum of what is known, None when nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
