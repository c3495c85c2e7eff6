"""Upstreams that misbehave, each in its own way; what asks upstreams is tested with all of them.

`HOSTILES` is the list, `serving` makes one of them answer. Each says what it must be counted as, or
that the rest of what it says can be used.
"""

import json
import os
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

GIB = 1 << 30
SECRET_LOCATION = "/elsewhere?token=planted-in-a-location"  # noqa: S105 - planted

Serve = Callable[[socket.socket, str], None]
# A row of a list in JSON, of what has that name and that number.
Row = Callable[[object, object], dict[str, Any]]


@dataclass(frozen=True)
class Hostile:
    """A way to misbehave.

    Attributes:
        name: What it is called in the tests' names.
        reasons: What it may be counted as; empty when what else it says can be used.
        serve: Answers one request, given the connection and the name of a sample that is wanted.
        text: Whether it misbehaves only to those that read Prometheus' text format.
        scheme: http or https.
        url: Where it is said to be, when nothing answers there.
        tls: Whether it speaks TLS, with a certificate that nobody trusts.
    """

    name: str
    reasons: frozenset[str]
    serve: Serve | None = None
    text: bool = False
    scheme: str = "http"
    url: str = ""
    tls: bool = False

    def __str__(self) -> str:
        return self.name


@contextmanager
def serving(hostile: Hostile, sample: str = "up") -> Iterator[str]:
    """Let `hostile` answer whatever is asked, about `sample`; give its address."""
    if hostile.url:
        yield hostile.url
        return
    if hostile.serve is _bomb:
        # It takes longer to make than anybody waits.
        _packed()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if hostile.serve is not None:
            threading.Thread(target=_accept, args=(listener, hostile, sample), daemon=True).start()
        yield f"{hostile.scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def answer(connection: socket.socket, body: bytes, status: str = "200 OK", **headers: str) -> None:
    """Send a whole answer."""
    named = {"content_length": str(len(body)), "content_type": "text/plain", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
    connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body)


def _accept(listener: socket.socket, hostile: Hostile, sample: str) -> None:
    context = _untrusted() if hostile.tls else None
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(
                target=_serve, args=(connection, hostile, sample, context), daemon=True
            ).start()


def _serve(
    connection: socket.socket, hostile: Hostile, sample: str, context: ssl.SSLContext | None
) -> None:
    with suppress(OSError), connection:
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        plain = hostile.scheme == "https" and not hostile.tls
        _ = connection.recv(1) if plain else _until_blank(connection)
        if hostile.serve is not None:
            hostile.serve(connection, sample)


