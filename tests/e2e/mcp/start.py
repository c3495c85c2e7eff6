# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Starts one of the MCP servers by which an assistant looks at the dashboards, with no more rights than that takes.

Usage: start.py browser|screenshots|files. `README.md` says which is for what. The password stays in this process: a
server gets a browser's profile in which somebody has signed in already.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ansible_collections.llmops.monitoring.tests.e2e.browser import grafana
from ansible_collections.llmops.monitoring.tests.e2e.browser.dashboards import ROOT
from ansible_collections.llmops.monitoring.tests.npm import folder, is_installed, node
from playwright.sync_api import sync_playwright

PACKAGES = folder("e2e") / "node_modules"
BROWSER = PACKAGES / "chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js"
FILES = PACKAGES / "@modelcontextprotocol/server-filesystem/dist/index.js"
SCREENSHOTS = ROOT / ".cache/screenshots"
DASHBOARDS = ROOT / "dashboards"

# What neither server may do: run scripts of an assistant's own, open files, tell others what is looked at.
NEVER = [
    "--no-javascript-evaluation",
    "--no-file-navigations",
    "--no-usage-statistics",
    "--no-performance-crux",
    "--no-category-performance",
    "--no-category-memory",
    "--redact-network-headers",
]
# What the one for screenshots need not do: click, type, read requests.
NOT_FOR_SCREENSHOTS = ["--no-category-input", "--no-category-network"]
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str:
    """Return the path of the Chromium that is there.

    Raises:
        SystemExit: When there is none.
    """
    done = subprocess.run([ROOT / "tools/chromium.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return done.stdout.splitlines()[-1]


def sign_in(one: grafana.Grafana, executable: str, profile: Path) -> None:
    """Sign in within a profile that a browser then starts with; without a password nobody is signed in."""
    if not one.password:
        print("Nobody is signed in: GRAFANA_PASSWORD_FILE names no file.", file=sys.stderr)
        return
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch_persistent_context(
            profile, executable_path=executable, chromium_sandbox=os.getuid() != 0, args=CHROMIUM_FLAGS
        ) as context,
    ):
        grafana.sign_in(one, context)


def browser(private: Path, *restrictions: str) -> list[str]:
    """Return the command of a browser that reaches nothing but the Grafana at GRAFANA_URL."""
    one = grafana.from_environment()
    grafana.check(one)
    executable, profile = chromium(), private / "profile"
    sign_in(one, executable, profile)
    flags = [*CHROMIUM_FLAGS, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    return [
        node(),
        str(BROWSER),
        "--headless",
        f"--executable-path={executable}",
        f"--user-data-dir={profile}",
        f"--filesystem-root={SCREENSHOTS}",
        f"--allowed-url-pattern={one.url}/*",
        "--viewport=1920x1080",
        # One assistant uses one page, and need not name it each time.
        "--no-page-id-routing",
        *NEVER,
        *restrictions,
        *(f"--chrome-arg={flag}" for flag in flags),
    ]


def screenshots(private: Path) -> list[str]:
    """Return the command of a browser in which nothing can be clicked."""
    return browser(private, *NOT_FOR_SCREENSHOTS)


def files(_private: Path) -> list[str]:
    """Return the command of a server that reads screenshots and dashboards.

    Node.js itself refuses all else, also where an assistant's program asks the server to serve other folders.
    """
    # Node.js 20 knows it by another name.
    known = subprocess.run([node(), "--permission", "--version"], capture_output=True, check=False).returncode == 0
    return [
        node(),
        "--permission" if known else "--experimental-permission",
        "--no-warnings",
        *(f"--allow-fs-read={folder}/*" for folder in (PACKAGES, SCREENSHOTS, DASHBOARDS)),
        str(FILES),
        str(SCREENSHOTS),
        str(DASHBOARDS),
    ]


SERVERS: dict[str, Callable[[Path], list[str]]] = {"browser": browser, "screenshots": screenshots, "files": files}


def run(name: str) -> int:
    """Run a server until it ends; what it keeps meanwhile is gone then.

    Raises:
        SystemExit: When it can't be started; the message says why.
    """
    if not is_installed("e2e"):
        sys.exit(f"The servers are not in {PACKAGES.parent}: run `make mcp` first.")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="llm-monitor-mcp-", ignore_cleanup_errors=True) as private:
        try:
            command = SERVERS[name](Path(private))
        except grafana.GrafanaError as error:
            sys.exit(str(error))
        environment = {key: text for key, text in os.environ.items() if not key.startswith("GRAFANA_")}
        environment |= {"TMPDIR": private, "CHROME_DEVTOOLS_MCP_NO_UPDATE_CHECKS": "1"}
        with subprocess.Popen(command, env=environment) as server:
            signal.signal(signal.SIGTERM, lambda *_arguments: server.terminate())
            return server.wait()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in SERVERS:
        sys.exit(f"usage: start.py {'|'.join(SERVERS)}")
    return run(arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
