# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""What looks at dashboards, proven on pages that behave in every way, in a real Chromium; see `stand_in.py`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.tests.e2e.browser.colours import is_red, red_stats
from ansible_collections.llmops.monitoring.tests.e2e.browser.dashboards import Dashboard, Panel
from ansible_collections.llmops.monitoring.tests.e2e.browser.grafana import Grafana, GrafanaError, sign_in
from ansible_collections.llmops.monitoring.tests.e2e.browser.look import look
from ansible_collections.llmops.monitoring.tests.e2e.browser.stand_in import PASSWORD, USER, StandIn, standing_in
from playwright.sync_api import Browser, Page, StorageState

WORDS = "No GPU exporter reports."
PANELS = (
    Panel(1, "GPUs seen", "stat", WORDS),
    Panel(2, "Power", "timeseries", WORDS),
    Panel(3, "GPUs", "table", WORDS),
    Panel(4, "Notes", "text", "No data"),
    Panel(5, "Clocks", "timeseries", WORDS),
)
DASHBOARD = Dashboard("gpu-usage", "system", PANELS)
DESKTOP, PHONE, SMALL = (1920, 1080), (390, 844), (600, 500)


@pytest.fixture(scope="module")
def served() -> Iterator[StandIn]:
    with standing_in(StandIn({DASHBOARD.uid: DASHBOARD})) as one:
        yield one


@pytest.fixture
def grafana(served: StandIn) -> StandIn:
    """Return a stand-in whose only dashboard is good, with its last panel in a row that is closed."""
    fresh = StandIn({DASHBOARD.uid: DASHBOARD}, in_a_row=frozenset({"Clocks"}), url=served.url)
    vars(served).update(vars(fresh))
    return served


@pytest.fixture(scope="module")
def session(served: StandIn, browser: Browser) -> StorageState:
    with browser.new_context() as context:
        return sign_in(Grafana(served.url, USER, PASSWORD), context)


