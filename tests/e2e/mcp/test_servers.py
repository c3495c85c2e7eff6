# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""The MCP servers as `mcp.json` starts them, used as an assistant would, on a stand-in for Grafana."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from ansible_collections.llmops.monitoring.tests.e2e.browser.dashboards import ROOT, Dashboard, Panel
from ansible_collections.llmops.monitoring.tests.e2e.browser.stand_in import (
    PASSWORD,
    SESSION,
    USER,
    StandIn,
    standing_in,
)
from ansible_collections.llmops.monitoring.tests.serving import serving
from exporter_testing.process import free_port
from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext
from mcp.types import CallToolResult, ImageContent, ListRootsResult, Root, TextContent
from pydantic import FileUrl

CONFIGURATION = json.loads(Path(__file__).with_name("mcp.json").read_text())["mcpServers"]
START = "ansible_collections.llmops.monitoring.tests.e2e.mcp.start"
SCREENSHOTS, DASHBOARDS = ROOT / ".cache/screenshots", ROOT / "dashboards"
PICTURE = "mcp-test.png"
DASHBOARD = Dashboard("gpu-usage", "system", (Panel(1, "GPUs seen", "stat", "No exporter."),))
LOOKS = {
    *("close_page", "emulate", "get_console_message", "get_css_styles", "lighthouse_audit", "list_console_messages"),
    *("list_pages", "navigate_page", "new_page", "resize_page", "screencast_start", "screencast_stop", "select_page"),
    *("take_screenshot", "take_snapshot", "wait_for"),
}
ACTS = {
    *("click", "drag", "fill", "fill_form", "get_network_request", "handle_dialog", "hover", "list_network_requests"),
    *("press_key", "type_text", "upload_file"),
}
READS = {
    *("directory_tree", "get_file_info", "list_allowed_directories", "list_directory", "list_directory_with_sizes"),
    *("read_file", "read_media_file", "read_multiple_files", "read_text_file", "search_files"),
}
WRITES = {"create_directory", "edit_file", "move_file", "write_file"}
T = TypeVar("T")


@pytest.fixture(scope="module")
def served() -> Iterator[StandIn]:
    with standing_in(StandIn({DASHBOARD.uid: DASHBOARD})) as one:
        yield one


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of another server on this machine, and the paths that it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            """Keep the tests' output quiet."""

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}", asked


def use(
    name: str,
    work: Callable[[Client], Coroutine[Any, Any, T]],
    *,
    environment: dict[str, str] | None = None,
    roots: tuple[Path, ...] = (),
) -> T:
    """Start a server as its entry in mcp.json says, with more in its environment, and return what `work` does with it.

    `roots` are the folders that the client offers to servers. All in a thread of its own, as Playwright's loop is there
    in the tests' own.
    """
    entry = CONFIGURATION[name]
    server = StdioServerParameters(
        command=entry["command"], args=entry["args"], env={**entry["env"], **(environment or {})}, cwd=ROOT
    )

    async def offered(context: ClientRequestContext) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl(folder.as_uri())) for folder in roots])

    async def session() -> T:
        offer = offered if roots else None
        async with Client(server, mode="legacy", read_timeout_seconds=60, list_roots_callback=offer) as client:
            return await work(client)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(session())).result()


def signed_in(served: StandIn, tmp_path: Path) -> dict[str, str]:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    return {"GRAFANA_URL": served.url, "GRAFANA_USER": USER, "GRAFANA_PASSWORD_FILE": str(password)}


