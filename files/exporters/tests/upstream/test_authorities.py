"""CAs that are renewed while an exporter runs."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import Fetcher


def certified(folder: Path, name: str) -> Path:
    """Return a file of a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    place = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(place, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / f"{name}.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that do not trust it."""


@contextmanager
def serving(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def status(fetcher: Fetcher, url: str) -> int | Reason:
    deadline = Deadline.after(5)
    try:
        return fetcher.run(fetcher.get(url, deadline=deadline), deadline).status
    except UpstreamError as error:
        return error.reason


def test_other_authorities_in_the_file_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    old, new = certified(tmp_path, "old"), certified(tmp_path, "new")
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(old.read_bytes())
    fetcher = Fetcher("test", str(authorities))
    with serving(old) as first, serving(new) as second:
        assert (status(fetcher, first), status(fetcher, second)) == (200, Reason.TLS)
        new.replace(authorities)
        assert (status(fetcher, first), status(fetcher, second)) == (Reason.TLS, 200)
        authorities.write_bytes(b"half a fi")
        assert status(fetcher, second) is Reason.TLS
        authorities.write_bytes(old.read_bytes())
        assert status(fetcher, first) == 200
