"""Several exporters that answer as one: one page of metrics, one readiness."""

import asyncio
from collections.abc import Sequence

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.engine import Engine
from llm_monitor.base.collection.snapshot import Snapshot


class Together:
    """An engine and others whose samples are served with its own.

    All its methods must be called on the event loop.

    Attributes:
        exporter: The exporter that they answer as.
    """

    def __init__(self, engine: Engine, others: Sequence[Engine]) -> None:
        """Answer as the exporter of `engine`; no family of `others` is one of its own."""
        self.exporter = engine.exporter
        self._engines = [engine, *others]
        self._joined: tuple[list[Snapshot], Snapshot] | None = None

    @property
    def ready(self) -> bool:
        """Whether a first collection of each has ended, with whatever success."""
        return all(one.ready for one in self._engines)

    def start(self) -> None:
        """Start a first collection of each, and what runs in the background."""
        for one in self._engines:
            one.start()

    def stop(self) -> None:
        """Answer waiting scrapes with what there is, and start nothing any more."""
        for one in self._engines:
            one.stop()

    async def snapshot(self, deadline: Deadline) -> Snapshot:
        """Return a sample of all, collected at the same time.

        While none of them has a newer one it is the same, so that it is rendered once.
        """
        found = await asyncio.gather(*(one.snapshot(deadline) for one in self._engines))
        if self._joined is None or self._joined[0] != found:
            blocks = [block for one in found for block in one.blocks]
            self._joined = found, Snapshot(min(one.started for one in found), blocks)
        return self._joined[1]