@pytest.fixture
def page(session: StorageState, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Yield a page of somebody who has signed in, in a small window (it draws faster) unless a test says otherwise."""
    width, height = getattr(request, "param", SMALL)
    with browser.new_context(storage_state=session, viewport={"width": width, "height": height}) as context:
        yield context.new_page()


def width_of(picture: Path) -> int:
    """Return the width in pixels of a PNG, from its first chunk."""
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    width: int = struct.unpack(">I", content[16:20])[0]
    return width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_a_good_dashboard_has_no_fault(page: Page, grafana: StandIn, theme: str, tmp_path: Path) -> None:
    grafana.kinds = {"Power": "slow", "GPUs": "holes"}
    grafana.repeated = frozenset({"Power"})
    assert look(page, grafana.url, DASHBOARD, theme, tmp_path / "seen.png") == []
    assert page.viewport_size is not None
    assert width_of(tmp_path / "seen.png") == page.viewport_size["width"]


@pytest.mark.parametrize(
    ("title", "kind", "told"),
    [
        ("GPUs seen", "empty stat", "GPUs seen (panel-1) says: No data"),
        ("Power", "empty", "Power (panel-2) says: No data"),
        ("Power", "own words", f"Power (panel-2) says: {WORDS}"),
        ("Power", "wrong field", "Power (panel-2) says: Data is missing a time field"),
        ("Power", "failed", "Power (panel-2) has a red corner: bad <query>"),
        ("Power", "broken", "Power (panel-2) broke: An unexpected error happened"),
        ("Power", "endless", "Power (panel-2) never finishes loading"),
        ("GPUs", "empty table", f"GPUs (panel-3) says: {WORDS}"),
        # In a row that is closed, far below what is in view.
        ("Clocks", "empty", "Clocks (panel-5) says: No data"),
    ],
)
def test_a_fault_of_a_panel_is_named(
    page: Page, grafana: StandIn, tmp_path: Path, title: str, kind: str, told: str
) -> None:
    grafana.kinds = {title: kind}
    # Enough to see all panels first.
    patience = 15 if kind == "endless" else 30
    assert look(page, grafana.url, DASHBOARD, "dark", tmp_path / "seen.png", patience) == [told]
    assert (tmp_path / "seen.png").exists()


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ("<script>console.error('it is', 'bad')</script>", "console: it is bad"),
        ("<script>throw new TypeError('x is undefined')</script>", "console: x is undefined"),
        ("<script>fetch('/api/annotations')</script>", "GET {url}/api/annotations answers 404"),
        ("<script>fetch('http://127.0.0.1:1/').catch(() => 0)</script>", "GET http://127.0.0.1:1/ fails: net::"),
        ('<div data-testid="data-testid Alert error">Query <b>failed</b></div>', "the page says: Query failed"),
    ],
)
def test_a_fault_of_the_page_is_named(page: Page, grafana: StandIn, tmp_path: Path, extra: str, told: str) -> None:
    grafana.extra = extra
    faults = look(page, grafana.url, DASHBOARD, "dark", tmp_path / "seen.png")
    assert len(faults) == 1
    assert faults[0].startswith(told.format(url=grafana.url))


def test_a_query_that_grafana_drops_itself_is_no_fault(page: Page, grafana: StandIn, tmp_path: Path) -> None:
    grafana.extra = (
        "<script>const stop = new AbortController(); fetch('/api/ds/query', {method: 'POST', signal: stop.signal})"
        ".catch(() => 0); stop.abort()</script>"
    )
    assert look(page, grafana.url, DASHBOARD, "dark", tmp_path / "seen.png") == []


def test_a_panel_that_is_not_there_is_named(page: Page, grafana: StandIn, tmp_path: Path) -> None:
    grafana.missing = frozenset({"GPUs"})
    assert look(page, grafana.url, DASHBOARD, "dark", tmp_path / "seen.png") == ["GPUs (3) is not drawn"]


def test_a_panel_may_say_its_own_words_where_the_list_says_so(page: Page, grafana: StandIn, tmp_path: Path) -> None:
    excused = Dashboard("gpu-usage", "system", PANELS, frozenset({"Power", "GPUs"}))
    grafana.kinds = {"Power": "own words", "GPUs": "empty"}
    assert look(page, grafana.url, excused, "dark", tmp_path / "seen.png") == ["GPUs (panel-3) says: No data"]


def test_a_theme_that_was_not_taken_is_named(page: Page, grafana: StandIn, tmp_path: Path) -> None:
    grafana.themes["light"] = grafana.themes["dark"]
    assert look(page, grafana.url, DASHBOARD, "light", tmp_path / "seen.png") == ["it is drawn in dark, not in light"]


def test_a_dashboard_that_is_not_there_is_named(page: Page, grafana: StandIn, tmp_path: Path) -> None:
    lost = Dashboard("lost", "system", PANELS)
    (told,) = look(page, grafana.url, lost, "dark", tmp_path / "seen.png", 1)
    assert told == f"lost does not open: {grafana.url}/d/lost?theme=dark says: Dashboard not found"


def test_a_wrong_password_is_told_and_not_shown(grafana: StandIn, browser: Browser) -> None:
    with browser.new_context() as context, pytest.raises(GrafanaError) as refused:
        sign_in(Grafana(grafana.url, USER, "wr0ng"), context)
    assert str(refused.value) == f"{grafana.url} does not let {USER} in: Invalid credentials"
    assert "wr0ng" not in repr(Grafana(grafana.url, USER, "wr0ng"))


def test_a_password_that_is_missing_is_told(grafana: StandIn, browser: Browser) -> None:
    with (
        browser.new_context() as context,
        pytest.raises(GrafanaError, match="wants a password: set GRAFANA_PASSWORD_FILE"),
    ):
        sign_in(Grafana(grafana.url, USER), context)


@pytest.mark.parametrize(("kind", "red"), [("good", set()), ("red", {"GPUs seen"}), ("background", {"GPUs seen"})])
def test_red_numbers_are_seen(page: Page, grafana: StandIn, tmp_path: Path, kind: str, red: set[str]) -> None:
    grafana.kinds = {"GPUs seen": kind}
    look(page, grafana.url, DASHBOARD, "dark", tmp_path / "seen.png")
    assert red_stats(page, DASHBOARD) == red


@pytest.mark.parametrize(
    ("colour", "red"),
    [
        ("rgb(242, 73, 92)", True),
        ("rgb(224, 47, 68)", True),
        ("linear-gradient(120deg, rgb(165, 10, 20), rgb(250, 90, 110))", True),
        ("rgb(255, 152, 48)", False),
        ("rgb(242, 204, 12)", False),
        ("rgb(184, 119, 217)", False),
        ("rgba(242, 73, 92, 0.2)", False),
        ("rgb(17, 18, 23)", False),
        ("none", False),
    ],
)
def test_red_is_told_from_other_colours(colour: str, red: bool) -> None:
    assert is_red(colour) == red
