"""The result of one collection, rendered once for each way in which it is asked for."""

from collections.abc import Sequence

from llm_monitor.base.metrics.exposition import Series, compress, render
from llm_monitor.base.metrics.guard import FamilyGuard


class Snapshot:
    """The series of one collection.

    Attributes:
        started: When the collection started, on the clock of `time.monotonic`, in seconds.
        blocks: Its families in the order in which they are exposed, each with its series.
    """

    __slots__ = ("_bodies", "blocks", "started")

    def __init__(self, started: float, blocks: Sequence[tuple[FamilyGuard, Series]]) -> None:
        """Keep `blocks`, in the order in which they are exposed."""
        self.started = started
        self.blocks = blocks
        self._bodies: dict[tuple[bool, bool], bytes] = {}

    def body(self, openmetrics: bool = False, gzipped: bool = False) -> bytes:
        """Return the exposition in the format asked for; each is rendered at most once."""
        body = self._bodies.get((openmetrics, gzipped))
        if body is None:
            if gzipped:
                body = compress(self.body(openmetrics))
            else:
                blocks = (guard.block(series, openmetrics) for guard, series in self.blocks)
                body = render(blocks, openmetrics)
            self._bodies[openmetrics, gzipped] = body
        return body
