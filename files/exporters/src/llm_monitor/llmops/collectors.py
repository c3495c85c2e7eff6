"""The collectors of the event store: how it is, and what happened in each window."""

import time
from collections.abc import Iterator
from itertools import chain, zip_longest

from llm_monitor.base.collection.collector import Background, Collector, Deadline
from llm_monitor.base.collection.ledger import Ledger
from llm_monitor.base.errors import SourceError
from llm_monitor.base.metrics.family import Family, Sample
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.llmops import metrics
from llm_monitor.llmops.facts import Poll, Use, Window, fold, fold_failures
from llm_monitor.llmops.source import Repository

STATE = "state"
_PROBE_SECONDS = 60.0
_PROBE_PATIENCE = 10.0


class StateCollector:
    """Asks the event store for its version; it succeeds when it is one."""

    name = STATE
    families = (metrics.SCHEMA_VERSION,)

    def __init__(self, repository: Repository) -> None:
        """Ask `repository`."""
        self._repository = repository

    def collect(self, deadline: Deadline, /) -> Iterator[Sample]:
        """Give the version of the schema."""
        soon = Deadline.after(min(_PROBE_PATIENCE, deadline.remaining()))
        yield metrics.SCHEMA_VERSION(self._repository.version(soon))


class UsageCollector:
    """Asks what happened in each window."""

    name = "usage"
    families = (
        metrics.DATA_AGE,
        metrics.SESSIONS,
        metrics.REQUESTS,
        metrics.ERRORS,
        metrics.ERRORS_BY_REASON,
        metrics.TOKENS,
        metrics.COST,
        metrics.LATENCY,
        metrics.TIME_TO_FIRST_TOKEN,
    )

    def __init__(self, repository: Repository, most: int, ledger: Ledger[Poll]) -> None:
        """Ask `repository`; tell the `most` most used apart; keep polls in `ledger`."""
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
        if poll.newest is not None:
            yield metrics.DATA_AGE(max(0.0, poll.at - poll.newest))
        for window, found in poll.windows.items():
            yield metrics.SESSIONS(found.sessions, window)
            for (operation, reason), count in fold_failures(found.failures, self._most).items():
                yield metrics.ERRORS_BY_REASON(count, window, operation, reason)
        yield from self._pairs(poll)

    def _pairs(self, poll: Poll) -> Iterator[Sample]:
        """Give the operations and models of all windows, the most used first.

        Should the cap on a family's series be reached, it costs the least used.
        """
        ranked = [self._ranked(name, window) for name, window in poll.windows.items()]
        for labels, use in filter(None, chain.from_iterable(zip_longest(*ranked))):
            yield from _told(use, *labels)

    def _ranked(self, name: str, window: Window) -> list[tuple[tuple[str, str, str], Use]]:
        return [((name, *pair), use) for pair, use in fold(window.pairs, self._most).items()]


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
    repository: Repository,
    complaints: Complaints,
    ledger: Ledger[Poll],
    most: int,
    interval: float,
) -> tuple[list[Collector], list[Background]]:
    """Return what runs on a scrape, and what runs at its own interval.

    Args:
        repository: What is asked.
        complaints: What counts its failures.
        ledger: What keeps polls for the JSON API.
        most: How many pairs of operation and model are told apart.
        interval: Seconds from poll to poll.
    """
    background = [
        Background(StateCollector(repository), min(interval, _PROBE_SECONDS)),
        Background(UsageCollector(repository, most, ledger), interval),
    ]
    return [ErrorCollector(complaints)], background


def _told(use: Use, *labels: str) -> Iterator[Sample]:
    yield metrics.REQUESTS(use.requests, *labels)
    yield metrics.ERRORS(use.errors, *labels)
    yield from _known(metrics.TOKENS, use.input_tokens, *labels, "input")
    yield from _known(metrics.TOKENS, use.output_tokens, *labels, "output")
    yield from _known(metrics.COST, use.cost, *labels)
    for family, quantiles in (
        (metrics.LATENCY, use.latency),
        (metrics.TIME_TO_FIRST_TOKEN, use.first_token),
    ):
        for quantile, seconds in quantiles.items():
            yield family(seconds, *labels, quantile)


def _known(family: Family, value: float | None, *labels: str) -> Iterator[Sample]:
    if value is not None:
        yield family(value, *labels)
