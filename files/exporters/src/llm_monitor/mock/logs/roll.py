"""The lines of one log, and how they are spread over the time in which they are written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from llm_monitor.mock.world.chance import Chance

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log.

    Attributes:
        time: When it is written, Unix time.
        text: What it says, without the end of the line.
        stream: To which of the two streams of a process.
    """

    time: float
    text: str
    stream: Stream = "stdout"


class Roll:
    """Takes down what one container, or the kernel, writes between two moments.

    Attributes:
        left_out: How many lines real software would have written besides.
    """

    def __init__(self, begin: float, end: float, chance: Chance, ready: float = 0.0) -> None:
        """Take down what is written from `begin` to `end`, Unix time, with some `chance`.

        What is spread over that time begins when the software is `ready`.
        """
        self.left_out = 0
        self._ready = min(max(ready, begin), end)
        self._begin, self._end = begin, end
        self._chance = chance
        self._lines: list[Line] = []

    def add(self, time: float, text: str, stream: Stream = "stdout") -> None:
        """Add what is written at a moment: one line, or several that belong together."""
        written = self.within(time)
        self._lines += [Line(written, one, stream) for one in text.split("\n")]

    def within(self, time: float) -> float:
        """Return when something is written that happened at `time`.

        The simulation knows what happened within a step only when that has ended. What it tells
        late is written late, as a log grows at its end.
        """
        return min(max(time, self._begin), self._end)

    def sample(
        self, number: int, most: int, text: Callable[[float, float], str], stream: Stream = "stdout"
    ) -> None:
        """Add so many lines, `most` of them at most, and count the others.

        Args:
            number: How often it happened between the two moments.
            most: How many lines are written of it.
            text: Makes one of its time and of some chance from 0 to 1.
            stream: Where they are written to.
        """
        shown = min(number, most)
        self.left_out += number - shown
        for share, chance in self._chance.uniform(shown, 2).tolist():
            time = self._ready + share * (self._end - self._ready)
            self.add(time, text(time, chance), stream)

    def lines(self) -> list[Line]:
        """Return the lines as they were written, one after the other."""
        return sorted(self._lines, key=lambda line: line.time)
