"""Counters that never fall while this process lives."""

from collections.abc import Hashable

_LARGEST = 2**64


class Rising:
    """Keeps counters from falling while this process lives.

    A driver that is loaded again counts from 0: what it had counted before is added from then on.
    A single reading that is lower than the one before may be a slip of the driver's, so only when
    the next one is low as well it counts as a new start. One that no counter of a driver's can hold
    is a slip for sure.
    """

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._last: dict[Hashable, float] = {}
        self._before: dict[Hashable, float] = {}
        self._fallen: set[Hashable] = set()

    def __call__(self, key: Hashable, raw: float) -> float:
        """Return the value of the counter `key`, which its source says is `raw`."""
        last = self._last.get(key, raw)
        if not 0 <= raw <= _LARGEST:
            return self._before.get(key, 0) + last
        if raw < last and key not in self._fallen:
            self._fallen.add(key)
            raw = last
        elif raw < last:
            self._before[key] = self._before.get(key, 0) + last
            self._fallen.discard(key)
        else:
            self._fallen.discard(key)
        self._last[key] = raw
        return self._before.get(key, 0) + raw
