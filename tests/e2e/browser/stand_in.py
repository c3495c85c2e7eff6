# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""A stand-in for Grafana's pages: it proves what looks at them, not Grafana.

It serves a page to sign in and dashboards, in the DOM that Grafana 12 and 13 share as far as `look.py` reads it. How a
panel behaves is one of `KINDS`, and the test chooses it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from ansible_collections.llmops.monitoring.tests.e2e.browser import marks
from ansible_collections.llmops.monitoring.tests.e2e.browser.dashboards import Dashboard, Panel
from ansible_collections.llmops.monitoring.tests.serving import serving

USER, PASSWORD = "viewer", "c0rrect h0rse"
SESSION = "grafana_session=0f1e2d"
BACKGROUNDS = {"light": "rgb(244, 245, 245)", "dark": "rgb(17, 18, 23)"}
GREEN, RED = "rgb(115, 191, 105)", "rgb(242, 73, 92)"


def _message(words: str) -> str:
    return f'<div data-testid="{marks.PANEL_MESSAGE}">{html.escape(words)}</div>'


def _stat(colour: str, words: str = "42") -> str:
    return (
        f'<div><span class="number" style="color: {colour}; font-size: 40px">{html.escape(words)}</span>'
        f'<span style="color: {RED}; font-size: 14px">-3 %</span></div>'
    )


def _table(rows: str) -> str:
    return f'<div role="table"><div role="columnheader">GPU</div>{rows}</div>'


# What a panel shows, by the kind of panel that a test asks for.
KINDS: dict[str, Callable[[Panel], str]] = {
    "good": lambda panel: _stat(GREEN) if panel.type == "stat" else "<canvas></canvas>",
    "red": lambda panel: _stat(RED),
    "background": lambda panel: f'<div style="background: linear-gradient(120deg, {RED}, rgb(224, 47, 68))">7</div>',
    "empty": lambda panel: _message("No data"),
    "own words": lambda panel: _message(panel.no_data),
    "empty stat": lambda panel: _stat("rgb(204, 204, 220)", "No data"),
    "wrong field": lambda panel: _message("Data is missing a time field"),
    "holes": lambda panel: _table(f'<div role="row"><div role="cell">{html.escape(panel.no_data)}</div></div>'),
    "empty table": lambda panel: _table(f"<div>{html.escape(panel.no_data)}</div>"),
    "broken": lambda panel: f'<div data-testid="{marks.ALERT}">An unexpected error happened</div>',
    "failed": lambda panel: "<canvas></canvas>",
    "endless": lambda panel: "<canvas></canvas>",
    "slow": lambda panel: "<canvas></canvas>",
}


def _panel(panel: Panel, kind: str, key: str) -> str:
    header = (
        f'<button data-testid="{marks.PANEL_STATUS}" aria-label="Panel status" data-note="bad &lt;query&gt;"></button>'
        if kind == "failed"
        else ""
    )
    loading = f'<div aria-label="{marks.LOADING_BAR}" role="status"></div>' if kind in ("slow", "endless") else ""
    return (
        f'<div data-viz-panel-key="{key}" class="{kind}"><section data-testid="{marks.PANEL_HEADER}'
        f'{html.escape(panel.title)}">{loading}<header>{header}<h2>{html.escape(panel.title)}</h2></header>'
        f'<div data-testid="{marks.PANEL_CONTENT}">{KINDS[kind](panel)}</div></section></div>'
    )


# As Grafana does it: a panel is drawn once it comes into view, a row opens by its button, a note shows on hover.
SCRIPT = """
const seen = new IntersectionObserver(entries => entries.filter(e => e.isIntersecting).forEach(({target}) => {
  seen.unobserve(target);
  target.innerHTML = target.querySelector("template").innerHTML;
  for (const panel of target.querySelectorAll(".slow")) fetch("/api/ds/query", {method: "POST"}).then(() =>
    panel.querySelector('[role="status"]').remove());
  for (const button of target.querySelectorAll("[data-note]")) button.onmouseenter = () =>
    document.body.append(note(button.dataset.note));
}));
const note = text => {
  const one = document.createElement("div");
  one.dataset.testid = "TOOLTIP";
  one.textContent = text;
  return one;
};
const watch = () => {
  for (const place of document.querySelectorAll("[data-griditem-key^='grid']:has(> template)")) seen.observe(place);
};
for (const row of document.querySelectorAll("[aria-label^='Expand row']")) row.onclick = () => {
  row.setAttribute("aria-label", "Collapse row");
  const grid = row.closest("[data-griditem-key]");
  grid.insertAdjacentHTML("afterend", row.nextElementSibling.innerHTML);
  watch();
};
watch();
if (location.search.includes("refresh")) setInterval(async () => {
  const { colour } = await (await fetch("/api/ds/query", {method: "POST"})).json();
  for (const number of document.querySelectorAll(".number")) number.style.color = colour;
}, 500);
""".replace("TOOLTIP", marks.TOOLTIP)

