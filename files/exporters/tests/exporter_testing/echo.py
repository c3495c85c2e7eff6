"""An upstream that says again what secret it was shown, wherever an answer has room for words."""

import base64
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# A whole answer, made of the words to say.
Saying = Callable[[str], str]


def _said(status: str, header: str = "", body: str = "{0}") -> Saying:
    def say(words: str) -> str:
        lines = [f"HTTP/1.1 {status}", "connection: close", *([header] if header else []), "", body]
        return "\r\n".join(lines).replace("{0}", words)

    return say


SAYINGS: Mapping[str, Saying] = {
    "unauthorized": _said("401 {0}", 'www-authenticate: Bearer realm="{0}"', "bad key {0}\n"),
    "forbidden": _said("403 Forbidden", "x-key: {0}", '{"error": {"message": "{0}"}}'),
    "rate_limited": _said("429 Too Many Requests", "retry-after: {0}"),
    "redirect": _said("302 Found", "location: http://127.0.0.1:9/?key={0}"),
    "broken": _said("500 {0}", "content-type: {0}", "<html>{0}</html>"),
    "unavailable": _said("503 Service Unavailable", "set-cookie: key={0}", '{"db": "{0}"}'),
    "packed": _said("200 OK", "content-encoding: {0}"),
    "text": _said("200 OK", "content-type: text/plain", "{0} {0}\nkey {0}\n"),
    "json": _said("200 OK", "content-type: application/json", '{"data": "{0}", "{0}": ["{0}"]}'),
    "no_http": lambda words: f"{words}\r\n\r\n",
    "no_length": _said("200 OK", "content-length: {0}"),
}


class Echo(ThreadingHTTPServer):
    """Answers from `pages` until it is `saying`; then, and where it has none, says `sayings`.

    Attributes:
        saying: Whether it has no pages any more.
        shown: The secrets that it was shown, as they were written.
        asked: How often each path was asked for.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, sayings: Sequence[Saying], pages: Mapping[str, bytes], host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.saying = False
        self.shown: set[str] = set()
        self.asked: Counter[str] = Counter()
        self._sayings = sayings
        self._pages = pages

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, authorization: str) -> bytes:
        """Return a whole answer."""
        kind, _, secret = authorization.partition(" ")
        if secret:
            self.shown |= {secret, *_plain(kind, secret)}
        turn = self.asked[path]
        self.asked[path] += 1
        if path in self._pages and not self.saying:
            page = self._pages[path]
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(page), page)
        return self._sayings[turn % len(self._sayings)](" ".join(sorted(self.shown))).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Echo

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.wfile.write(self.server.answer(path, self.headers.get("authorization", "")))
        self.close_connection = True


def _plain(kind: str, secret: str) -> set[str]:
    """Return user and password of basic authentication."""
    return {base64.b64decode(secret).decode()} if kind == "Basic" else set()


@contextmanager
def echoing(
    sayings: Sequence[Saying],
    pages: Mapping[str, bytes] | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Echo]:
    """Serve on `host` in a thread while the context lasts."""
    with Echo(sayings, pages or {}, host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