def _until_blank(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request and (part := connection.recv(65536)):
        request += part
    return request


def _untrusted() -> ssl.SSLContext:
    """Return a server's context with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The only way to give Python's ssl a key is a file; this one is never on a disk.
    with _memory_file(private + certificate.public_bytes(serialization.Encoding.PEM)) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    handle = os.memfd_create("certificate")
    try:
        os.write(handle, content)
        yield str(Path(f"/proc/self/fd/{handle}"))
    finally:
        os.close(handle)


def _said(status: str, **headers: str) -> Serve:
    return lambda connection, _: answer(connection, b"no\n", status, **headers)


def _text(body: Callable[[str], bytes]) -> Serve:
    return lambda connection, sample: answer(connection, body(sample))


def _slowly(connection: socket.socket, text: bytes) -> None:
    waiting = threading.Event()
    for byte in text:
        connection.sendall(bytes([byte]))
        waiting.wait(1)


def _slow_headers(connection: socket.socket, _: str) -> None:
    _slowly(connection, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"#" * 1000)


def _slow_body(connection: socket.socket, _: str) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    _slowly(connection, b"#" * 1000)


def _silent(connection: socket.socket, _: str) -> None:
    connection.recv(1)


def _gibibyte(connection: socket.socket, headers: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n")
    part = b"# nothing but comment here\n" * 40_000
    for _ in range(GIB // len(part)):
        connection.sendall(part)


def _huge(connection: socket.socket, _: str) -> None:
    _gibibyte(connection, f"content-length: {GIB}\r\n".encode())


def _endless(connection: socket.socket, _: str) -> None:
    _gibibyte(connection, b"connection: close\r\n")


def _bomb(connection: socket.socket, _: str) -> None:
    answer(connection, _packed(), content_encoding="gzip")


@cache
def _packed() -> bytes:
    """Return 1 MiB that unpacks to 1 GiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    whole = [packer.compress(bytes(1 << 20)) for _ in range(GIB >> 20)]
    return b"".join(whole) + packer.flush()


def _cut(connection: socket.socket, sample: str) -> None:
    connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{sample} 1\n".encode())


def _garbage(connection: socket.socket, _: str) -> None:
    connection.sendall(b"\x00\xff no HTTP at all\r\n\r\n")


def _large_headers(connection: socket.socket, sample: str) -> None:
    answer(connection, f"{sample} 1\n".encode(), x_large="x" * (4 << 20))


def _many(sample: str) -> bytes:
    return b"".join(f'{sample}{{model_name="{i}"}} 1\n'.encode() for i in range(100_000))


def _numbers(sample: str) -> bytes:
    values = ("NaN", "+Inf", "-Inf", "nan", "1e999")
    return "".join(
        f'{sample}{{model_name="{i}"}} {value}\n' for i, value in enumerate(values)
    ).encode()


def _quotes(sample: str) -> bytes:
    return rf'{sample}{{model_name="a \"quoted\" \\ name\nin {{two}} lines"}} 1'.encode() + b"\n"


def _of(*reasons: str) -> frozenset[str]:
    return frozenset(reasons)


HTML = b"<!DOCTYPE html>\n<html><body>Log in first</body></html>\n"

HOSTILES = (
    Hostile("huge_body", _of("too_large"), _huge),
    Hostile("endless_body", _of("too_large"), _endless),
    Hostile("gzip_bomb", _of("too_large"), _bomb),
    Hostile("slow_headers", _of("timeout"), _slow_headers),
    Hostile("slow_body", _of("timeout"), _slow_body),
    Hostile("silent", _of("timeout"), _silent),
    Hostile("redirect", _of("redirect"), _said("302 Found", location=SECRET_LOCATION)),
    Hostile("unauthorized", _of("unauthorized"), _said("401 Unauthorized")),
    Hostile("forbidden", _of("unauthorized"), _said("403 Forbidden")),
    Hostile("rate_limited", _of("rate_limited"), _said("429 Too Many Requests")),
    Hostile(
        "rate_limited_for_long",
        _of("rate_limited"),
        _said("429 Too Many Requests", retry_after="120"),
    ),
    Hostile("broken", _of("status"), _said("500 Internal Server Error")),
    Hostile("cut_body", _of("connection"), _cut),
    Hostile("garbage", _of("connection"), _garbage),
    Hostile("large_headers", _of("connection"), _large_headers),
    Hostile("plain_behind_https", _of("tls"), _garbage, scheme="https"),
    Hostile("untrusted", _of("tls"), _said("200 OK"), scheme="https", tls=True),
    Hostile("refused", _of("refused"), url="http://127.0.0.1:9"),
    # Where the name server itself does not answer, it is a timeout.
    Hostile("no_such_name", _of("dns", "timeout"), url="http://no-such-host.invalid:8000"),
    Hostile(
        "invalid_utf8", _of("encoding"), _text(lambda name: f"{name} 1\n".encode() + b"\xff\n")
    ),
    Hostile("html", _of("unparsable"), _text(lambda _: HTML)),
    Hostile(
        "half_a_line", _of("unparsable"), _text(lambda name: f"{name} 1\n{name}_b 1".encode()), True
    ),
    Hostile("twice", _of("unparsable"), _text(lambda name: f"{name} 1\n{name} 2\n".encode()), True),
    Hostile("not_finite", _of(), _text(_numbers), True),
    Hostile("quotes", _of(), _text(_quotes), True),
    # Whether it is too much or only capped is for the one who asks to say.
    Hostile("many_series", _of("too_large", ""), _text(_many), True),
)


def in_json(row: Row) -> tuple[Hostile, ...]:
    """Return what misbehaves in answers such as `{"data": [row, …]}`."""

    def listed(*names: object, number: object = 1) -> str:
        rows = (json.dumps(row(name, number)) for name in names)
        return f'{{"data": [{", ".join(rows)}]}}'

    def said(body: Callable[[], str]) -> Serve:
        return _text(lambda _: body().encode())

    def numbered(*texts: str) -> str:
        rows = (json.dumps(row(name, "#")).replace('"#"', name) for name in texts)
        return f'{{"data": [{", ".join(rows)}]}}'

    odd = 'a "quoted" \\ name\nin two lines'
    nested = "[" * 300 + "]" * 300
    unparsable = _of("unparsable")
    return (
        Hostile("half_a_document", unparsable, said(lambda: listed("a", "b")[:-9])),
        Hostile("no_document", unparsable, said(str)),
        Hostile("another_document", unparsable, said(lambda: '{"data": {"a": 1}}')),
        Hostile("no_rows", unparsable, said(lambda: '{"data": [1, "a", null]}')),
        Hostile("bottomless", unparsable, said(lambda: '{"data": ' + "[" * 100_000)),
        Hostile("deep", unparsable, said(lambda: "[" * 50_000 + "]" * 50_000)),
        Hostile(
            "endless_number",
            unparsable,
            said(lambda: listed("a", number=7).replace("7", "7" * 5000)),
        ),
        Hostile(
            "not_finite", _of("not_finite", ""), said(lambda: numbered("NaN", "-Infinity", "1e999"))
        ),
        Hostile("deep_names", _of(""), said(lambda: listed("#").replace('"#"', nested))),
        Hostile("quotes", _of(""), said(lambda: listed(odd))),
        Hostile("half_characters", _of(""), said(lambda: listed("\ud800", "\udfff", "\0"))),
        Hostile("long_names", _of(""), said(lambda: listed("x" * 1_000_000, "y" * 1_000_000))),
        Hostile("twice", _of("unparsable", ""), said(lambda: listed("a", "b", "a"))),
        Hostile("many_rows", _of("too_large", ""), said(lambda: listed(*map(str, range(100_000))))),
    )
