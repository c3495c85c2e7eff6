"""What happened on one simulated server between two moments."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np

from llm_monitor.mock.fleet.layout import Service
from llm_monitor.mock.view import View
from llm_monitor.mock.world.gpus import Xid
from llm_monitor.mock.world.plan import Plan
from llm_monitor.mock.world.step import State
from llm_monitor.mock.world.strains import works

# With these a process ends that was asked to.
_ASKED = (0, 130, 143)
_FULL = 0.995


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a container.

    Attributes:
        place: Its place among all.
        name: Its name.
        image: Its image.
        up: Whether it runs and has come up.
        started: When it was last started, Unix time; None while it does not run.
        began: Whether that was between the two moments.
        loading: Seconds until it has come up.
        ended: When it last ended, Unix time; None when that was before.
        asked: Whether it ended because it was asked to.
        killed: Whether it ended for want of memory, without a word.
        failing: Whether it runs and its health check fails.
    """

    place: int
    name: str
    image: str
    up: bool
    started: float | None
    began: bool
    loading: float
    ended: float | None
    asked: bool
    killed: bool
    failing: bool

    @property
    def ready(self) -> float:
        """When it came up, or will, Unix time; 0 while it does not run."""
        return 0.0 if self.started is None else self.started + self.loading


@dataclass(frozen=True, slots=True)
class Span:
    """The time between two moments of a server's life, the first one not included.

    Attributes:
        plan: What the server has.
        server: Which of the simulation's servers it is.
        row: Its place in the arrays of the states, where it is alone.
        before: How everything was at the first moment.
        after: How everything is at the second one.
    """

    row: ClassVar = View.row

    plan: Plan
    server: int
    before: State
    after: State

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.after.time - self.before.time

    def has(self, time: float) -> bool:
        """Return whether a moment, Unix time, lies in it."""
        return self.before.time < time <= self.after.time

    def passes(self, period: float) -> bool:
        """Return whether what happens every `period` seconds happens in it."""
        return math.floor(self.after.time / period) > math.floor(self.before.time / period)

    def grown(self, count: str) -> list[Any]:
        """Return by how much a count of this server has grown, 0 where it began anew.

        Args:
            count: The count's path in a state, such as `gateway.succeeded`.
        """
        read = attrgetter(count)
        earlier, later = (read(state)[self.row] for state in (self.before, self.after))
        grown: list[Any] = np.maximum(later - earlier, 0).tolist()
        return grown

    def works(self, service: Service) -> bool:
        """Return whether a service works at its end."""
        state = self.after
        up = works(service, state.containers, self.plan, state.forces, state.time)
        return bool(up[self.row, 0])

    def full(self) -> list[str]:
        """Return the mount points of the file systems that are full at its end."""
        shares = self.after.host.filled[self.row] / self.plan.frame.sizes
        pairs = zip(self.plan.frame.mountpoints, shares.tolist(), strict=True)
        return [mountpoint for mountpoint, share in pairs if share >= _FULL]

    def xids(self) -> Iterator[tuple[Xid, int]]:
        """Give by GPU and XID the last one, and how many the driver reported in all."""
        for (gpu, xid), (count, last) in self.after.xids.items():
            new = count - self.before.xids.get((gpu, xid), (0, 0.0))[0]
            if new > 0:
                yield Xid(gpu, xid, last), new

    def fates(self) -> Iterator[Fate]:
        """Give what became of each container."""
        before, after, row = self.before.containers, self.after.containers, self.row
        names = ("running", "started", "finished", "exit_code", "killed", "failing")
        columns = [getattr(after, name)[row].tolist() for name in names]
        began = (after.started != before.started)[row].tolist()
        died = (after.deaths != before.deaths)[row].tolist()
        crew = self.plan.crew
        known = crew.names, crew.images, crew.loading.tolist()
        rows = zip(*known, began, died, *columns, strict=True)
        for place, (name, image, loading, new, over, runs, started, *end) in enumerate(rows):
            finished, exit_code, killed, failing = end
            yield Fate(
                place=place,
                name=name,
                image=image,
                up=runs and self.after.time - started >= loading,
                started=started if runs else None,
                began=runs and new,
                loading=loading,
                ended=finished if over else None,
                asked=exit_code in _ASKED,
                killed=killed,
                failing=failing,
            )
