"""The key of a package repository, fetched from a real web server: taken when it is the right one, else refused."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import signing_key
from ansible_collections.llmops.monitoring.tests.serving import serving

KEYS = Path(__file__).resolve().parents[1] / "fixtures/keys"
ONE_ARMORED, ONE = (KEYS / "one.asc").read_bytes(), "01D95F13A46184A3C30DB92E54601B04BB6FAF83"
BOTH_ARMORED, TWO = (KEYS / "both.asc").read_bytes(), "B2BD5AA1986A711FE3B9EC4493F466DFFF6B9A87"


class Server:
    """What the web server has, and how often it was asked."""

    def __init__(self) -> None:
        self.content = ONE_ARMORED
        self.asked = 0
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            self.send_response(200 if self.path == "/key" else 404)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            self.wfile.write(state.content)

        def log_message(self, *_arguments: object) -> None:
            """Keep the tests' output quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}/key"
    with serving(http):
        yield state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyrings" / "nvidia.asc"


def fetch(run_module: Any, server: Server, path: Path, fingerprint: str = ONE, **options: Any) -> dict[str, Any]:
    arguments = {"url": server.url, "path": str(path), "fingerprint": fingerprint, "timeout": 5}
    result: dict[str, Any] = run_module(signing_key.main, arguments, **options)
    return result


def test_right_key_is_written_once(run_module: Any, server: Server, path: Path) -> None:
    spaced = " ".join(ONE[start : start + 4].lower() for start in range(0, 40, 4))
    first = fetch(run_module, server, path, spaced)
    assert (first["changed"], first["fingerprints"]) == (True, [ONE])
    assert first["diff"]["after"] == f"{ONE}\n"
    assert path.read_bytes() == ONE_ARMORED
    assert path.stat().st_mode & 0o777 == 0o644
    second = fetch(run_module, server, path)
    assert (second["changed"], server.asked) == (False, 1)


def test_rehearsal_looks_at_the_key_and_writes_nothing(run_module: Any, server: Server, path: Path) -> None:
    rehearsal = fetch(run_module, server, path, check_mode=True)
    assert (rehearsal["changed"], server.asked) == (True, 1)
    assert not path.parent.exists()


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ONE_ARMORED, f"its fingerprint is {ONE}, not {TWO}"),
        (BOTH_ARMORED, f"its fingerprint is {ONE}, {TWO}, not {TWO}"),
        (b"<html>", "it is no OpenPGP file"),
    ],
    ids=["another", "one too many", "page"],
)
def test_wrong_key_is_refused(
    run_module: Any, server: Server, path: Path, content: bytes, told: str, check_mode: bool
) -> None:
    server.content = content
    refused = fetch(run_module, server, path, TWO, check_mode=check_mode)
    assert refused["failed"]
    assert f"{server.url} is not the key that is expected: {told}. " in refused["msg"]
    assert "nothing has been written" in refused["msg"]
    assert not path.exists()


def test_file_with_a_key_too_many_is_replaced(run_module: Any, server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(BOTH_ARMORED)
    replaced = fetch(run_module, server, path)
    assert replaced["changed"]
    assert replaced["diff"]["before"] == f"{ONE}\n{TWO}\n"
    assert path.read_bytes() == ONE_ARMORED


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/key", "/missing"])
def test_server_that_does_not_have_it_is_named(run_module: Any, server: Server, path: Path, url: str) -> None:
    server.url = url if url.startswith("http") else server.url.replace("/key", url)
    failed = fetch(run_module, server, path)
    assert failed["failed"]
    assert f"can't be fetched from {server.url}: " in failed["msg"]
    assert not path.exists()
