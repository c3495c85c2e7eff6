"""Waiting for what happens on another thread or in another process."""

import time
from collections.abc import Callable


def wait_for(happens: Callable[[], object], seconds: float = 10) -> None:
    """Wait until `happens` returns something true.

    Raises:
        AssertionError: It did not within so many seconds.
    """
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)
