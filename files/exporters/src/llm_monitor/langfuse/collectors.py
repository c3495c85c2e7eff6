"""The Langfuse exporter's collectors: how Langfuse is, and what happened in each window."""

import time
from collections.abc import Iterator
from itertools import chain, zip_longest

from llm_monitor.base.collection.collector import Background, Collector, Deadline
from llm_monitor.base.collection.ledger import Ledger
from llm_monitor.base.errors import SourceError
from llm_monitor.base.metrics.family import Family, Sample
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse import metrics
from llm_monitor.langfuse.facts import ModelUse, Poll, ScoreUse, Usage, fold_models, fold_scores
from llm_monitor.langfuse.source import Repository

STATE = "state"
_PROBE_SECONDS = 60.0
_PROBE_PATIENCE = 10.0


class StateCollector:
    """Asks Langfuse how it is; it succeeds when Langfuse works."""

    name = STATE
    families = (metrics.INFO,)

    def __init__(self, repository: Repository) -> None:
        """Ask `repository`."""
        self._repository = repository

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give what Langfuse says about itself."""
        if version := self._repository.version(_soon(deadline)):
            yield metrics.INFO(1, version)


class ReadyCollector:
    """Asks Langfuse whether it takes requests."""

    name = "ready"
    families = (metrics.READY,)

    def __init__(self, repository: Repository) -> None:
        """Ask `repository`."""
        self._repository = repository

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give whether Langfuse takes requests, if it tells."""
        ready = self._repository.ready(_soon(deadline))
        if ready is not None:
            yield metrics.READY(int(ready))


class UsageCollector:
    """Asks what happened in each window."""

    name = "usage"
    families = (
        metrics.SOURCE_INFO,
        metrics.DATA_AGE,
        metrics.TRACES,
        metrics.SESSIONS,
        metrics.USERS,
        metrics.OBSERVATIONS,
        metrics.ERRORS,
        metrics.TOKENS,
        metrics.COST,
        metrics.LATENCY,
        metrics.TIME_TO_FIRST_TOKEN,
        metrics.SCORES,
        metrics.SCORE_MEAN,
    )

    def __init__(self, repository: Repository, most: int, ledger: Ledger[Poll]) -> None:
        """Ask `repository`; give the `most` most used models and scores, and sum up the others."""
        self._repository = repository
        self._most = most
        self._ledger = ledger

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give what happened in each window."""
        begun = time.monotonic()
        try:
            poll = self._repository.poll(deadline)
        except SourceError as error:
            self._ledger.drop(str(error))
            raise
        self._ledger.keep(poll, begun)
        yield metrics.SOURCE_INFO(1, poll.source)
        if poll.newest is not None:
            yield metrics.DATA_AGE(max(0.0, poll.at - poll.newest))
        for window, usage in poll.windows.items():
            yield from _totals(window, usage)
            for score in fold_scores(usage.scores or (), self._most):
                yield from _score(window, score)
        yield from self._models(poll)

    def _models(self, poll: Poll) -> Iterator[Sample]:
        """Give the models of all windows, the most used first.

        Should the cap on a family's series be reached, it costs the least used.
        """
        ranked = [
            [(window, one) for one in fold_models(usage.models, self._most)]
            for window, usage in poll.windows.items()
        ]
        for window, one in filter(None, chain.from_iterable(zip_longest(*ranked))):
            yield from _model(window, one)


class ErrorCollector:
    """Gives what went wrong so far; it asks nobody."""

    name = "upstream"
    families = (metrics.UPSTREAM_ERRORS,)

    def __init__(self, complaints: Complaints) -> None:
        """Give what `complaints` counts."""
        self._complaints = complaints

    def collect(self, _deadline: Deadline, /) -> Iterator[Sample]:
        """Give how often each question failed, and why."""
        for (endpoint, reason), count in self._complaints.counts().items():
            yield metrics.UPSTREAM_ERRORS(count, endpoint, reason)


def collectors(
    repository: Repository, complaints: Complaints, ledger: Ledger[Poll], most: int, interval: float
) -> tuple[list[Collector], list[Background]]:
    """Return what runs on a scrape, and what runs at its own interval.

    Args:
        repository: What is asked.
        complaints: What counts its failures.
        ledger: What keeps polls for the JSON API.
        most: How many models and scores are told apart.
        interval: Seconds from poll to poll.
    """
    often = min(interval, _PROBE_SECONDS)
    background = [
        Background(StateCollector(repository), often),
        Background(ReadyCollector(repository), often),
        Background(UsageCollector(repository, most, ledger), interval),
    ]
    return [ErrorCollector(complaints)], background


def _soon(deadline: Deadline) -> Deadline:
    return Deadline.after(min(_PROBE_PATIENCE, deadline.remaining()))


def _totals(window: str, usage: Usage) -> Iterator[Sample]:
    yield from _known(metrics.TRACES, usage.traces, window)
    yield from _known(metrics.SESSIONS, usage.sessions, window)
    yield from _known(metrics.USERS, usage.users, window)


def _model(window: str, one: ModelUse) -> Iterator[Sample]:
    yield metrics.OBSERVATIONS(one.observations, window, one.model)
    yield from _known(metrics.ERRORS, one.errors, window, one.model)
    yield from _known(metrics.TOKENS, one.input_tokens, window, one.model, "input")
    yield from _known(metrics.TOKENS, one.output_tokens, window, one.model, "output")
    yield from _known(metrics.COST, one.cost, window, one.model)
    for family, quantiles in (
        (metrics.LATENCY, one.latency),
        (metrics.TIME_TO_FIRST_TOKEN, one.first_token),
    ):
        for quantile, seconds in (quantiles or {}).items():
            yield family(seconds, window, one.model, quantile)


def _score(window: str, score: ScoreUse) -> Iterator[Sample]:
    yield metrics.SCORES(score.count, window, score.name)
    yield from _known(metrics.SCORE_MEAN, score.mean, window, score.name)


def _known(family: Family, value: float | None, *labels: str) -> Iterator[Sample]:
    if value is not None:
        yield family(value, *labels)
