"""The rows of the check's tables, and how they become a document."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a row says of a family."""

    SUPPORTED = "supported"
    ALONE = "not compared"
    UNSUPPORTED = "unsupported"
    DOUBTFUL = "doubtful"
    WRONG = "**wrong**"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        subject: What was looked at.
        ours: What the exporter says.
        theirs: What it was compared with.
        verdict: What follows.
        note: What a reader has to know besides.
    """

    subject: str
    ours: str
    theirs: str
    verdict: Verdict
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row."""
        return self.subject, self.ours, self.theirs, self.verdict, self.note


COMPARED = ("family", "exporter", "nvidia-smi", "verdict", "note")
MOVED = ("family", "idle", "under load", "verdict", "note")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table, line by line."""
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line([cell.replace("|", "\\|") for cell in row]) for row in rows]
    return [*lines, ""]


def tally(rows: Iterable[Row]) -> str:
    """Return how many rows have which verdict, as a sentence."""
    verdicts = [row.verdict for row in rows]
    return ", ".join(f"{verdicts.count(one)} {one}" for one in Verdict if one in verdicts)


def number(value: float | None) -> str:
    """Return a number as short as it may be without losing a digit that matters."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value == int(value) else f"{value:.6g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
