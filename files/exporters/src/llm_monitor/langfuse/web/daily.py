"""The oldest generation of Langfuse's metrics API, which tells of days."""

import math
from collections.abc import Mapping

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Answer
from llm_monitor.langfuse.facts import (
    MOST_NAMES,
    NO_MODEL,
    ModelUse,
    Row,
    Usage,
    fold_models,
    label_text,
    not_finite,
    number,
    rows_of,
)
from llm_monitor.langfuse.web.questions import ABSENT, Api, Span, moment, newest_trace

_MOST_PAGES = 20
_MOST_MODELS = 10 * MOST_NAMES
_NEWEST_DAYS = 7
_KEYS = ("countObservations", "inputUsage", "outputUsage", "totalCost")


class Daily:
    """The oldest generation: a day's traces, and each model's observations, tokens and cost.

    It counts the observations of the traces that began in a span.
    """

    name = "metrics_daily"

    async def usage(self, api: Api, span: Span, deadline: Deadline) -> Usage:
        """Return what happened in `span`, as far as this generation knows."""
        days = _Days()
        more = True
        while more:
            params = {
                "page": str(days.pages + 1),
                "limit": "50",
                "fromTimestamp": moment(span[0]),
                "toTimestamp": moment(span[1]),
            }
            path = "/api/public/metrics/daily"
            more = await api.ask(self.name, path, days.add, deadline, params, ABSENT, alone=False)
        return days.usage()

    async def newest(self, api: Api, now: float, deadline: Deadline) -> float | None:
        """Return the Unix time of the newest trace."""
        return await newest_trace(api, moment(now - _NEWEST_DAYS * 86400), deadline)


class _Days:
    """What the days of a span add up to.

    They are added up page by page: all pages at once may take more memory than there is.

    Attributes:
        pages: How many pages of them have been added.
    """

    def __init__(self) -> None:
        """Have none yet."""
        self.pages = 0
        self._dates: set[str] = set()
        self._traces = 0.0
        self._models: dict[str, list[float]] = {}
        self._left_out = 0

    def add(self, answer: Answer) -> bool:
        """Add a page; return whether there are more.

        Raises:
            UpstreamError: When it can't be used, or there is no end to them.
        """
        content = answer.json()
        self.pages += 1
        for day in rows_of(content, answer.where):
            date = str(day.get("date"))[:10]
            if date in self._dates:
                raise UpstreamError(Reason.UNPARSABLE, f"{answer.where}: a day comes twice")
            self._dates.add(date)
            self._add(day)
        more = self.pages < _pages(content)
        if more and self.pages == _MOST_PAGES:
            raise UpstreamError(Reason.TOO_LARGE, f"{answer.where}: more than {_MOST_PAGES} pages")
        if len(self._models) > _MOST_MODELS:
            sentence = f"{answer.where}: more than {_MOST_MODELS} models"
            raise UpstreamError(Reason.TOO_LARGE, sentence)
        return more

    def usage(self) -> Usage:
        """Return the sum of all days; what a value that is no number belongs to is left out."""
        models = [
            ModelUse(model, count, None, number(tokens_in), number(tokens_out), number(cost))
            for model, (count, tokens_in, tokens_out, cost) in self._models.items()
            if count and number(count) is not None
        ]
        traces = number(self._traces)
        return Usage(traces, None, None, fold_models(models, MOST_NAMES), None, self._left_out)

    def _add(self, day: Row) -> None:
        self._traces += self._summand(day.get("countTraces"))
        use = day.get("usage")
        for row in use if isinstance(use, list) else ():
            if isinstance(row, Mapping):
                name = label_text(row.get("model")) or NO_MODEL
                sums = self._models.setdefault(name, [0.0] * len(_KEYS))
                for place, key in enumerate(_KEYS):
                    sums[place] += self._summand(row.get(key))

    def _summand(self, value: object) -> float:
        """Return a number as it is, NaN for what is not finite, so that the sum is none either."""
        if not_finite(value):
            self._left_out += 1
            return math.nan
        return number(value) or 0


def _pages(content: Row) -> float:
    meta = content.get("meta")
    return number(meta.get("totalPages") if isinstance(meta, Mapping) else None) or 1
