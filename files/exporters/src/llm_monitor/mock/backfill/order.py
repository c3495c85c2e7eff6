"""What a backfill is to be of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_monitor.mock.backfill.plan import Period
from llm_monitor.mock.fleet.layout import Fleet


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written.

    Attributes:
        fleet: What the server has.
        scenarios: The folder of the user's scenarios, None for none.
        scenario: What it lives through.
        seed: Whose chance it has.
        instance: Its name, as the inventory has it.
        exporters: Which of its exporters Prometheus has scraped.
        periods: The moments, file by file.
    """

    fleet: Fleet
    scenarios: Path | None
    scenario: str
    seed: int
    instance: str
    exporters: Sequence[str]
    periods: Sequence[Period]

    @property
    def begin(self) -> float:
        """The first of all moments, at which the scenario begins."""
        return self.periods[0].moments[0]

    @property
    def labels(self) -> str:
        """The label `instance`, in text."""
        return f'instance="{self.instance}"'
