"""What `make mock` says and does, with a real mock that wants a token."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from ansible_collections.llmops.monitoring.tests.serving import serving
from exporter_testing.process import free_port

ROOT = Path(__file__).resolve().parents[3]
EXPORTER = Path(sys.executable).with_name("llm-monitor-exporter")
TOKEN = "sw0rdfish"

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield where a mock listens."""
    log = tmp_path_factory.mktemp("mock") / "log"
    address = f"http://127.0.0.1:{(port := free_port())}"
    clean = {name: text for name, text in os.environ.items() if not name.startswith("LLM_MONITOR_")}
    mine = {"MOCK__PORT": str(port), "MOCK__EXPORTERS": "gpu", "AUTH__TOKEN": TOKEN}
    environment = {**clean, **{f"LLM_MONITOR_{name}": text for name, text in mine.items()}}
    with (
        log.open("w") as output,
        subprocess.Popen([EXPORTER, "mock"], stdout=output, stderr=output, env=environment) as process,
    ):
        try:
            end = time.monotonic() + 30
            while not is_ready(address):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ready", timeout=5) as answer:
            ready: bool = answer.status == 200
            return ready
    except OSError:
        return False


@pytest.fixture
def make(url: str, tmp_path: Path) -> Make:
    """Return a function that runs `make mock` with variables, by default for that mock and with its token."""
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        told = {"MOCK_URL": url, "MOCK_TOKEN_FILE": str(token), "PYTHON": sys.executable, **variables}
        return subprocess.run(
            ["make", "--silent", "mock", *(f"{name}={text}" for name, text in told.items())],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_it_plays_a_scenario_and_lists_it_as_the_one_that_is_played(make: Make) -> None:
    played = make(SCENARIO="degraded")
    assert played.returncode == 0, played.stderr
    assert played.stdout.startswith("Now it plays degraded: ")
    listed = make().stdout
    assert re.findall(r"^\* (\w+)  +\w", listed, re.MULTILINE) == ["degraded"]
    assert {"normal", "failure", "gpu_lost"} <= set(re.findall(r"^  (\w+)  +\w", listed, re.MULTILINE))
    assert make(SCENARIO="normal").returncode == 0
    assert re.findall(r"^\* (\w+)", make().stdout, re.MULTILINE) == ["normal"]


def test_an_unknown_scenario_is_answered_with_those_there_are(make: Make) -> None:
    refused = make(SCENARIO="doom")
    assert refused.returncode != 0
    assert "'doom' is no scenario; there are:\n" in refused.stderr
    assert {"normal", "high_load", "xid"} <= set(re.findall(r"\w+", refused.stderr))


def test_it_says_that_nothing_answers(make: Make) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    refused = make(MOCK_URL=url)
    assert refused.returncode != 0
    assert f"No simulation answers at {url}" in refused.stderr
    assert "`make demo` starts one" in refused.stderr


def test_a_token_that_is_missing_is_asked_for(make: Make, tmp_path: Path) -> None:
    refused = make(MOCK_TOKEN_FILE="")
    assert refused.returncode != 0
    assert "wants a token: name a file" in refused.stderr
    nowhere = make(MOCK_TOKEN_FILE=str(tmp_path / "nowhere"))
    assert nowhere.returncode != 0
    assert "No such file" in nowhere.stderr
    assert TOKEN not in refused.stderr + nowhere.stderr


def test_what_is_no_mock_is_told(make: Make, url: str) -> None:
    refused = make(MOCK_URL=f"{url}/gpu")
    assert refused.returncode != 0
    assert f"{url}/gpu is no mock, or not well: it answers with 404" in refused.stderr


@pytest.mark.parametrize("url", ["myhost", "myhost:9910", "ftp://myhost"])
def test_an_address_that_is_no_url_is_refused_by_name(make: Make, url: str) -> None:
    refused = make(MOCK_URL=url)
    assert refused.returncode != 0
    assert f"MOCK_URL is {url}; it must begin with http:// or https://" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_without_json_is_told(make: Make, status: int) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html></html>")

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    with serving(server):
        refused = make(MOCK_URL=f"http://127.0.0.1:{server.server_port}")
    assert refused.returncode != 0
    assert "is no mock: its answer is no JSON" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x16", b""])
def test_a_server_that_speaks_no_http_is_told(make: Make, said: bytes) -> None:
    class Other(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(said)

    server = ThreadingTCPServer(("127.0.0.1", 0), Other)
    with serving(server):
        url = f"http://127.0.0.1:{server.server_address[1]}"
        refused = make(MOCK_URL=url)
    assert refused.returncode != 0
    assert url in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_that_is_none_is_told(make: Make) -> None:
    refused = make(MOCK_URL="http://127.0.0.1:door")
    assert refused.returncode != 0
    assert "http://127.0.0.1:door is no mock: nonnumeric port: 'door'" in refused.stderr
    assert "Traceback" not in refused.stderr