LOGIN_PAGE = f"""<form><input data-testid="{marks.USERNAME}"><input type="password" data-testid="{marks.PASSWORD}">
<button data-testid="{marks.LOGIN}">Log in</button></form><script>
document.forms[0].onsubmit = event => {{
  event.preventDefault();
  const [user, password] = [...document.querySelectorAll("input")].map(one => one.value);
  fetch("/login", {{method: "POST", body: JSON.stringify({{user, password}})}}).then(answer => {{
    if (answer.ok) location.href = "/";
    else document.body.insertAdjacentHTML("beforeend", '<div data-testid="{marks.ALERT}">Invalid credentials</div>');
  }});
}};</script>"""


@dataclass
class StandIn:
    """What is served: dashboards, the kinds of their panels by title, and lines added to every dashboard's page."""

    dashboards: dict[str, Dashboard] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    # Titles of panels that lie in a row that is closed, and of those that are there twice.
    in_a_row: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    extra: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    themes: dict[str, str] = field(default_factory=lambda: dict(BACKGROUNDS))
    # Asked for each query, so that a simulation can change what is shown.
    is_bad_day: Callable[[], bool] = lambda: False
    url: str = ""

    def page(self, uid: str, theme: str) -> str:
        dashboard = self.dashboards[uid]
        shown = [panel for panel in dashboard.panels if panel.title not in self.missing]
        places = "".join(self._place(panel) for panel in shown if panel.title not in self.in_a_row)
        hidden = "".join(self._place(panel) for panel in shown if panel.title in self.in_a_row)
        row = (
            f'<div data-griditem-key="row"><button data-testid="{marks.ROW_TITLE}Detail" '
            f'aria-label="Expand row Detail">Detail</button><template>{hidden}</template></div>'
        )
        return (
            f'<!doctype html><meta name="viewport" content="width=device-width"><title>{uid}</title>'
            f'<body style="background: {self.themes[theme]}">{places}{row if hidden else ""}{self.extra}'
            f"<style>[data-griditem-key] {{ min-height: 400px }} section {{ height: 380px }}</style>"
            f"<script>{SCRIPT}</script>"
        )

    def _place(self, panel: Panel) -> str:
        kind = self.kinds.get(panel.title, "good")
        suffixes = ("", "-clone-1") if panel.title in self.repeated else ("",)
        drawn = "".join(_panel(panel, kind, f"panel-{panel.id}{suffix}") for suffix in suffixes)
        return f'<div data-griditem-key="grid-item-{panel.id}"><template>{drawn}</template></div>'


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output quiet."""

    def _answer(self, status: int, content: str, kind: str = "text/html", **headers: str) -> None:
        body = content.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        stand_in, split = self.server.stand_in, urlsplit(self.path)
        uid = split.path.removeprefix("/d/").split("/")[0]
        if split.path == "/api/health":
            self._answer(200, json.dumps({"database": "ok", "version": "13.2.2"}), "application/json")
        elif split.path == "/login":
            self._answer(200, LOGIN_PAGE)
        elif split.path == "/favicon.ico":
            self._answer(204, "")
        elif SESSION not in self.headers.get("Cookie", ""):
            self._answer(302, "", Location="/login")
        elif split.path in stand_in.redirects:
            self._answer(302, "", Location=stand_in.redirects[split.path])
        elif split.path == "/":
            self._answer(200, "<h1>Welcome to a stand-in</h1>")
        elif uid in stand_in.dashboards:
            self._answer(200, stand_in.page(uid, parse_qs(split.query).get("theme", ["dark"])[0]))
        elif split.path.startswith("/d/"):
            self._answer(200, "<h1>Dashboard not found</h1>")
        else:
            self._answer(404, "")

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/login":
            if json.loads(content) == {"user": USER, "password": PASSWORD}:
                self._answer(200, "{}", Set_Cookie=f"{SESSION}; Path=/; HttpOnly; Max-Age=3600")
            else:
                self._answer(401, "{}")
        elif self.path == "/api/ds/query":
            colour = RED if self.server.stand_in.is_bad_day() else GREEN
            self._answer(200, json.dumps({"colour": colour}), "application/json")
        else:
            self._answer(404, "")


class _Server(ThreadingHTTPServer):
    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stand_in = stand_in
        stand_in.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def standing_in(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve a stand-in for Grafana on a port of its own while the context lasts."""
    with serving(_Server(stand_in)):
        yield stand_in
