"""`llm-monitor-healthcheck PORT…`: the probe of a container, with nothing but the standard library.

It opens a socket by hand because it starts every few seconds, and an HTTP client costs more than
all the rest.
"""

import socket
import sys

_TIMEOUT_SECONDS = 3.0


def ready(port: int) -> bool:
    """Return whether the exporter on `port` of the loopback address answers 200 to `/ready`."""
    request = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS) as connection:
            connection.sendall(request)
            answer = b""
            while b"\r\n" not in answer and (part := connection.recv(256)):
                answer += part
    except OSError:
        return False
    return answer.split(b" ", 2)[1:2] == [b"200"]


def main() -> None:
    """Exit with 0 when the exporters on the ports given are all ready, with 1 when not."""
    ports = sys.argv[1:]
    if not ports or not all(port.isascii() and port.isdigit() for port in ports):
        sys.exit("usage: llm-monitor-healthcheck PORT…")
    for port in ports:
        if not 0 < int(port) <= 65535:
            sys.exit(f"llm-monitor-healthcheck: {port} is not a port, 1 to 65535")
    sys.exit(0 if all(ready(int(port)) for port in ports) else 1)
