# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Every dashboard in a browser, in the Grafana that answers at GRAFANA_URL; docs/development.md tells how to run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.e2e.browser import dashboards, grafana
from ansible_collections.llmops.monitoring.tests.e2e.browser.colours import red_stats
from ansible_collections.llmops.monitoring.tests.e2e.browser.dashboards import ROOT, Dashboard
from ansible_collections.llmops.monitoring.tests.e2e.browser.look import Heard, look, open_rows, scroll_through, settle
from playwright.sync_api import Browser, Page, StorageState

# Without a Grafana there is one case, which says so.
NOTHING = pytest.mark.skipif(not os.environ.get("GRAFANA_URL"), reason="no Grafana to look at: GRAFANA_URL names none")
EVERYONE = dashboards.everyone() if os.environ.get("GRAFANA_URL") else []
SIZES = {"desktop": (1920, 1080), "phone": (390, 844)}
CASES = [
    pytest.param(dashboard, theme, size, id=f"{dashboard.uid}-{theme}-{size}")
    for dashboard in EVERYONE
    for theme in ("light", "dark")
    for size in SIZES
] or [pytest.param(None, "", "desktop", id="none", marks=NOTHING)]
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS") or ROOT / ".cache/screenshots")
# The dashboard on which the simulation's bad day must show, and how long that may take: a scrape or two, and a refresh.
BAD_DAY, SCENARIO = "gpu-usage", "failure"
PATIENCE_SECONDS = 180.0


@pytest.fixture(scope="session")
def instance() -> grafana.Grafana:
    """Return the Grafana that is looked at; one that doesn't answer is a failure."""
    try:
        found = grafana.from_environment()
        grafana.check(found)
    except grafana.GrafanaError as error:
        pytest.fail(str(error), pytrace=False)
    return found


@pytest.fixture(scope="session")
def session(instance: grafana.Grafana, browser: Browser) -> StorageState:
    """Return the cookies of one session for all tests: Grafana allows few attempts at a time."""
    try:
        with browser.new_context() as context:
            return grafana.sign_in(instance, context)
    except grafana.GrafanaError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def page(session: StorageState, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = SIZES[getattr(request, "param", "desktop")]
    with browser.new_context(storage_state=session, viewport={"width": width, "height": height}) as context:
        yield context.new_page()


def picture(dashboard: Dashboard, *words: str) -> Path:
    path = SCREENSHOTS / dashboard.folder / f"{'.'.join([dashboard.uid, *words])}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(("dashboard", "theme", "page"), CASES, indirect=["page"])
def test_dashboard(
    page: Page, instance: grafana.Grafana, dashboard: Dashboard, theme: str, request: pytest.FixtureRequest
) -> None:
    size = request.node.callspec.params["page"]
    faults = look(page, instance.url, dashboard, theme, picture(dashboard, theme, size))
    assert not faults, "\n".join([f"{dashboard.uid}, {theme}, {size}:", *faults])


def play(scenario: str = "") -> str:
    """Let the mock at MOCK_URL play a scenario, or return the one that it plays."""
    words = [scenario] if scenario else []
    done = subprocess.run([sys.executable, ROOT / "tools/mock.py", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    playing = re.search(r"^\* (\S+)", done.stdout, re.MULTILINE)
    return playing[1] if playing else scenario


@pytest.fixture
def scenario() -> Iterator[Callable[[str], str]]:
    """Yield a function that plays a scenario; afterwards the one from before is played again."""
    if not os.environ.get("MOCK_URL"):
        pytest.skip("no simulation to play a bad day: MOCK_URL names none")
    before = play()
    yield play
    play(before)


def wait_for_red(page: Page, dashboard: Dashboard, fits: Callable[[set[str]], bool]) -> set[str]:
    """Wait until the titles of the red numbers on the page fit, and return them."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not fits(red := red_stats(page, dashboard)):
        assert time.monotonic() < end, f"after {PATIENCE_SECONDS:g} s these are red on {dashboard.uid}: {sorted(red)}"
        page.wait_for_timeout(1000)
    return red


@NOTHING
def test_a_bad_day_is_red(scenario: Callable[[str], str], page: Page, instance: grafana.Grafana) -> None:
    dashboard = next(one for one in EVERYONE if one.uid == BAD_DAY)
    heard = Heard()
    heard.listen(page)
    page.goto(f"{instance.url}/d/{dashboard.uid}?theme=dark&from=now-15m&to=now&refresh=5s")
    page.wait_for_load_state()
    end = time.monotonic() + PATIENCE_SECONDS
    open_rows(page)
    scroll_through(page, end)
    settle(page, heard, end)
    usual = red_stats(page, dashboard)
    scenario(SCENARIO)
    bad = wait_for_red(page, dashboard, lambda red: bool(red - usual)) - usual
    page.screenshot(path=picture(dashboard, "dark", "desktop", SCENARIO), full_page=True)
    scenario("normal")
    # What counts over a day stays red for that long.
    wait_for_red(page, dashboard, lambda red: bool(bad - red))
