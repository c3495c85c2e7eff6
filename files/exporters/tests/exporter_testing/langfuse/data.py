"""A small Langfuse project: its traces, observations and scores, and what they add up to."""

import random
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from llm_monitor.langfuse.facts import WINDOWS

PERCENTS = {"0.5": 50, "0.95": 95, "0.99": 99}

# Far enough from the windows' ends that a test may take its time.
_AGES = ((30, 240), (420, 3300), (4200, 82_000), (90_000, 200_000))
_MODELS = ("llama-3.3-70b", "qwen3-32b", "mistral-small")


@dataclass(frozen=True)
class Trace:
    id: str
    at: float
    user: str | None
    session: str | None


@dataclass(frozen=True)
class Observation:
    id: str
    trace: str
    model: str | None
    level: str
    start: float
    end: float | None
    first: float | None
    input: int
    output: int
    cost: float | None
    root: bool


@dataclass(frozen=True)
class Score:
    id: str
    trace: str
    name: str
    kind: str
    value: float | None
    at: float


@dataclass
class Project:
    """What a project holds.

    Attributes:
        now: The Unix time that all ages were counted from.
    """

    now: float
    traces: list[Trace] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)

    def newest(self) -> float:
        return max(one.start for one in self.observations)


@dataclass(frozen=True)
class Expected:
    """What one window of a project adds up to, by model or by name of score."""

    traces: int
    sessions: int
    users: int
    observations: dict[str, int]
    errors: dict[str, int]
    input: dict[str, int]
    output: dict[str, int]
    cost: dict[str, float | None]
    latency: dict[str, dict[str, float]]
    first: dict[str, dict[str, float]]
    scores: dict[str, int]
    means: dict[str, float]


def project(traces: int = 120, models: Sequence[str] = _MODELS, seed: int = 4) -> Project:
    """Return a project whose traces are spread over all windows and longer ago."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    # Times that a database keeps to the millisecond.
    now = int(time.time())
    made = Project(now)
    for number in range(traces):
        youngest, oldest = _AGES[number % len(_AGES)]
        at = now - dice.randint(youngest, oldest)
        user = dice.choice([None, *(f"user-{i}" for i in range(7))])
        session = dice.choice([None, *(f"session-{i}" for i in range(11))])
        made.traces.append(Trace(f"trace-{number}", at, user, session))
        span = Observation(
            f"span-{number}", f"trace-{number}", None, "DEFAULT", at, at + 4, None, 0, 0, None, True
        )
        made.observations.append(span)
        for call in range(dice.randint(1, 3)):
            made.observations.append(_call(dice, f"{number}-{call}", made.traces[-1], models))
        made.scores += _scores(dice, number, at)
    return made


def expect(made: Project, window: str) -> Expected:
    """Return what the project's window adds up to, counted one by one."""
    since = made.now - WINDOWS[window]
    traces = [one for one in made.traces if one.at >= since]
    seen = [one for one in made.observations if one.start >= since]
    scores = [one for one in made.scores if one.at >= since]
    models = {one.model or "none" for one in seen}
    by_model = {name: [one for one in seen if (one.model or "none") == name] for name in models}
    names = {one.name for one in scores}
    numbers = {
        name: [one.value for one in scores if one.name == name and one.value is not None]
        for name in names
    }
    return Expected(
        traces=len(traces),
        sessions=len({one.session for one in traces} - {None}),
        users=len({one.user for one in traces} - {None}),
        observations={name: len(group) for name, group in by_model.items()},
        errors={
            name: sum(one.level == "ERROR" for one in group) for name, group in by_model.items()
        },
        input={name: sum(one.input for one in group) for name, group in by_model.items()},
        output={name: sum(one.output for one in group) for name, group in by_model.items()},
        cost={name: _total(one.cost for one in group) for name, group in by_model.items()},
        latency={
            name: quantiles([one.end - one.start for one in group if one.end is not None])
            for name, group in by_model.items()
        },
        first={
            name: quantiles([one.first - one.start for one in group if one.first is not None])
            for name, group in by_model.items()
        },
        scores={name: sum(one.name == name for one in scores) for name in names},
        means={name: statistics.fmean(values) for name, values in numbers.items() if values},
    )


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the quantiles as percentile_cont and ClickHouse's quantile define them."""
    if not values:
        return {}
    many = [*values] * (2 if len(values) == 1 else 1)
    cuts = statistics.quantiles(many, n=100, method="inclusive")
    return {quantile: cuts[percent - 1] for quantile, percent in PERCENTS.items()}


def _call(dice: random.Random, name: str, trace: Trace, models: Sequence[str]) -> Observation:
    start = trace.at + dice.randint(1, 1500) / 1000
    first = dice.choice([None, start + dice.randint(40, 900) / 1000])
    end = dice.choice([None, *[start + dice.randint(1000, 20_000) / 1000] * 9])
    return Observation(
        id=f"call-{name}",
        trace=trace.id,
        model=models[min(dice.randrange(len(models)) for _ in range(2))],
        level="ERROR" if dice.random() < 0.2 else "DEFAULT",
        start=start,
        end=end,
        first=first,
        input=dice.randint(10, 5000),
        output=dice.randint(1, 800),
        cost=dice.choice([None, dice.randint(1, 9000) / 100_000]),
        root=False,
    )


def _scores(dice: random.Random, number: int, at: float) -> list[Score]:
    trace = f"trace-{number}"
    return [
        Score(f"a-{number}", trace, "accuracy", "NUMERIC", dice.randint(0, 100) / 100, at + 3),
        Score(f"b-{number}", trace, "helpful", "BOOLEAN", float(dice.random() < 0.7), at + 3),
        Score(f"c-{number}", trace, "tone", "CATEGORICAL", None, at + 3),
    ]


def _total(parts: Iterable[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
