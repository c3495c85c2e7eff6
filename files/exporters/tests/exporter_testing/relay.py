"""Passes on what another server says; it needs nothing but the standard library."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit


def relay(url: str, connection: socket.socket) -> None:
    """Pass on to `connection` what a server over plain HTTP says, as it is."""
    there = urlsplit(url)
    with suppress(OSError), socket.create_connection((there.hostname, there.port)) as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while part := other.recv(65536):
            connection.sendall(part)
