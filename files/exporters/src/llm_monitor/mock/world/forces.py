"""What a scenario does to the simulated server at one moment."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from llm_monitor.mock.scenario.faults import Fault
from llm_monitor.mock.world.state import Flags, Floats


@dataclass(frozen=True, slots=True)
class Forces:
    """What a scenario does at one moment.

    Attributes:
        load: By what the usual number of requests is multiplied.
        error_rate: The share of requests that LiteLLM refuses or that fail at once.
        cpu_load: The share of the host's CPUs that something else keeps busy.
        gpu_utilization: The share of what each model can do that it is asked for; None leaves that
            to the usual number of requests.
        anomalies: Whether there are surges of requests.
        faults: What is broken.
    """

    load: float = 1.0
    error_rate: float = 0.002
    cpu_load: float = 0.02
    gpu_utilization: float | None = None
    anomalies: bool = True
    faults: tuple[Fault, ...] = ()

    def of(self, kind: str) -> Iterator[Fault]:
        """Give the faults of one kind."""
        return (fault for fault in self.faults if fault.fault == kind)

    def befall(self, kind: str, name: str) -> bool:
        """Return whether `name` has a fault of one kind."""
        return any(fault.befalls(name) for fault in self.of(kind))

    def any(self, kind: str) -> bool:
        """Return whether there is a fault of one kind."""
        return any(self.of(kind))

    def most(self, kind: str) -> float:
        """Return the greatest value of all faults of one kind, 0 without one."""
        return max((fault.value for fault in self.of(kind)), default=0.0)

    def flags(self, kind: str, names: tuple[str, ...]) -> Flags:
        """Return for each of `names` whether it has a fault of that kind."""
        found = np.zeros(len(names), np.bool_)
        for fault in self.of(kind):
            found |= [fault.befalls(name) for name in names]
        return found

    def values(self, kind: str, names: tuple[str, ...]) -> Floats:
        """Return for each of `names` the value of its fault of that kind, 0 without one."""
        found = np.zeros(len(names))
        for fault in self.of(kind):
            for place, name in enumerate(names):
                if fault.befalls(name):
                    found[place] = max(found[place], fault.value)
        return found
