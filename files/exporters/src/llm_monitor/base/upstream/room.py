"""Room for what several upstreams send at once, so that together they take no more than planned."""

from typing import Self


class Room:
    """Memory for bodies that are held at the same time: some for each, more for who needs it.

    Used on one event loop only.
    """

    def __init__(self, each: int, common: int) -> None:
        """Set aside `each` bytes for every share, and `common` bytes for all together."""
        self.each = each
        self.common = common

    def share(self) -> "Share":
        """Return the room of one upstream."""
        return Share(self)


class Share:
    """The room of one upstream, for all that it is asked for; the end of a `with` gives it back."""

    __slots__ = ("_room", "_taken")

    def __init__(self, room: Room) -> None:
        """Take from `room`."""
        self._room = room
        self._taken = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give back what was taken."""
        self.give_back(self._taken)

    def take(self, size: int) -> bool:
        """Take `size` bytes more; False when neither its own room nor the common one has them."""
        own = max(0, self._room.each - self._taken)
        beyond = max(0, size - own)
        if beyond > self._room.common:
            return False
        self._room.common -= beyond
        self._taken += size
        return True

    def give_back(self, size: int) -> None:
        """Give back `size` of the bytes taken, those of the common room first."""
        self._room.common += min(size, max(0, self._taken - self._room.each))
        self._taken -= size
