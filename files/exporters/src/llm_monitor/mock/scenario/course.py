"""What happens when: the forces of a scenario at any moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm_monitor.mock.scenario.faults import KINDS, Fault
from llm_monitor.mock.scenario.schema import Event, Levels
from llm_monitor.mock.world.forces import Forces

# By the names that the API and the files use.
LEVELS = tuple(Levels.model_fields)


@dataclass(frozen=True, slots=True)
class Track:
    """The events of one file.

    Attributes:
        events: What happens.
        every: Seconds after which it happens again; None for never.
    """

    events: Sequence[Event]
    every: float | None

    def active(self, since: float) -> Iterator[tuple[Event, float]]:
        """Give what happens so many seconds after the start, and for how long it has."""
        lap = since % self.every if self.every else since
        for event in self.events:
            ends = float("inf") if event.lasts is None else event.at + event.lasts
            if event.at <= lap < ends:
                yield event, lap - event.at


@dataclass(frozen=True, slots=True)
class Course:
    """A scenario with all that it extends.

    Attributes:
        name: Its name.
        description: What it plays.
        levels: Its levels, by name.
        tracks: Its events and those of the scenarios that it extends.
    """

    name: str
    description: str
    levels: Mapping[str, Any] = field(default_factory=dict)
    tracks: Sequence[Track] = ()

    def forces(self, since: float, time: float) -> Forces:
        """Return what it does so many seconds after its start, which is at Unix time `time`."""
        levels = dict(self.levels)
        faults = []
        for track in self.tracks:
            for event, age in track.active(since):
                levels |= told(event)
                if event.fault is not None:
                    faults.append(_fault(event, time - age))
        return replace(Forces(**levels), faults=tuple(faults))


class Programme:
    """What has been played since when, so that any moment can be worked out again."""

    def __init__(self, start: float, course: Course) -> None:
        """Play `course` from `start` on, Unix time; what was before is its beginning too."""
        self._played: list[tuple[float, Course, Mapping[str, Any]]] = [(start, course, {})]

    @property
    def course(self) -> Course:
        """What is played now."""
        return self._played[-1][1]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The levels that have been set instead of the scenario's."""
        return self._played[-1][2]

    def play(self, time: float, course: Course, settings: Mapping[str, Any]) -> None:
        """Play `course` from `time` on, with the levels `settings` instead of its own."""
        self._played.append((time, course, settings))

    def __call__(self, time: float) -> Forces:
        """Return the forces at `time`."""
        at = next((one for one in reversed(self._played) if one[0] <= time), None)
        if at is None:
            # The server was up before the first scenario began, on a usual day.
            return Forces()
        start, course, settings = at
        forces: Forces = replace(course.forces(time - start, time), **settings)
        return forces


def told(levels: Levels) -> dict[str, Any]:
    """Return the levels that are told, by name."""
    return {name: value for name in LEVELS if (value := getattr(levels, name)) is not None}


def _fault(event: Event, since: float) -> Fault:
    kind = KINDS[event.fault or ""]
    target = "" if event.target is None else str(event.target)
    return Fault(
        event.fault or "", target, kind.usual if event.value is None else event.value, since
    )
