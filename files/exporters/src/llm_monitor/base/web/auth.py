"""Bearer token or basic authentication for everything but the two probes."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/health", "/ready"})


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What lets a client in: the token, or the user name with the password.

    Attributes:
        token: The bearer token; empty when no token lets anybody in.
        username: The user name of basic authentication; empty when there is none.
        password: Its password.
    """

    token: str = ""
    username: str = ""
    password: str = ""

    def __bool__(self) -> bool:
        """Whether anything has to be shown at all."""
        return bool(self.token or self.username)

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate`."""
        return "Bearer" if self.token else 'Basic realm="llm-monitor"'

    def allow(self, authorization: bytes) -> bool:
        """Return whether an `Authorization` header lets its client in, in constant time."""
        scheme, _, shown = authorization.partition(b" ")
        match scheme.lower():
            case b"bearer":
                expected = self.token
            case b"basic":
                expected = f"{self.username}:{self.password}" if self.username else ""
                shown = _decode(shown)
            case _:
                return False
        return bool(expected) and hmac.compare_digest(_digest(shown), _digest(expected.encode()))


class Guarded:
    """An ASGI application that only those with the right credentials reach."""

    def __init__(self, app: App, credentials: Credentials) -> None:
        """Stand before `app`."""
        self._app = app
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._allowed(scope):
            await self._app(scope, receive, send)
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"www-authenticate", self._credentials.challenge.encode()),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"401 Unauthorized\n"})

    def _allowed(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(shown) == 1 and self._credentials.allow(shown[0].strip())


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        return b""


def _digest(secret: bytes) -> bytes:
    """Return a digest, so that comparing does not tell a secret's length either."""
    return hashlib.sha256(secret).digest()
