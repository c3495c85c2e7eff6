# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Looks at a dashboard as a person would: opens it, scrolls through it, and tells what is wrong."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.llmops.monitoring.tests.e2e.browser import marks
from ansible_collections.llmops.monitoring.tests.e2e.browser.dashboards import NO_DATA, Dashboard, Panel
from playwright.sync_api import ConsoleMessage, Page, Request, Response
from playwright.sync_api import TimeoutError as TooLate

# A dashboard's slowest query takes a second; a machine that runs all of it takes its time too.
PATIENCE_SECONDS = 60.0
QUERY = "/api/ds/query"

# What each panel on the page shows. A cell of a table may well be empty; a table is when it has no rows.
SURVEY = """
([panel, content, message, status, alert, loading, header]) => [...document.querySelectorAll(panel)].map(one => {
  const body = one.querySelector(content);
  const leaves = body ? [...body.querySelectorAll("*")].filter(e => !e.childElementCount) : [];
  const text = e => e.textContent.trim();
  const named = one.querySelector(`[data-testid^="${header}"]`);
  return {
    key: one.dataset.vizPanelKey,
    title: named ? named.dataset.testid.slice(header.length) : "",
    loading: !!one.querySelector(loading),
    drawn: !!body && body.childElementCount > 0,
    failed: !!one.querySelector(status),
    crash: [...one.querySelectorAll(alert)].map(text).join(" "),
    messages: [...one.querySelectorAll(message)].map(text),
    texts: leaves.filter(e => !e.closest('[role="cell"], [role="gridcell"]')).map(text),
  };
})
"""
MARKS = [
    marks.PANEL,
    *map(marks.by_id, (marks.PANEL_CONTENT, marks.PANEL_MESSAGE, marks.PANEL_STATUS, marks.ALERT)),
    f'[aria-label="{marks.LOADING_BAR}"]',
    marks.PANEL_HEADER,
]
# A place of the grid is passed once what lies in it has begun to load: a panel, or the title of a row.
BEGUN = """([place, panel, row]) => !place.isConnected || !!place.querySelector(`${panel}, [data-testid^="${row}"]`)"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a page shows of a panel; a panel that is repeated is there several times, under keys of its own."""

    key: str
    title: str
    loading: bool
    drawn: bool
    failed: bool
    crash: str
    messages: list[str]
    texts: list[str]

    @property
    def id(self) -> int:
        found = re.search(r"panel-(\d+)", self.key)
        return int(found[1]) if found else -1

    @property
    def settled(self) -> bool:
        return self.failed or bool(self.crash) or (self.drawn and not self.loading)


@dataclass
class Heard:
    """What a page complains about while it is open, and the queries that it waits for."""

    faults: list[str] = field(default_factory=list)
    queries: int = 0

    def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"console: {error}"))
        page.on("request", lambda request: self._count(request, 1))
        page.on("requestfinished", lambda request: self._count(request, -1))
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def _count(self, request: Request, change: int) -> None:
        self.queries += change * (QUERY in request.url)

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium says this of each answer that `_response` tells with its address.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        self._count(request, -1)
        # Grafana drops a query itself when a newer one takes its place.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"{request.method} {request.url} fails: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.request.method} {response.url} answers {response.status}")


def survey(page: Page) -> list[Drawn]:
    """Return what the page shows of each panel that it has drawn so far."""
    found: list[dict[str, Any]] = page.evaluate(SURVEY, MARKS)
    return [Drawn(**one) for one in found]


def look(
    page: Page, grafana: str, dashboard: Dashboard, theme: str, picture: Path, patience: float = PATIENCE_SECONDS
) -> list[str]:
    """Open a dashboard in a theme, take a picture of all of it, and return its faults; none is good.

    `patience`, in seconds, is for all of the dashboard.
    """
    end = time.monotonic() + patience
    heard = Heard()
    heard.listen(page)
    page.goto(f"{grafana}/d/{dashboard.uid}?theme={theme}")
    try:
        page.wait_for_selector(marks.PLACE, state="attached", timeout=patience * 1000)
    except TooLate:
        page.screenshot(path=picture, full_page=True)
        words = " ".join(page.locator("body").inner_text().split())[:200]
        return [f"{dashboard.uid} does not open: {page.url} says: {words}", *heard.faults]
    open_rows(page)
    scroll_through(page, end)
    drawn = settle(page, heard, end)
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=picture, full_page=True)
    told = _told(page, dashboard, drawn)
    if (seen := _theme(page)) != theme:
        told.append(f"it is drawn in {seen}, not in {theme}")
    return told + heard.faults


