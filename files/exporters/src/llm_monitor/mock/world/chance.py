"""Chance that depends on the seed and the moment alone, so that every run meets the same."""

import numpy as np

from llm_monitor.mock.world.state import Floats


class Chance:
    """Draws numbers for one step of the simulation."""

    def __init__(self, seed: int, step: int) -> None:
        """Draw the numbers of the step with the number `step`."""
        # A counter-based generator: its numbers need none of the steps before.
        self._generator = np.random.Generator(np.random.Philox(key=[seed, step]))

    def poisson(self, mean: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """Return how many of what happens `mean` times on average happen now."""
        return self._generator.poisson(mean)

    def normal(self, *shape: int) -> Floats:
        """Return numbers around 0 with a standard deviation of 1."""
        return self._generator.standard_normal(shape)

    def uniform(self, *shape: int) -> Floats:
        """Return numbers from 0 to 1."""
        return self._generator.random(shape)
