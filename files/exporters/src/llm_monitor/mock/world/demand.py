"""How many requests come: cycles of days, weeks and hours, noise and anomalies."""

import math
from dataclasses import dataclass

import numpy as np

from llm_monitor.mock.world.state import Floats, Moment, Smooth

_DAY = 86400.0
_WEEK = 7 * _DAY
# The Unix epoch began on a Thursday.
_MONDAY = 4 * _DAY
_PEAK_HOUR = 14.5
_DRIFT_SECONDS = 900.0
_SURGE_SECONDS = 600.0
_SURGES_A_DAY = 1.5
# What a surge adds to the usual requests at its height: as much as the models stand at the peak.
_SURGE = 0.45


@dataclass(slots=True)
class Demand:
    """What makes the number of requests differ from the usual one.

    Attributes:
        drift: Slow noise, by server and model; 0 is usual.
        surge: Of anomalies, by server: how much is left of the last one.
    """

    drift: Smooth
    surge: Smooth

    @classmethod
    def start(cls, servers: int, models: int) -> "Demand":
        """Return the usual demand."""
        return cls(np.zeros((servers, models)), np.zeros((servers, 1)))

    def step(self, moment: Moment, noise: Floats, surges: Floats, anomalies: bool) -> "Demand":
        """Return the demand after a step.

        Args:
            moment: The step.
            noise: Normal numbers by server and model.
            surges: Numbers from 0 to 1 by server.
            anomalies: Whether there are surges.
        """
        keep = math.exp(-moment.seconds / _DRIFT_SECONDS)
        drift = self.drift * keep + noise * math.sqrt(1 - keep * keep) * 0.12
        surge = self.surge * math.exp(-moment.seconds / _SURGE_SECONDS)
        begins = surges < _SURGES_A_DAY * moment.seconds / _DAY
        return Demand(drift, np.where(begins & anomalies, _SURGE, surge))

    def factor(self, time: float) -> Floats:
        """Return by what the usual requests a second are multiplied, by server and model."""
        factor: Floats = cycle(time) * np.exp(self.drift) * (1 + self.surge)
        return factor


def cycle(time: float) -> float:
    """Return the usual load of a moment; its mean over a week is about 1.

    Most is asked in the early afternoon (UTC), least at night, less at weekends; every full hour
    brings a little more, as what runs by timetable does.
    """
    hour = time % _DAY / 3600
    day = 1 + 0.55 * math.cos((hour - _PEAK_HOUR) / 24 * 2 * math.pi)
    weekend = (time - _MONDAY) % _WEEK >= 5 * _DAY
    timetable = 0.08 * math.exp(-(time % 3600) / 300)
    return (day + timetable) * (0.62 if weekend else 1.13)
