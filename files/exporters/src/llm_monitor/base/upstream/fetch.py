"""GET requests to upstreams: each ends at its deadline, whatever hangs, and is limited in size."""

import asyncio
import concurrent.futures
import json
import ssl
import threading
import zlib
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar

import certifi
import httpx

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.collection.isolation import Crew
from llm_monitor.base.memory import remember_missing
from llm_monitor.base.upstream.errors import Reason, UpstreamError, failure
from llm_monitor.base.upstream.loop import PatientLoop
from llm_monitor.base.upstream.room import Share
from llm_monitor.base.version import VERSION

T = TypeVar("T")
Auth = str | tuple[str, str]

LARGEST_BODY = 8 << 20
_UNAUTHORIZED = frozenset({401, 403})
_RATE_LIMITED = 429
_GZIP_WINDOW = 16 + 15
_GRACE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """What an upstream answered, with a status of success or another one that was asked for.

    Attributes:
        where: The address that was asked, without user, password and query.
        status: The HTTP status.
        headers: The headers; names in any case find them.
        body: The body, unpacked.
    """

    where: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            UpstreamError: When it is no UTF-8 or no JSON.
        """
        try:
            return json.loads(self.body.decode())
        except UnicodeDecodeError:
            raise UpstreamError(Reason.ENCODING, f"{self.where}: the answer is no UTF-8") from None
        except (ValueError, RecursionError):
            raise UpstreamError(Reason.UNPARSABLE, f"{self.where}: the answer is no JSON") from None


class Fetcher:
    """Asks upstreams, all at once if need be, on an event loop in a daemon thread of its own.

    No redirect is followed, no proxy of the environment used and no connection kept: one that the
    other side has closed meanwhile would look like a failure. No cookie is kept either: it would be
    shown to whatever else answers on that host, and new ones on each request would pile up.
    """

    def __init__(self, name: str, ca_file: str | None = None) -> None:
        """Name the thread after `name`; trust the CAs in `ca_file` instead of the public ones.

        They are read anew when the file has changed.
        """
        remember_missing("sniffio")
        self._name = name
        self._ca_file = ca_file
        self._trusted: tuple[int, ...] | None = None
        self._client = _client(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._lock = threading.Lock()
        self._loop: PatientLoop | None = None

    def run(self, work: Coroutine[Any, Any, T], deadline: Deadline) -> T:
        """Run `work` from another thread and return its result.

        Raises:
            UpstreamError: When it has not ended shortly after `deadline`; it is cancelled then.
        """
        future = self.submit(work)
        try:
            return future.result(deadline.remaining() + _GRACE_SECONDS)
        except concurrent.futures.TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise UpstreamError(Reason.TIMEOUT, "not all upstreams have answered in time") from None

    def submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Start `work` and return at once; for other event loops, with `asyncio.wrap_future`.

        Raises:
            RuntimeError: When there is no thread for it yet and none can be started.
        """
        with self._lock:
            if self._loop is None:
                try:
                    self._loop = self._start()
                except RuntimeError:
                    work.close()
                    raise
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def get(
        self,
        url: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        limit: int = LARGEST_BODY,
        also: Collection[int] = (),
        share: Share | None = None,
    ) -> Answer:
        """Return the answer to GET `url`; must be awaited in what `run` or `submit` runs.

        Args:
            url: The address.
            deadline: When it is given up, whatever it waits for.
            headers: Further headers of the request.
            params: The query.
            auth: A bearer token, or the user name and password of basic authentication.
            limit: Most bytes of the body, packed or unpacked.
            also: Statuses beside those of success whose body is wanted.
            share: Room for the body, where others are received at the same time.

        Raises:
            UpstreamError: When there is no answer with such a status within the limits.
        """
        where = _where(url)
        own = dict(headers or {})
        if isinstance(auth, str):
            own["authorization"] = f"Bearer {auth}"
        basic = auth if isinstance(auth, tuple) else None
        try:
            async with asyncio.timeout(deadline.remaining()):
                if url.lower().startswith("https:"):
                    self._trust()
                asking = self._client.stream("GET", url, headers=own, params=params, auth=basic)
                async with asking as response:
                    if response.status_code not in also:
                        _check(where, response)
                    body = await _body(where, response, limit, share)
                    return Answer(where, response.status_code, response.headers, body)
        except TimeoutError:
            raise UpstreamError(Reason.TIMEOUT, f"{where}: no whole answer in time") from None
        except UpstreamError:
            raise
        except Exception as error:
            # Whatever an upstream makes the client's libraries raise, it costs this request only.
            raise failure(where, error) from None

    def _start(self) -> PatientLoop:
        """Return an event loop that runs in a thread of its own; RuntimeError when it can't."""
        loop = PatientLoop(Crew(f"{self._name}-resolve"))
        try:
            threading.Thread(
                target=loop.run_forever, name=f"{self._name}-http", daemon=True
            ).start()
        except RuntimeError:
            loop.close()
            raise
        return loop

    def _trust(self) -> None:
        """Trust the CAs of the file as it is now; only who needs them loads them: they take a MiB.

        A context forgets none that it has loaded, so other ones need another.
        """
        place = self._ca_file or certifi.where()
        try:
            file = Path(place).stat()
            present = (file.st_dev, file.st_ino, file.st_mtime_ns, file.st_size)
            if present == self._trusted:
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(place)
        except (OSError, ssl.SSLError):
            message = f"{place}: no file of CAs in PEM format that can be read"
            raise UpstreamError(Reason.TLS, message) from None
        # Requests that have begun go on with the one that they began with.
        self._client = _client(context)
        self._trusted = present


