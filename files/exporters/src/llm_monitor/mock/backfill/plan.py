"""Which moments a backfill has, and which of them share a file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

# As Prometheus' usual scrape interval, which short ranges in dashboards count on.
RECENT_STEP = 30
RECENT_SECONDS = 6 * 3600
# Prometheus' blocks, which promtool makes one by one and reads the whole file for each of them.
FILE_SECONDS = 2 * 3600


@dataclass(frozen=True, slots=True)
class Period:
    """What is written into one file.

    Attributes:
        name: The file's name.
        moments: The moments of its samples, Unix times.
    """

    name: str
    moments: Sequence[int]


def periods(end: float, days: float, step: int) -> list[Period]:
    """Return the last `days` before `end`, Unix time, split as Prometheus splits its blocks.

    Args:
        end: After the last moment, Unix time.
        days: How many days there are.
        step: Seconds between two moments, but for the last hours: there it is RECENT_STEP.
    """
    last = math.floor(end / RECENT_STEP) * RECENT_STEP
    first = math.ceil((last - days * 86400) / step) * step
    fine = max(first, math.floor((last - RECENT_SECONDS) / step) * step)
    moments = [*range(first, fine, step), *range(fine, last + 1, min(step, RECENT_STEP))]
    return [
        Period(_name(number * FILE_SECONDS), tuple(group))
        for number, group in groupby(moments, lambda moment: moment // FILE_SECONDS)
    ]


def _name(start: int) -> str:
    """Return the name of the file that begins at a Unix time: in order, and without a colon."""
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H%MZ}.om"
