"""The endless answer of the engine's /events: JSON objects, in chunks that mean nothing."""

import json
from contextlib import suppress
from typing import Any

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.docker.transport import Answering, Exchange

_LARGEST_EVENT = 1 << 20
_LARGEST_CHUNK_LINE = 1 << 10
_READ_BYTES = 1 << 16


class Stream:
    """Events as they come.

    http.client can't be used here: once a read from it has timed out, it reads no more.
    """

    def __init__(self, address: str, exchange: Exchange) -> None:
        """Read the body of `exchange`, which `address` has begun to send."""
        self._address = address
        self._socket = exchange.socket
        self._chunks = Chunks() if exchange.response.chunked else None
        self._text = b""
        self._pending = b""
        # What has come together with the headers lies in a buffer; nothing more is waited for.
        self._socket.deadline = Deadline(0)
        with suppress(TimeoutError):
            self._pending = exchange.response.fp.read1(_READ_BYTES)

    def next(self, deadline: Deadline) -> dict[str, Any] | None:
        """Return the next event, or None when none has come by `deadline`.

        Raises:
            SourceError: When the stream has ended, or is none of JSON objects, one a line.
        """
        with Answering(self._address):
            while (line := self._line()) is None:
                if not self._receive(deadline):
                    return None
            event = json.loads(line)
            if not isinstance(event, dict):
                message = "an event that is no JSON object"
                raise TypeError(message)
            return event

    def _line(self) -> bytes | None:
        """Take a line that has come as a whole; empty ones keep connections alive."""
        self._text += self._take_pending()
        while True:
            line, end, rest = self._text.partition(b"\n")
            if not end:
                if len(line) > _LARGEST_EVENT:
                    message = f"an event of more than {_LARGEST_EVENT} bytes"
                    raise ValueError(message)
                return None
            self._text = rest
            if line.strip():
                return line

    def _take_pending(self) -> bytes:
        pending, self._pending = self._pending, b""
        return self._chunks.feed(pending) if self._chunks else pending

    def _receive(self, deadline: Deadline) -> bool:
        """Wait for more; return whether some has come by the deadline."""
        self._socket.deadline = deadline
        ended = self._chunks is not None and self._chunks.ended
        try:
            self._socket.arm()
            self._pending = b"" if ended else self._socket.recv(_READ_BYTES)
        except TimeoutError:
            return False
        if not self._pending:
            message = "the stream of events has ended"
            raise ConnectionError(message)
        return True


class Chunks:
    """Takes the chunks of a body apart, wherever they are cut on their way (RFC 9112, 7.1).

    Attributes:
        ended: Whether the last one has come.
    """

    def __init__(self) -> None:
        """Begin before the first chunk."""
        self.ended = False
        self._held = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Return what is content in all that has come by now and was not returned before.

        Raises:
            ValueError: When these are no chunks.
        """
        self._held += data
        content = []
        while self._held and not self.ended:
            if not self._left and not self._open():
                break
            # The content of a chunk and the end of line behind it.
            part = self._held[: self._left]
            self._held = self._held[len(part) :]
            content.append(part[: max(0, self._left - 2)])
            self._left -= len(part)
        return b"".join(content)

    def _open(self) -> bool:
        line, end, rest = self._held.partition(b"\r\n")
        if len(line) > _LARGEST_CHUNK_LINE:
            message = "a chunk without its size"
            raise ValueError(message)
        if not end:
            return False
        size = int(line.partition(b";")[0], 16)
        if size < 0:
            message = "a chunk of a negative size"
            raise ValueError(message)
        self.ended = size == 0
        self._held, self._left = rest, size + 2
        return True