def open_rows(page: Page) -> None:
    """Open each row that is closed, so that its panels are drawn too."""
    closed = page.locator(marks.CLOSED_ROW)
    while closed.count():
        button = closed.first.element_handle()
        button.evaluate("one => one.click()")
        opened = "([one, closed]) => !one.isConnected || !one.matches(closed)"
        page.wait_for_function(opened, arg=[button, marks.CLOSED_ROW])


def scroll_through(page: Page, end: float) -> None:
    """Bring each place of the grid into view, until `end` of the monotonic clock: panels are drawn only then."""
    for place in page.locator(marks.PLACE).element_handles():
        place.evaluate("one => one.scrollIntoView({block: 'center'})")
        left = max(end - time.monotonic(), 0.001)
        try:
            page.wait_for_function(BEGUN, arg=[place, marks.PANEL, marks.ROW_TITLE], timeout=left * 1000)
        except TooLate:
            return


def settle(page: Page, heard: Heard, end: float) -> list[Drawn]:
    """Wait until nothing loads any more, or `end` of the monotonic clock is there, and return what is drawn."""
    while True:
        drawn = survey(page)
        if (heard.queries <= 0 and all(one.settled for one in drawn)) or time.monotonic() > end:
            return drawn
        page.wait_for_timeout(100)


def _theme(page: Page) -> str:
    """Return whether the page is light or dark, by the colour that it has behind all else."""
    told: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in re.findall(r"\d+", told)[:3])
    return "light" if red + green + blue > 3 * 128 else "dark"


def _told(page: Page, dashboard: Dashboard, drawn: list[Drawn]) -> list[str]:
    panels = {panel.id: panel for panel in dashboard.panels}
    shown = {one.id for one in drawn}
    told = [f"{panel.title} ({panel.id}) is not drawn" for panel in dashboard.panels if panel.id not in shown]
    for one in drawn:
        told += _faults(page, one, panels.get(one.id), dashboard.may_be_empty)
    # Such as a note of Grafana's that a query failed.
    notes = page.locator(f"{marks.by_id(marks.ALERT)}:not({marks.PANEL} *)")
    return told + [f"the page says: {' '.join(text.split())}" for text in notes.all_inner_texts()]


def _faults(page: Page, one: Drawn, panel: Panel | None, may_be_empty: frozenset[str]) -> list[str]:
    name = f"{one.title or (panel.title if panel else '')} ({one.key})"
    told = []
    if one.failed:
        told.append(f"{name} has a red corner: {_why(page, one)}")
    if one.crash:
        told.append(f"{name} broke: {one.crash}")
    if not one.settled:
        told.append(f"{name} never finishes loading")
    own = panel.no_data if panel else NO_DATA
    excused = panel is not None and panel.title in may_be_empty and own != NO_DATA
    empty = {text for text in (*one.messages, *one.texts) if text in (NO_DATA, own)} - ({own} if excused else set())
    # Such as "Data is missing a time field".
    wrong = set(one.messages) - {NO_DATA, own}
    # A panel that failed has no data either.
    if not one.failed:
        told += [f"{name} says: {text}" for text in sorted(empty | wrong)]
    return told


def _why(page: Page, one: Drawn) -> str:
    """Return what the note over a red corner says."""
    page.locator(f'[data-viz-panel-key="{one.key}"]').locator(marks.by_id(marks.PANEL_STATUS)).hover(timeout=5000)
    note = page.locator(marks.by_id(marks.TOOLTIP)).first
    try:
        return " ".join(note.inner_text(timeout=5000).split())
    except TooLate:
        return "and no note says why"
    finally:
        page.mouse.move(0, 0)
