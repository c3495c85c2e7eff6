"""One upstream of which several things are asked again and again."""

from collections.abc import Iterator
from contextlib import contextmanager

from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import UpstreamError


class Questions:
    """Tells of an upstream that fails, and that it recovered once none of its questions does."""

    def __init__(self, complaints: Complaints, upstream: str) -> None:
        """Tell `complaints` of `upstream`, the value of a label."""
        self._complaints = complaints
        self._upstream = upstream
        self._failing: set[str] = set()

    @contextmanager
    def asking(self, question: str) -> Iterator[None]:
        """Tell what becomes of `question`: one of those that are asked again and again."""
        try:
            yield
        except UpstreamError as error:
            self._failing.add(question)
            self._complaints.failed(self._upstream, error)
            raise
        self._failing.discard(question)
        if not self._failing:
            self._complaints.recovered(self._upstream)
