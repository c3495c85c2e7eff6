"""A clock that can run faster than real time, jump ahead, or stand still."""

import threading
import time


class VirtualClock:
    """Tells the simulation's time."""

    def __init__(self, start: float, speed: float = 1.0) -> None:
        """Begin at `start`, Unix time; let `speed` seconds pass in each second, 0 for none."""
        self._lock = threading.Lock()
        self._base = start
        self._since = time.monotonic()
        self._speed = speed

    def now(self) -> float:
        """Return the simulation's Unix time."""
        with self._lock:
            return self._base + (time.monotonic() - self._since) * self._speed

    def advance(self, seconds: float) -> float:
        """Jump ahead and return the time after that.

        Raises:
            ValueError: When that would be backwards.
        """
        if seconds < 0:
            message = "the time goes forward only"
            raise ValueError(message)
        with self._lock:
            self._base += seconds
            return self._base + (time.monotonic() - self._since) * self._speed