def text(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


async def names(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


def test_browser_acts_in_grafana_and_reaches_nothing_else(
    served: StandIn, elsewhere: tuple[str, list[str]], tmp_path: Path
) -> None:
    other, asked = elsewhere

    async def work(client: Client) -> None:
        assert await names(client) == LOOKS | ACTS
        served.redirects = {"/away": f"{other}/redirected"}
        served.extra = f"<img src='{other}/picture'><script>fetch('{other}/data').catch(() => 0)</script>"
        seen = await client.call_tool("new_page", {"url": f"{served.url}/d/gpu-usage?theme=light"})
        assert not seen.is_error, text(seen)
        # Panels are drawn with the first frame.
        await client.call_tool("wait_for", {"text": ["GPUs seen"]})
        assert "GPUs seen" in text(await client.call_tool("take_snapshot", {}))
        requests = text(await client.call_tool("list_network_requests", {}))
        opened = re.search(r"reqid=(\d+) GET \S*/d/gpu-usage", requests)
        assert opened is not None, requests
        request = text(await client.call_tool("get_network_request", {"reqid": int(opened[1])}))
        assert "gpu-usage" in request
        assert SESSION.partition("=")[2] not in request
        for url in (f"{other}/secrets", f"{served.url}/away", "file:///etc/passwd", "javascript:alert(1)"):
            refused = await client.call_tool("navigate_page", {"type": "url", "url": url})
            assert "root:" not in text(refused)
            assert "alert" not in text(await client.call_tool("take_snapshot", {}))

    use("grafana-browser", work, environment=signed_in(served, tmp_path))
    assert asked == []


def test_a_screenshot_is_taken_and_found_among_the_files(served: StandIn, tmp_path: Path) -> None:
    picture = SCREENSHOTS / PICTURE
    picture.unlink(missing_ok=True)

    async def take(client: Client) -> None:
        assert await names(client) == LOOKS
        await client.call_tool("new_page", {"url": f"{served.url}/d/gpu-usage?theme=dark"})
        shown = await client.call_tool("take_screenshot", {"fullPage": True})
        assert any(isinstance(part, ImageContent) and part.mime_type == "image/png" for part in shown.content)
        await client.call_tool("take_screenshot", {"filePath": str(picture)})
        outside = await client.call_tool("take_screenshot", {"filePath": str(ROOT / PICTURE)})
        assert outside.is_error
        assert not (ROOT / PICTURE).exists()

    async def find(client: Client) -> None:
        assert await names(client) == READS | WRITES
        assert f"[FILE] {PICTURE}" in text(await client.call_tool("list_directory", {"path": str(SCREENSHOTS)}))
        read = await client.call_tool("read_media_file", {"path": str(picture)})
        assert any(isinstance(part, ImageContent) for part in read.content)

    try:
        use("grafana-screenshots", take, environment=signed_in(served, tmp_path))
        assert picture.read_bytes().startswith(b"\x89PNG")
        use("grafana-files", find)
    finally:
        picture.unlink(missing_ok=True)


@pytest.mark.parametrize("offers", [False, True], ids=["as started", "with folders of the client's"])
def test_files_are_read_and_never_written(tmp_path: Path, offers: bool) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (tmp_path / "secret").write_text("sw0rdfish")
    (link := SCREENSHOTS / "mcp-test-link").unlink(missing_ok=True)
    link.symlink_to(tmp_path / "secret")

    async def work(client: Client) -> None:
        for path in (tmp_path / "secret", link, ROOT / "galaxy.yml"):
            read = await client.call_tool("read_text_file", {"path": str(path)})
            assert read.is_error
            assert "sw0rdfish" not in text(read)
        for folder in (SCREENSHOTS, DASHBOARDS):
            written = await client.call_tool("write_file", {"path": str(folder / "mcp-test"), "content": "x"})
            assert written.is_error
            assert not (folder / "mcp-test").exists()
        allowed = text(await client.call_tool("list_allowed_directories", {})).splitlines()[1:]
        assert set(allowed) <= {str(SCREENSHOTS), str(DASHBOARDS)}

    try:
        use("grafana-files", work, roots=(tmp_path, ROOT) if offers else ())
    finally:
        link.unlink()


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["shell"], {}, "usage: start.py browser|screenshots|files"),
        ([], {}, "usage: start.py browser|screenshots|files"),
        (["browser"], {"GRAFANA_URL": "grafana"}, "GRAFANA_URL is 'grafana'; it must begin with http:// or https://"),
        (["screenshots"], {"GRAFANA_URL": f"http://127.0.0.1:{free_port()}"}, "(GRAFANA_URL) does not answer"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], environment: dict[str, str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", START, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "collections", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stdout == ""


def test_configuration_holds_no_secret_and_the_lock_no_registry() -> None:
    assert not re.search("password|token", json.dumps(CONFIGURATION), re.IGNORECASE)
    lock = json.loads((ROOT / "tests/e2e/package-lock.json").read_text())
    packages = {path: one for path, one in lock["packages"].items() if path}
    assert [path for path, one in packages.items() if "resolved" in one or "integrity" not in one] == []
