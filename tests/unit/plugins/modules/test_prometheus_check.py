"""prometheus_check against an HTTP server that gives Prometheus' answers, as recorded from 2.42."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import prometheus_check as module
from ansible_collections.llmops.monitoring.tests.serving import serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from exporter_testing.process import free_port

UP = {
    "labels": {"instance": "gpu01", "job": "node"},
    "scrapeUrl": "http://gpu01:9100/metrics",
    "lastError": "",
    "health": "up",
}
DOWN = {**UP, "lastError": "server returned HTTP status 401 Unauthorized", "health": "down"}
GROUP = {
    "name": "node",
    "file": "/etc/prometheus/rules/node.yml",
    "rules": [
        {"name": "HostDown", "query": "up == 0", "health": "ok", "type": "alerting", "state": "inactive"},
        {"name": "job:up", "query": "sum by (job) (up)", "health": "unknown", "type": "recording"},
    ],
}
SERIES = {"metric": {"__name__": "up", "instance": "gpu01"}, "value": [1795231892.89, "1"]}


def success(data: Any) -> tuple[int, Any]:
    return 200, {"status": "success", "data": data}


class PreparedPrometheus:
    """Answers by what `targets`, `groups` and `results` hold, after the `failures`, one a request."""

    def __init__(self) -> None:
        self.targets: list[Any] = [UP]
        self.groups: list[Any] = [GROUP]
        self.results: dict[str, Any] = {}
        self.failures: list[tuple[int, Any]] = []
        self.location: str | None = None
        self.authorizations: set[str | None] = set()
        self.paths: list[str] = []
        self.url = ""

    def answer(self, target: str) -> tuple[int, Any]:
        url = urlsplit(target)
        self.paths.append(url.path)
        if self.failures:
            return self.failures.pop(0)
        if url.path == "/api/v1/targets":
            return success({"activeTargets": self.targets, "droppedTargets": []})
        if url.path == "/api/v1/rules":
            return success({"groups": self.groups})
        found = self.results[parse_qs(url.query)["query"][0]]
        return found if isinstance(found, tuple) else success({"resultType": "vector", "result": found})


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def do_GET(self) -> None:
        prometheus = self.server.prometheus
        prometheus.authorizations.add(self.headers.get("Authorization"))
        status, body = prometheus.answer(self.path)
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        if prometheus.location:
            self.send_header("Location", prometheus.location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    def __init__(self, prometheus: PreparedPrometheus, listens: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=listens)
        self.prometheus = prometheus
        if not listens:
            # Bound, so that nobody else takes the port, but all are refused.
            self.server_bind()


@pytest.fixture
def prometheus() -> Iterator[PreparedPrometheus]:
    prepared = PreparedPrometheus()
    server = _Server(prepared)
    prepared.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield prepared


@pytest.fixture
def check(run_module: Any, prometheus: PreparedPrometheus) -> Callable[..., dict[str, Any]]:
    """Return a function that runs the module, looking once unless it is told to wait."""

    def run(check_mode: bool = False, **options: Any) -> dict[str, Any]:
        args = {"url": prometheus.url, "timeout": 0, "interval": 0.05, **options}
        result: dict[str, Any] = run_module(module.main, args, check_mode=check_mode)
        return result

    return run


# ------------------------------------------------------------ what holds


@pytest.mark.parametrize("check_mode", [False, True])
def test_everything_as_expected_is_told_with_the_figures(
    check: Any, prometheus: PreparedPrometheus, check_mode: bool
) -> None:
    prometheus.results = {"up": [SERIES] * 30, "scalar(x)": success({"resultType": "scalar", "result": [1, "+Inf"]})}

    result = check(
        check_mode,
        targets=[{"job": "node"}],
        targets_all_up=True,
        targets_absent=[{"instance": "gpu02"}],
        rules=["HostDown"],
        assertions=[
            {"name": "Up", "expr": "up", "expect": "== 1"},
            {"name": "Endless", "expr": "scalar(x)", "expect": "> 1"},
        ],
    )

    assert (result["failed"], result["changed"], result["problems"], result["attempts"]) == (False, False, [], 1)
    assert result["targets"] == [
        {
            "job": "node",
            "instance": "gpu01",
            "health": "up",
            "last_error": "",
            "scrape_url": "http://gpu01:9100/metrics",
        }
    ]
    assert result["rules"] == {"groups": 1, "total": 2, "ok": 1, "err": 0, "unknown": 1}
    up, endless = result["assertions"]
    assert (up["name"], up["ok"], up["series"], len(up["result"])) == ("Up", True, 30, 20)
    assert up["result"][0] == {"labels": {"__name__": "up", "instance": "gpu01"}, "value": "1"}
    assert endless["result"] == [{"labels": {}, "value": "+Inf"}]


def test_without_expectations_it_asks_whether_prometheus_answers(check: Any, prometheus: PreparedPrometheus) -> None:
    assert check()["failed"] is False
    assert prometheus.paths == ["/api/v1/targets", "/api/v1/rules"]


def test_it_waits_until_everything_holds_at_once(check: Any, prometheus: PreparedPrometheus) -> None:
    prometheus.failures = [success({"activeTargets": [{**UP, "health": "unknown"}]})]

    result = check(targets=[{"job": "node"}], timeout=20)

    # It has looked at the rules before it waits.
    assert prometheus.paths == ["/api/v1/targets", "/api/v1/rules"] * 2
    assert (result["failed"], result["attempts"], result["problems"]) == (False, 2, [])


def test_it_waits_for_a_prometheus_that_is_not_there_yet(run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = _Server(PreparedPrometheus(), listens=False)
    # It begins to listen while the module waits for the first time.
    waiting = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: server.server_activate())
    monkeypatch.setattr(module, "time", waiting)
    with serving(server):
        result = run_module(module.main, {"url": f"http://127.0.0.1:{server.server_port}", "timeout": 20})

    assert (result["failed"], result["attempts"]) == (False, 2)


# ------------------------------------------------------------ what does not hold


def test_every_difference_is_one_line(check: Any, prometheus: PreparedPrometheus) -> None:
    prometheus.targets = [DOWN]
    prometheus.results = {"up": [{**SERIES, "value": [1, "0"]}]}

    result = check(
        targets=[{"job": "node", "instance": "gpu01"}, {"job": "gpu"}],
        rules=["GpuMissing"],
        rules_all_ok=True,
        assertions=[{"name": "Hosts are up", "expr": "up", "expect": "== 1"}],
    )

    first, *lines = result["msg"].splitlines()
    assert first.startswith(f"Prometheus at {prometheus.url} is not as expected after ")
    assert lines == [f"- {problem}" for problem in result["problems"]]
    assert [line.split(": ")[0] for line in lines] == [
        "- target job=node instance=gpu01",
        "- target job=gpu",
        "- rule or group GpuMissing",
        "- rule job:up of group node in /etc/prometheus/rules/node.yml",
        "- Hosts are up",
    ]
    assert "server returned HTTP status 401 Unauthorized. Hint: the exporter wants other credentials" in lines[0]
    assert result["assertions"][0]["ok"] is False


def test_it_gives_up_when_the_time_is_over(check: Any) -> None:
    result = check(targets=[{"job": "gpu"}], timeout=1)
    assert result["failed"]
    assert result["attempts"] > 1
    assert 0.9 <= result["elapsed"] < 5


def test_an_unexpected_expectation_fails_before_prometheus_is_asked(check: Any, prometheus: PreparedPrometheus) -> None:
    result = check(assertions=[{"name": "x", "expr": "up", "expect": "=> 1"}])
    assert "'=> 1' is no expectation" in result["msg"]
    assert prometheus.paths == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (400, {"status": "error", "errorType": "bad_data", "error": "1:6: parse error: unexpected end of input"}),
            "refuses the request: 1:6: parse error: unexpected end of input. Query: up ==",
        ),
        (success({"resultType": "matrix", "result": []}), "The expression gives a matrix, but an assertion needs"),
    ],
)
def test_a_malformed_expression_fails_at_once(
    check: Any, prometheus: PreparedPrometheus, answer: Any, message: str
) -> None:
    prometheus.results = {"up ==": answer}

    result = check(assertions=[{"name": "Half", "expr": "up =="}], timeout=60)

    assert result["msg"].startswith("Half: ")
    assert message in result["msg"]
    assert result["attempts"] == 1


# ------------------------------------------------------------ when Prometheus can't be asked


@pytest.mark.parametrize(
    ("failure", "message", "final"),
    [
        ((401, "Unauthorized"), "refuses these credentials (status 401). Check username and password", True),
        ((403, ""), "refuses these credentials (status 403)", True),
        ((404, "404 page not found"), "has no Prometheus API (status 404). Correct the url", False),
        ((503, "Service Unavailable"), "is not ready yet (Service Unavailable)", False),
        ((502, ""), "fails (status 502): no reason given", False),
        ((422, {"status": "error", "error": "query timed out"}), "fails (status 422): query timed out", False),
        ((200, "<html>Grafana</html>"), "is no Prometheus: it gives other than Prometheus' JSON", False),
        ((200, {"message": "hello"}), "is no Prometheus", False),
        ((200, []), "is no Prometheus", False),
        (success({"targets": []}), "is no Prometheus", False),
        (success({"activeTargets": [{"health": "up"}]}), "is no Prometheus", False),
    ],
)
def test_what_prometheus_refuses_is_told_with_what_to_do(
    check: Any, prometheus: PreparedPrometheus, failure: Any, message: str, final: bool
) -> None:
    prometheus.failures = [failure]

    result = check(timeout=60 if final else 0)

    assert message in result["msg"]
    assert prometheus.url in result["msg"]
    assert result["problems"] == [result["msg"]]
    assert result["attempts"] == 1


def test_a_failure_that_passes_is_waited_out(check: Any, prometheus: PreparedPrometheus) -> None:
    prometheus.failures = [(503, "Service Unavailable"), (502, "")]

    result = check(timeout=20)

    assert (result["failed"], result["attempts"]) == (False, 3)


def test_nobody_listening_is_told_with_what_to_do(check: Any) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    message = check(url=url)["msg"]
    assert message.startswith(f"Prometheus at {url} does not answer: Connection refused. See whether")


def test_a_prometheus_that_hangs_is_given_up(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        message = check(url=f"http://127.0.0.1:{server.getsockname()[1]}")["msg"]
    assert "does not answer: no answer in time" in message


def test_redirects_are_not_followed(check: Any, prometheus: PreparedPrometheus) -> None:
    prometheus.failures = [(302, "")]
    prometheus.location = "https://sso.example/login"

    message = check(bearer_token="t0k3n-abc")["msg"]

    assert f"{prometheus.url} sends on to https://sso.example/login, which is not followed" in message


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "ftp://host", "http://", ""])
def test_what_is_no_address_is_refused(check: Any, url: str) -> None:
    assert "is no address of a Prometheus; give one such as http://127.0.0.1:9090" in check(url=url)["msg"]


# ------------------------------------------------------------ credentials


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({}, None),
        ({"bearer_token": "t0k3n-abc"}, "Bearer t0k3n-abc"),
        (
            {"username": "operator", "password": "pa55-w0rd"},
            "Basic " + b64encode(b"operator:pa55-w0rd").decode(),
        ),
    ],
)
def test_credentials_go_with_every_request_and_never_come_back(
    check: Any, prometheus: PreparedPrometheus, options: Any, header: str | None
) -> None:
    prometheus.results = {"up": [SERIES]}

    result = check(assertions=[{"name": "Up", "expr": "up"}], **options)

    assert prometheus.authorizations == {header}
    assert "t0k3n-abc" not in json.dumps(result)
    assert "pa55-w0rd" not in json.dumps(result)


def test_credentials_in_the_url_are_refused(check: Any) -> None:
    assert "give them as username and password" in check(url="http://user:pass@127.0.0.1:1")["msg"]


def test_a_path_behind_a_reverse_proxy_is_kept(check: Any, prometheus: PreparedPrometheus) -> None:
    prometheus.failures = [(404, "")]
    check(url=f"{prometheus.url}/prometheus/")
    assert prometheus.paths == ["/prometheus/api/v1/targets"]


# ------------------------------------------------------------ TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a self-signed certificate for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "prometheus")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "prometheus.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secured(certificate: Path) -> Iterator[PreparedPrometheus]:
    prepared = PreparedPrometheus()
    server = _Server(prepared)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    prepared.url = f"https://127.0.0.1:{server.server_port}"
    with serving(server):
        yield prepared


def test_a_certificate_of_our_own_authority_is_trusted(
    check: Any, secured: PreparedPrometheus, certificate: Path
) -> None:
    assert check(url=secured.url, ca_path=str(certificate))["failed"] is False


def test_a_certificate_can_go_unchecked(check: Any, secured: PreparedPrometheus) -> None:
    assert check(url=secured.url, validate_certs=False)["failed"] is False


def test_an_untrusted_certificate_fails_at_once(check: Any, secured: PreparedPrometheus) -> None:
    result = check(url=secured.url, timeout=60)
    assert f"The certificate of {secured.url} is not trusted: self-signed certificate" in result["msg"]
    assert "ca_path" in result["msg"]
    assert result["attempts"] == 1


def test_https_to_a_plain_prometheus_fails_at_once(check: Any, prometheus: PreparedPrometheus) -> None:
    url = prometheus.url.replace("http:", "https:")
    result = check(url=url, timeout=60)
    assert f"{url} does not speak TLS" in result["msg"]
    assert result["attempts"] == 1