def _client(context: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=context,
        trust_env=False,
        timeout=None,  # noqa: S113 - each request has a deadline, which covers all of it
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"user-agent": f"llm-monitor/{VERSION}", "accept-encoding": "identity"},
    )


def _where(url: str) -> str:
    """Return `url` without what may be secret in it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "an address that is no URL"
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))


def _check(where: str, response: httpx.Response) -> None:
    """Raise UpstreamError unless `response` has a status of success."""
    status = response.status_code
    if response.is_success:
        return
    if status in _UNAUTHORIZED:
        raise UpstreamError(
            Reason.UNAUTHORIZED, f"{where}: it wants other credentials", status=status
        )
    if status == _RATE_LIMITED:
        wait = _retry_after(response.headers.get("retry-after", ""))
        sentence = f"{where}: it has been asked too often"
        raise UpstreamError(Reason.RATE_LIMITED, sentence, status=status, retry_after=wait)
    if response.has_redirect_location:
        sentence = f"{where}: it points elsewhere, which is not followed"
        raise UpstreamError(Reason.REDIRECT, sentence, status=status)
    raise UpstreamError(Reason.STATUS, f"{where}: status {status}", status=status)


def _retry_after(text: str) -> float | None:
    """Return the seconds that a header `Retry-After` asks to wait: a number or a date."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


async def _body(where: str, response: httpx.Response, limit: int, share: Share | None) -> bytes:
    """Return the body, unpacked here: a library would unpack a bomb before it could be stopped."""
    unpack = _unpacker(where, response.headers.get("content-encoding", ""))
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:18]) > limit:
        raise _too_large(where, limit)
    body = bytearray()
    async for part in response.aiter_raw():
        try:
            plain = unpack.decompress(part, limit + 1 - len(body)) if unpack else part
        except zlib.error:
            raise UpstreamError(Reason.ENCODING, f"{where}: the answer is no gzip") from None
        if share is not None and not share.take(len(plain)):
            share.give_back(len(body))
            sentence = f"{where}: with those of others, the answer is too large"
            raise UpstreamError(Reason.TOO_LARGE, sentence)
        body += plain
        if len(body) > limit:
            raise _too_large(where, limit)
        if unpack and unpack.unused_data:
            raise UpstreamError(Reason.ENCODING, f"{where}: something follows the gzip")
    if unpack and not unpack.eof:
        raise UpstreamError(Reason.ENCODING, f"{where}: the gzip has no end")
    return bytes(body)


def _unpacker(where: str, encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(_GZIP_WINDOW)
    raise UpstreamError(Reason.ENCODING, f"{where}: packed in a way that was not asked for")


def _too_large(where: str, limit: int) -> UpstreamError:
    return UpstreamError(Reason.TOO_LARGE, f"{where}: the answer is larger than {limit} bytes")
