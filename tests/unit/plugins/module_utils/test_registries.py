"""Reaching registries: real HTTP and TLS servers on loopback play them."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _registries
from ansible_collections.llmops.monitoring.plugins.module_utils._registries import Way
from ansible_collections.llmops.monitoring.tests.serving import serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from exporter_testing.process import free_port

Serve = Callable[..., str]


class _Registry(BaseHTTPRequestHandler):
    status = 200
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status if self.path == "/v2/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_CONNECT(self) -> None:
        """Play a proxy that leads every host to itself."""
        self.asked.append(f"{self.path} {self.headers.get('Proxy-Authorization')}")
        self.send_response(200)
        self.end_headers()
        self.close_connection = False

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing."""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that nobody trusts; `crt` beside it has no key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "crt").write_bytes(signed)
    path = tmp_path / "server.pem"
    path.write_bytes(private + signed)
    return path


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a registry and returns its host:port."""
    servers = ExitStack()

    def start(status: int = 200, certificate: Path | None = None, asked: list[str] | None = None) -> str:
        handler = type("Registry", (_Registry,), {"status": status, "asked": [] if asked is None else asked})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.enter_context(serving(server))
        return f"127.0.0.1:{server.server_address[1]}"

    with servers:
        yield start


def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat loopback as any other network."""
    monkeypatch.setattr(_registries, "_is_insecure", lambda host, names: host in names)


@pytest.mark.parametrize("status", [200, 401])
def test_a_registry_on_loopback_may_speak_plain_http(serve: Serve, status: int) -> None:
    assert _registries.problem(f"{serve(status)}/some/path", Way(), 5) is None


def test_elsewhere_plain_http_must_be_allowed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    strict(monkeypatch)
    registry = serve()
    words = _registries.problem(registry, Way(), 5)
    assert words
    assert "plain HTTP" in words
    assert f"insecure-registries: [{registry}]" in words
    assert _registries.problem(registry, Way(insecure=[registry]), 5) is None


def test_an_authority_may_be_made_known_to_docker(
    serve: Serve, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict(monkeypatch)
    registry = serve(certificate=certificate)
    way = Way(certificates=str(tmp_path / "certs.d"))
    words = _registries.problem(registry, way, 5)
    assert words
    assert "its certificate is not trusted here" in words
    assert f"{tmp_path}/certs.d/{registry}/ca.crt" in words
    authority = tmp_path / "certs.d" / registry / "ca.crt"
    authority.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "crt", authority)
    assert _registries.problem(registry, way, 5) is None


def test_an_insecure_registry_needs_no_valid_certificate(serve: Serve, certificate: Path) -> None:
    assert _registries.problem(serve(certificate=certificate), Way(), 5) is None


def test_what_is_no_registry_is_told(serve: Serve) -> None:
    words = _registries.problem(serve(404), Way(), 5)
    assert words == "it answers /v2/ with status 404, so it is no image registry"


def test_a_closed_port_is_told() -> None:
    port = free_port()
    assert _registries.problem(f"127.0.0.1:{port}", Way(), 5) == "Connection refused"


def test_silence_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = _registries.problem(f"127.0.0.1:{server.getsockname()[1]}", Way(), 0.2)
    assert words == "it did not answer in time"


def test_the_engines_proxy_is_taken(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    strict(monkeypatch)
    asked: list[str] = []
    proxy = serve(asked=asked)
    info = {"HttpsProxy": f"http://me:p%40ss@{proxy}", "HttpProxy": "", "NoProxy": "other.example.com"}
    _registries.problem("registry.example.com", _registries.way_of_engine(info), 2)
    assert asked[0] == "registry.example.com:443 Basic bWU6cEBzcw=="


def test_no_proxy_is_respected(serve: Serve) -> None:
    asked: list[str] = []
    proxy = serve(asked=asked)
    info = {"HttpProxy": proxy, "HttpsProxy": proxy, "NoProxy": "10.0.0.0/8, 127.0.0.1"}
    assert _registries.problem(serve(), _registries.way_of_engine(info), 5) is None
    assert asked == []


def test_the_engine_names_its_insecure_registries() -> None:
    config = {
        "InsecureRegistryCIDRs": ["127.0.0.0/8", "10.1.0.0/16"],
        "IndexConfigs": {"r.example.com:5000": {"Secure": False}, "docker.io": {"Secure": True}},
    }
    way = _registries.way_of_engine({"RegistryConfig": config}, ["extra:5000"])
    assert list(way.insecure) == ["extra:5000", "r.example.com:5000", "127.0.0.0/8", "10.1.0.0/16"]


MEMBERS = [
    ("r.example.com", ["r.example.com"], True),
    ("r.example.com", [".example.com"], True),
    ("r.example.com", ["example.com"], True),
    ("r.badexample.com", ["example.com"], False),
    ("10.1.2.3", ["10.1.0.0/16"], True),
    ("10.2.2.3", ["10.1.0.0/16", "host/path"], False),
    ("anything", ["*"], True),
    ("anything", [""], False),
]


@pytest.mark.parametrize(("host", "names", "expected"), MEMBERS)
def test_names_domains_and_networks(host: str, names: list[str], expected: bool) -> None:
    assert _registries._is_in(host, names) is expected


def test_docker_hub_has_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(target: str, *_others: Any) -> int:
        asked.append(target)
        return 401

    monkeypatch.setattr(_registries, "_ask", ask)
    assert _registries.problem("docker.io", Way(), 5) is None
    assert asked == ["registry-1.docker.io"]
